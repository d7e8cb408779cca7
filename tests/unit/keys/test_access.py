"""Keys are handed out for a reason that is said."""

import pytest

from services.keys.domain.access import Access
from services.keys.domain.errors import InvalidAccess


def test_a_reason_names_its_purpose_and_its_act() -> None:
    access = Access("messaging", "deliver", "sync of 3 conversations")
    assert (access.service, access.purpose) == ("messaging", "deliver")


@pytest.mark.parametrize("said", ["", " ", "\t", "two\nlines", "null\0"])
def test_a_reason_that_says_nothing_is_refused(said: str) -> None:
    with pytest.raises(InvalidAccess, match="purpose"):
        Access("messaging", said, "send")
    with pytest.raises(InvalidAccess, match="act"):
        Access("messaging", "seal", said)


def test_a_reason_is_short() -> None:
    Access("messaging", "p" * 64, "a" * 200)
    with pytest.raises(InvalidAccess):
        Access("messaging", "p" * 65, "send")
    with pytest.raises(InvalidAccess):
        Access("messaging", "seal", "a" * 201)
