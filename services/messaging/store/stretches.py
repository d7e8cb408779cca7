"""Whether an entry lies in a stretch that was hidden or destroyed: one look by its key.

Stretches of a conversation do not overlap, so it is the first that does not end before the entry, or none.
"""


def is_hidden(entry: str) -> str:
    """Return the condition that the row `entry` of a statement, with a `seq`, was hidden by a run."""
    return f"""coalesce((
        SELECT h.first_seq <= {entry}.seq FROM messaging.hidden h
         WHERE h.tenant = {entry}.tenant AND h.conversation = {entry}.conversation
           AND h.last_seq >= {entry}.seq
         ORDER BY h.last_seq LIMIT 1), false)"""


def destroyed_by(entry: str) -> str:
    """Return the run that destroyed what the row `entry` of a statement had sealed, or NULL."""
    return f"""(
        SELECT CASE WHEN x.first_seq <= {entry}.seq THEN x.order_id END FROM messaging.destroyed x
         WHERE x.tenant = {entry}.tenant AND x.conversation = {entry}.conversation
           AND x.last_seq >= {entry}.seq
         ORDER BY x.last_seq LIMIT 1)"""
