"""The text of an identifier is the one that everybody writes."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as some

from libs.kernel.ids import text_of


@given(some.uuids())
def test_the_quick_text_of_an_identifier_is_its_text(identifier: UUID) -> None:
    assert text_of(identifier) == str(identifier)
