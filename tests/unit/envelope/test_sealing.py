"""A record opens under one key at one place, or not at all."""

import copy
import pickle
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.envelope.errors import KeyExhausted, RecordRefused
from libs.envelope.place import Place, binding_of
from libs.envelope.record import HEADER_SIZE, MARK, NONCE_AT, dek_of
from libs.envelope.sealing import RECORDS_PER_KEY, SealingKey
from libs.kernel.framing import framed
from libs.kernel.ids import ConversationId, DekId, MessageId, TenantId

DEK = DekId(UUID(int=7))
KEY = bytes(range(32))
NONCE = bytes(12)
PLACE = Place(TenantId(UUID(int=1)), ConversationId(UUID(int=2)), MessageId(UUID(int=3)), 1, "body")
BODY = b"the board meets on Tuesday"

uuids = st.uuids()
places = st.builds(
    Place, uuids, uuids, uuids, st.integers(min_value=0, max_value=2**32 - 1), st.text(max_size=20)
).filter(lambda place: place.field.isprintable())


def sealing_key() -> SealingKey:
    return SealingKey(DEK, KEY)


@given(body=st.binary(max_size=300), place=places, nonce=st.binary(min_size=12, max_size=12))
def test_what_was_sealed_opens_at_its_place(body: bytes, place: Place, nonce: bytes) -> None:
    record = sealing_key().seal(body, place, nonce)
    assert sealing_key().open(record, place) == body
    assert dek_of(record) == DEK


@given(here=places, there=places)
def test_two_places_never_have_the_same_binding(here: Place, there: Place) -> None:
    assert (binding_of(here) == binding_of(there)) == (here == there)


def test_the_binding_is_the_length_prefixed_list_of_its_parts() -> None:
    expected = framed(
        PLACE.tenant.bytes, PLACE.conversation.bytes, PLACE.message.bytes, b"\x00\x00\x00\x01", b"body"
    )
    assert binding_of(PLACE) == expected


def test_the_record_is_laid_out_byte_by_byte_as_documented() -> None:
    record = sealing_key().seal(BODY, PLACE, b"twelve bytes")
    assert record[:4] == b"MU\x01\x01" == MARK
    assert record[4:20] == DEK.bytes
    assert record[52:64] == b"twelve bytes"
    assert len(record) == HEADER_SIZE + len(BODY) + 16


def test_the_format_of_version_one_never_changes() -> None:
    record = sealing_key().seal(b"known answer", PLACE, NONCE)
    assert record.hex() == KNOWN_ANSWER


@pytest.mark.parametrize(
    "elsewhere",
    [
        PLACE._replace(tenant=TenantId(UUID(int=9))),
        PLACE._replace(conversation=ConversationId(UUID(int=9))),
        PLACE._replace(message=MessageId(UUID(int=9))),
        PLACE._replace(revision=2),
        PLACE._replace(field="subject"),
        PLACE._replace(tenant=TenantId(PLACE.conversation), conversation=ConversationId(PLACE.tenant)),
    ],
    ids=["tenant", "conversation", "message", "revision", "field", "two exchanged"],
)
def test_a_record_moved_to_another_place_is_refused(elsewhere: Place) -> None:
    record = sealing_key().seal(BODY, PLACE, NONCE)
    with pytest.raises(RecordRefused):
        sealing_key().open(record, elsewhere)


def test_a_record_with_any_single_bit_changed_is_refused() -> None:
    record = sealing_key().seal(BODY, PLACE, NONCE)
    key = sealing_key()
    for bit in range(len(record) * 8):
        altered = bytearray(record)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RecordRefused):
            key.open(bytes(altered), PLACE)


def test_a_record_cut_at_any_length_is_refused() -> None:
    record = sealing_key().seal(BODY, PLACE, NONCE)
    key = sealing_key()
    for length in range(len(record)):
        with pytest.raises(RecordRefused):
            key.open(record[:length], PLACE)


def test_a_record_under_another_key_of_the_same_name_is_refused() -> None:
    record = SealingKey(DEK, bytes(32)).seal(BODY, PLACE, NONCE)
    with pytest.raises(RecordRefused):
        sealing_key().open(record, PLACE)


def test_a_record_that_names_another_key_is_refused() -> None:
    record = SealingKey(DekId(UUID(int=8)), KEY).seal(BODY, PLACE, NONCE)
    with pytest.raises(RecordRefused):
        sealing_key().open(record, PLACE)


def test_every_defect_is_answered_by_the_same_error() -> None:
    record = sealing_key().seal(BODY, PLACE, NONCE)
    defects = [
        (b"", PLACE),
        (b"XX" + record[2:], PLACE),
        (record[:NONCE_AT] + bytes([1]) * 12 + record[HEADER_SIZE:], PLACE),
        (record[:-1] + bytes([record[-1] ^ 1]), PLACE),
        (record, PLACE._replace(revision=9)),
        (SealingKey(DEK, bytes(32)).seal(BODY, PLACE, NONCE), PLACE),
    ]
    answers = set()
    for defective, place in defects:
        with pytest.raises(RecordRefused) as refusal:
            sealing_key().open(defective, place)
        answers.add((type(refusal.value), str(refusal.value), refusal.value.args, refusal.value.__cause__))
    assert len(answers) == 1


@pytest.mark.parametrize("size", [0, 8, 11, 13, 16, 128])
def test_a_nonce_of_another_size_is_not_used(size: int) -> None:
    with pytest.raises(ValueError, match="12 bytes"):
        sealing_key().seal(BODY, PLACE, bytes(size))


@pytest.mark.parametrize("size", [0, 16, 24, 31, 33])
def test_a_data_key_of_another_size_is_not_used(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SealingKey(DEK, bytes(size))


@pytest.mark.parametrize("revision", [-1, 2**32])
def test_a_revision_beyond_32_bits_is_not_cut(revision: int) -> None:
    with pytest.raises(ValueError, match="32 bits"):
        sealing_key().seal(BODY, PLACE._replace(revision=revision), NONCE)


def test_a_key_that_sealed_its_share_seals_no_more_but_still_opens() -> None:
    key = SealingKey(DEK, KEY, sealed=RECORDS_PER_KEY - 1)
    record = key.seal(BODY, PLACE, NONCE)
    with pytest.raises(KeyExhausted) as refusal:
        key.seal(BODY, PLACE, NONCE)
    assert refusal.value.dek == DEK
    assert key.open(record, PLACE) == BODY


def test_a_refused_seal_does_not_count() -> None:
    key = sealing_key()
    with pytest.raises(ValueError, match="nonce"):
        key.seal(BODY, PLACE, b"")
    assert key.sealed == 0


def test_a_sealing_key_shows_and_gives_away_nothing_of_its_key() -> None:
    key = sealing_key()
    assert repr(key) == f"SealingKey({DEK})"
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leave(key)


@pytest.mark.parametrize(
    "noise", [b"", b"MU", b"MU\x02\x01" + bytes(90), b"MU\x01\x02" + bytes(90), bytes(100)]
)
def test_bytes_that_are_no_record_name_no_key(noise: bytes) -> None:
    with pytest.raises(RecordRefused):
        dek_of(noise)


KNOWN_ANSWER = (
    "4d550101000000000000000000000000000000070f3501f69d6948c494740635d0bf3841bf001b7d33acf93f203ada19"
    "37260685000000000000000000000000e0cef0114947cd1c1b06f6c9c739f01a2d9583daf97eef0df16aa09b"
)
