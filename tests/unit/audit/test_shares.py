"""What a round of integration takes in: no log waits for another one's flood, and all have their turn."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from libs.kernel.ids import TenantId
from services.audit.domain.growth import Span, Standing, shares_of

TENANTS = [TenantId(UUID(int=number)) for number in range(1, 8)]
FLOOD, QUIET, LAST = TENANTS[:3]


def test_a_flood_in_one_log_makes_no_other_wait() -> None:
    behind = [Standing(FLOOD, 1_000_000, 0), Standing(QUIET, 7, 5), Standing(LAST, 1, 0)]
    assert shares_of(behind, logs=10, entries=100) == [
        Span(FLOOD, 0, 97),
        Span(QUIET, 5, 7),
        Span(LAST, 0, 1),
    ]


def test_logs_that_do_not_fit_into_a_round_come_first_in_the_next() -> None:
    behind = [Standing(tenant, 9, 0) for tenant in TENANTS]
    served: list[TenantId] = []
    for _ in range(3):
        spans = shares_of(behind, logs=3, entries=6, after=served[-1] if served else None)
        served += [span.tenant for span in spans]
    assert served == [*TENANTS, *TENANTS[:2]]


@given(st.lists(st.integers(1, 50), max_size=len(TENANTS)), st.integers(1, 8), st.integers(1, 200))
def test_a_round_is_as_full_as_it_can_be(waiting: list[int], logs: int, entries: int) -> None:
    behind = [Standing(tenant, 3 + count, 3) for tenant, count in zip(TENANTS, waiting, strict=False)]
    spans = shares_of(behind, logs, entries)
    taken = sum(span.end - span.first for span in spans)
    assert taken == min(entries, sum(waiting[:logs]))
    assert len({span.tenant for span in spans}) == len(spans) <= logs
    assert all(span.first < span.end for span in spans)
