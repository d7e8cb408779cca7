"""The partition of a key is a promise for ever: another answer would reorder what was published."""

from uuid import UUID

import pytest

from libs.events.records import partition_of


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        (("00000000-0000-0000-0000-000000000000",), 33),
        (("01890a5d-ac96-774b-bcce-b302099a8057",), 29),
        (("01890a5d-ac96-774b-bcce-b302099a8057", "018b2f1a-7c00-7000-8000-000000000001"), 45),
        (("ffffffff-ffff-ffff-ffff-ffffffffffff",), 16),
    ],
)
def test_these_keys_lie_in_these_partitions_for_ever(keys: tuple[str, ...], part: int) -> None:
    assert partition_of(*map(UUID, keys)) == part
