"""A leased key signs until it ends, and never a token that outlives it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from libs.contracts.internal import SigningKeyLease
from libs.host.clients import PeerUnavailable
from libs.kernel.clock import ManualClock
from libs.kernel.ids import SystemIds
from libs.kernel.randomness import SeededRandomness
from services.identity.adapters.signing import LeasedSigning
from services.identity.domain.errors import SigningUnavailable


class Lessor:
    """Leases keys, counts, and can be gone."""

    def __init__(self, clock):
        self.clock = clock
        self.asked = 0
        self.gone = False
        self.days = 30.0

    async def lease(self):
        self.asked += 1
        if self.gone:
            raise PeerUnavailable("keys")
        not_after = self.clock.now() + timedelta(days=self.days)
        return SigningKeyLease(kid=f"k{self.asked}", private=b"\x01" * 32, not_after=not_after)


@pytest.fixture
def lessor():
    return Lessor(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.fixture
def signing(lessor):
    return LeasedSigning(lessor.lease, lessor.clock, SystemIds(lessor.clock, SeededRandomness(1)))


async def test_one_lease_serves_many_and_is_renewed_by_the_hour(lessor, signing):
    for _ in range(100):
        await signing.get_signer()
    assert lessor.asked == 1
    lessor.clock.advance(3600)
    await signing.get_signer()
    assert lessor.asked == 2


async def test_the_key_at_hand_serves_until_its_end_while_there_is_no_other(lessor, signing):
    await signing.get_signer()
    lessor.gone = True
    lessor.clock.advance(29 * 86_400)
    await signing.get_signer()
    lessor.clock.advance(86_400 - 300)
    with pytest.raises(SigningUnavailable):
        await signing.get_signer()
    lessor.gone = False
    await signing.get_signer()


async def test_without_any_key_nobody_signs(lessor, signing):
    lessor.gone = True
    with pytest.raises(SigningUnavailable):
        await signing.get_signer()


async def test_a_token_has_five_minutes(signing):
    nobody = UUID(int=1)
    signer = await signing.get_signer()
    token = signer.sign(tenant=nobody, principal=nobody, session=nobody, device=nobody, roles=["employee"])
    assert token.expires_in == 300
