"""Signed notes and checkpoints: what verifies, and everything that is refused."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from libs.merkle.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from libs.merkle.errors import NoteRefused
from libs.merkle.hashing import EMPTY_ROOT
from libs.merkle.note import (
    Note,
    Signature,
    Verifier,
    key_id_of,
    parse_note,
    parse_vkey,
    sign_note,
    verify_note,
    vkey_of,
)

# Source: C2SP signed-note, "Example".
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()

KEY, OTHER_KEY = (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (1, 2))
PUBLIC, OTHER_PUBLIC = KEY.public_key().public_bytes_raw(), OTHER_KEY.public_key().public_bytes_raw()
ORIGIN = "muniment.test/log/1"
VERIFIER = Verifier(ORIGIN, PUBLIC)
CHECKPOINT = Checkpoint(ORIGIN, 7, bytes(range(32)))
SIGNED = sign_checkpoint(CHECKPOINT, PUBLIC, KEY.sign)


def test_the_example_of_the_specification_verifies():
    verifier = parse_vkey(SPEC_VKEY)
    note = parse_note(SPEC_NOTE)
    assert note.text == "This is an example message.\n"
    assert [signature.name for signature in verify_note(note, [verifier])] == ["example.com/foo"]
    assert note.encode() == SPEC_NOTE
    assert vkey_of(verifier.name, verifier.public) == SPEC_VKEY


def test_what_was_signed_is_opened():
    assert open_checkpoint(SIGNED, [VERIFIER]) == CHECKPOINT


@given(st.integers(0, len(SIGNED) - 1), st.integers(0, 7))
def test_no_flipped_bit_is_accepted(at: int, bit: int):
    flipped = bytearray(SIGNED)
    flipped[at] ^= 1 << bit
    with pytest.raises(NoteRefused):
        open_checkpoint(bytes(flipped), [VERIFIER])


@given(st.text("ab\n é", max_size=40))
def test_every_text_that_ends_with_a_newline_is_signed_and_read_back(text: str):
    note = sign_note(text + "\n", ORIGIN, PUBLIC, KEY.sign)
    assert parse_note(note.encode()) == note
    verify_note(note, [VERIFIER])


def test_a_note_that_no_trusted_key_signed_is_refused():
    with pytest.raises(NoteRefused, match="no key that is trusted"):
        open_checkpoint(SIGNED, [Verifier(ORIGIN, OTHER_PUBLIC)])
    with pytest.raises(NoteRefused, match="no key that is trusted"):
        open_checkpoint(SIGNED, [])


def test_the_signature_of_an_unknown_key_is_ignored_beside_a_trusted_one():
    stranger = sign_note(CHECKPOINT.text(), "stranger", OTHER_PUBLIC, OTHER_KEY.sign)
    note = parse_note(SIGNED)
    both = Note(note.text, (*stranger.signatures, *note.signatures))
    assert open_checkpoint(both.encode(), [VERIFIER]) == CHECKPOINT


def test_a_wrong_signature_of_a_trusted_key_is_refused_even_beside_a_right_one():
    wrong = Signature(ORIGIN, key_id_of(ORIGIN, OTHER_PUBLIC), bytes(64))
    note = parse_note(SIGNED)
    both = Note(note.text, (*note.signatures, wrong))
    with pytest.raises(NoteRefused, match="wrong"):
        open_checkpoint(both.encode(), [VERIFIER, Verifier(ORIGIN, OTHER_PUBLIC)])


def test_a_checkpoint_signed_in_the_name_of_another_log_is_refused():
    note = sign_note(CHECKPOINT.text(), "muniment.test/log/2", PUBLIC, KEY.sign)
    with pytest.raises(NoteRefused, match="another log"):
        open_checkpoint(note.encode(), [Verifier("muniment.test/log/2", PUBLIC)])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\nno dash QUJDREVG\n",
        SPEC_NOTE[:-1],
        SPEC_NOTE.replace(b"foo Uw", b"foo  Uw"),
        SPEC_NOTE.replace(b"example.com/foo", b"example+foo"),
        SPEC_NOTE.replace(b"message", b"mess\tage"),
        SPEC_NOTE.replace(b"message", b"mess\xffage"),
        SPEC_NOTE.replace(b"aQM=\n", b"aQN=\n"),  # other base64 of the same bytes
        SPEC_NOTE.replace(SPEC_NOTE.split()[-1], b"QUJDRA=="),  # an id and nothing more
        b"text\n\n" + SPEC_NOTE.split(b"\n\n")[1] * 101,
        b"x" * 1_000_001 + SPEC_NOTE,
    ],
)
def test_what_is_no_note_is_refused(data: bytes):
    with pytest.raises(NoteRefused):
        parse_note(data)


def test_sixteen_signatures_are_read():
    assert len(parse_note(b"text\n\n" + SPEC_NOTE.split(b"\n\n")[1] * 16).signatures) == 16


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb"])
def test_a_name_that_no_key_can_have_is_refused(name: str):
    with pytest.raises(NoteRefused):
        sign_note("text\n", name, PUBLIC, KEY.sign)


@pytest.mark.parametrize("text", ["", "text", "a\tb\n"])
def test_a_text_that_no_note_can_have_is_refused(text: str):
    with pytest.raises(NoteRefused):
        sign_note(text, ORIGIN, PUBLIC, KEY.sign)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        SPEC_VKEY.replace("530d903a", "530d903b"),
        SPEC_VKEY.replace("+Aek", "+Bek"),
        SPEC_VKEY[:-4],
        SPEC_VKEY.replace("example.com/foo", "example com"),
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str):
    with pytest.raises(NoteRefused):
        parse_vkey(text)


ROOT = base64.b64encode(bytes(range(32))).decode()


def test_extension_lines_are_kept():
    text = f"{ORIGIN}\n7\n{ROOT}\nanchor 1\n"
    assert parse_checkpoint(text) == CHECKPOINT._replace(extensions=("anchor 1",))
    assert parse_checkpoint(text).text() == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{ORIGIN}\n7\n{ROOT}",
        f"{ORIGIN}\n7\n",
        f"\n7\n{ROOT}\n",
        f"{ORIGIN}\n07\n{ROOT}\n",
        f"{ORIGIN}\n-7\n{ROOT}\n",
        f"{ORIGIN}\n7 \n{ROOT}\n",
        f"{ORIGIN}\n\u0667\n{ROOT}\n",
        f"{ORIGIN}\n7\n{ROOT[:-1]}\n",
        f"{ORIGIN}\n7\n{ROOT[:-2]}9=\n",
        f"{ORIGIN}\n7\n{base64.b64encode(bytes(31)).decode()}\n",
        f"{ORIGIN}\n7\n{ROOT}\n\nmore\n",
        f"{ORIGIN}\n0\n{ROOT}\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str):
    with pytest.raises(NoteRefused):
        parse_checkpoint(text)


def test_an_empty_log_has_its_checkpoint():
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(empty, PUBLIC, KEY.sign), [VERIFIER]) == empty
