"""The tokenizer: what is a word, and that it is stable under everything that texts contain."""

import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ediscovery.domain.tokens import LONGEST, _words, normalized, tokens_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("anna.berg@example.org", ["anna", "berg", "example", "org"]),
        ("https://example.org/a?b=3.14", ["https", "example", "org", "a", "b", "3", "14"]),
        ("don't", ["don", "t"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ﬁle №5 ①", ["file", "no5", "1"]),
        ("cafe\u0301 CAFÉ", ["café", "café"]),
        ("soft\u00adhyphen", ["softhyphen"]),
        ("evil\u202etxt", ["eviltxt"]),
        ("東京タワーtower", ["東", "京", "タ", "ワ", "ー", "tower"]),
        ("한국어 말", ["한국어", "말"]),
        ("ok👍👍 ❤\ufe0f", ["ok", "👍", "👍", "❤"]),
        ("snake_case", ["snake", "case"]),
        ("... !", []),
        ("", []),
    ],
)
def test_a_text_is_these_words(text: str, tokens: list[str]):
    assert list(tokens_of(text)) == tokens


@given(TEXTS)
def test_a_token_is_its_own_only_token(text: str):
    for token in tokens_of(text):
        assert tokens_of(token) == (token,)


@given(TEXTS)
def test_normalizing_twice_changes_nothing(text: str):
    assert normalized(normalized(text)) == normalized(text)


@given(TEXTS)
def test_the_form_in_which_a_text_was_composed_does_not_matter(text: str):
    forms: list[Literal["NFC", "NFD"]] = ["NFC", "NFD"]
    for form in forms:
        assert tokens_of(unicodedata.normalize(form, text)) == tokens_of(text)


@given(TEXTS, TEXTS)
def test_a_space_between_texts_keeps_their_tokens_apart(left: str, right: str):
    assert tokens_of(f"{left} {right}") == tokens_of(left) + tokens_of(right)


@given(TEXTS)
def test_a_token_is_short_and_holds_nothing_that_separates(text: str):
    for token in tokens_of(text):
        assert 0 < len(token) <= LONGEST
        assert not any(character.isspace() or character in '"()*:=' for character in token)


def test_a_very_long_word_is_cut_into_pieces_and_found_as_their_phrase():
    assert tokens_of("x" * (2 * LONGEST + 1)) == ("x" * LONGEST, "x" * LONGEST, "x")


@given(st.text(st.characters(max_codepoint=127), max_size=200))
def test_the_short_way_of_an_ascii_text_gives_what_the_long_one_gives(text: str):
    assert tokens_of(text) == tuple(_words(normalized(text)))
