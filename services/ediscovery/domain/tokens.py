"""The one tokenizer: both engines and every query get their tokens from here, so they agree on every hit.

What it does, which is `VERSION` 1 (an index says by which version it was made; a new version is a new index):

1. Format characters (category Cf: soft hyphens, joiners, direction marks) and variation selectors are
   dropped, then the text is brought to NFKC and case-folded, until it changes no more.
2. A run of letters, numbers and marks is a word. Everything else separates: so e-mail addresses, URLs,
   version numbers and `don't` are several words, and are found as phrases of these.
3. Han, Hiragana and Katakana characters and other symbols (emoji) are words by themselves.
4. A word of more than `LONGEST` characters is cut into pieces of that many.

Source: Unicode 15.1, chapter 3.13 (caseless matching) and UAX #15 (normalization forms).
"""

import re
import unicodedata
from collections.abc import Iterator

VERSION = 1
LONGEST = 64

_VARIATION_SELECTORS = range(0xFE00, 0xFE10)
_BY_CHARACTER = (
    range(0x3005, 0x3008),  # iteration marks
    range(0x3040, 0x3100),  # Hiragana, Katakana
    range(0x31F0, 0x3200),  # Katakana phonetic extensions
    range(0x3400, 0x4DC0),  # Han, extension A
    range(0x4E00, 0xA000),  # Han
    range(0xF900, 0xFB00),  # Han, compatibility
    range(0x20000, 0x32400),  # Han, extensions B to I
)
_FIRST_BY_CHARACTER = 0x3005
_ASCII_WORDS = re.compile(rf"[0-9a-z]{{1,{LONGEST}}}")
"""The rules below for a text in ASCII, of which there is most: twenty times as fast."""


def tokens_of(text: str) -> tuple[str, ...]:
    """Return the words of `text` in order; a word's place in the tuple is its position."""
    if text.isascii():
        return tuple(_ASCII_WORDS.findall(text.lower()))
    return tuple(_words(normalized(text)))


def normalized(text: str) -> str:
    """Return `text` in the form in which words are compared."""
    if text.isascii():
        return text.casefold()
    while (folded := _folded(text)) != text:
        text = folded
    return text


def _folded(text: str) -> str:
    kept = "".join(character for character in text if not _is_ignored(character))
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", kept).casefold())


def _is_ignored(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or ord(character) in _VARIATION_SELECTORS


def _words(text: str) -> Iterator[str]:
    begin = 0
    for index, character in enumerate(text):
        stands_alone = _stands_alone(character)
        if stands_alone or not _is_of_a_word(character):
            yield from _pieces(text[begin:index])
            begin = index + 1
            if stands_alone:
                yield character
    yield from _pieces(text[begin:])


def _pieces(word: str) -> Iterator[str]:
    for begin in range(0, len(word), LONGEST):
        yield word[begin : begin + LONGEST]


def _is_of_a_word(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character)[0] in "LNM"


def _stands_alone(character: str) -> bool:
    code = ord(character)
    if code < _FIRST_BY_CHARACTER:
        return unicodedata.category(character) == "So"
    return any(code in block for block in _BY_CHARACTER) or unicodedata.category(character) == "So"
