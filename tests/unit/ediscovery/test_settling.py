"""What still grows is not begun with, and what always grows is begun with all the same."""

from uuid import uuid4

from libs.kernel.ids import TenantId
from services.ediscovery.usecases.expunge import Settling

ONE, OTHER = TenantId(uuid4()), TenantId(uuid4())


def test_it_is_time_when_a_round_has_added_nothing() -> None:
    settling = Settling()
    assert settling.at_rest({ONE: 5}) == []
    assert settling.at_rest({ONE: 9, OTHER: 1}) == []
    assert settling.at_rest({ONE: 9, OTHER: 2}) == [ONE]
    assert settling.at_rest({OTHER: 2}) == [OTHER]
    assert settling.at_rest({}) == []


def test_what_never_rests_waits_for_so_many_rounds_and_no_more() -> None:
    settling = Settling(most_rounds=3)
    assert [settling.at_rest({ONE: due}) for due in range(1, 6)] == [[], [], [], [ONE], []]


def test_what_could_not_be_done_is_tried_again() -> None:
    settling = Settling()
    assert [settling.at_rest({ONE: 5}) for _ in range(4)] == [[], [ONE], [], [ONE]]
