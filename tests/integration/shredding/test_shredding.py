"""A destroyed body's key dies, and everything else that it had sealed lives on under another."""

from datetime import timedelta

from libs.contracts import internal as wire
from libs.contracts.retention import DeksKept, DeksShredded, KeysEmptied, MessagingOrderCompleted
from tests.integration.shredding.world import BACKUPS, MARCH, NOON, World

MIDDLE = MARCH + timedelta(days=14)


async def test_the_key_of_a_destroyed_body_is_shredded_and_survivors_are_sealed_anew(world: World) -> None:
    room = await world.conversation()
    await world.said(room, 1, 2, 20, 21)
    (old,) = {dek for _, dek, _ in world.payloads(room)}
    before = dict(await world.clear(room))
    order = await world.destroy(MIDDLE)
    (done,) = world.told("messaging", MessagingOrderCompleted)
    assert (done.destroyed, done.deks) == (2, 1)
    await world.shred()
    after = dict(await world.clear(room))
    assert after == {seq: before[seq] for seq in after}
    assert len(after) == 2
    (new,) = {dek for _, dek, _ in world.payloads(room)}
    assert new != old
    deks = world.deks()
    assert deks[old] == ("2024-03", 1, None)
    assert deks[new][:2] == ("2024-03", 2)
    (emptied,) = world.told("messaging", KeysEmptied)
    (shredded,) = world.told("keys", DeksShredded)
    assert (emptied.order, emptied.generation, emptied.deks) == (order, 0, (old,))
    assert (shredded.order, shredded.generation, shredded.deks) == (order, 0, (old,))
    assert shredded.unrecoverable_after == NOON + BACKUPS
    assert await world.shown(room) == [None, None, "said 20", "said 21"]
    (answer,) = await world.keys.unwrap(wire.DekNamed(tenant=world.tenant, dek=old))
    assert (answer.key, answer.problem) == (None, "not-found")
    assert world.told("keys", DeksKept) == []
