"""The table shows a line for each step that was taken, and says what was not."""

import io

import msgspec
from rich.console import Console

from services.runner.demo.perform import Outcome
from services.runner.demo.table import print_outcome, rows_of
from services.runner.demo.verdict import left_out
from tests.unit.demo.test_verdict import AGREED, WHOLE


def printed(outcome: Outcome) -> str:
    out = io.StringIO()
    print_outcome(outcome, Console(file=out, width=200))
    return out.getvalue()


def outcome_of(counts: object, *, complete: bool = True) -> Outcome:
    return msgspec.convert(
        {
            "tenant": "demo-1",
            "counts": counts,
            "seconds": {"all": 12.34, "import": 5.67},
            "gateways": 2,
            "gateway_names": ["gw-1", "gw-2"],
            "complete": complete,
        },
        Outcome,
    )


def test_each_step_has_its_line_with_what_was_counted_twice() -> None:
    shown = printed(outcome_of(WHOLE))
    for part in ("9 imported", "13 indexed", "2 of 2 executors confirmed", "8 bodies due", "4 bodies gone"):
        assert part in shown
    for part in ("5 texts have the word", "6 produced + 1 excluded", "9 audited", "5.7", "12.3 s."):
        assert part in shown
    assert shown.endswith("Everything agrees.\n")


def test_a_step_that_was_not_taken_has_no_line_and_is_named() -> None:
    steps = {row.step for row in rows_of(AGREED)}
    assert steps == {"live", "sockets", "storage", "evidence", "audit log"}
    outcome = msgspec.structs.replace(outcome_of(AGREED), left_out=left_out(AGREED))
    assert "Left out: no hold was placed." in printed(outcome)


def test_a_disagreement_is_not_to_be_overlooked() -> None:
    assert "IT DOES NOT AGREE." in printed(outcome_of(WHOLE, complete=False))
