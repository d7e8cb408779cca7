"""Sign in: by a one-time code, or by a password where the tenant allows that beside its directory."""

import math
from dataclasses import dataclass, field

from libs.kernel.clock import Clock
from libs.kernel.denials import Denials
from libs.kernel.ids import PrincipalId, TenantId
from services.identity.domain.acts import SIGN_IN
from services.identity.domain.codes import SignInCode, find_code
from services.identity.domain.errors import SignInRefused, SignInThrottled
from services.identity.domain.failures import FailureLedger
from services.identity.domain.principals import Account, name_key_of
from services.identity.domain.tenants import Tenant
from services.identity.ports.outside import Passwords, Signing
from services.identity.ports.store import Database, TenantRegistry, Transaction
from services.identity.usecases.sessions import SessionOpener, SignedIn, signed_in


@dataclass(frozen=True, slots=True)
class SignInByCode:
    """Starts a session for whoever holds an unused code."""

    database: Database
    registry: TenantRegistry
    signing: Signing
    opener: SessionOpener
    denials: Denials
    clock: Clock

    async def __call__(self, text: str, device_name: str) -> SignedIn:
        """Use up the code and return the tokens.

        Raises SignInRefused, and SigningUnavailable before the code is used.
        """
        code = find_code(text)
        tenant = None if code is None else await self.registry.find_by_slug(code.slug)
        if code is None or tenant is None:
            raise SignInRefused
        signer = await self.signing.get_signer()
        try:
            async with self.database.begin(tenant.tenant) as tx:
                account = await self._take(tx, code)
                session = await self.opener.open(tx, tenant.tenant, account, device_name)
        except SignInRefused as refused:
            self.denials.note(tenant.tenant, refused.principal, SIGN_IN)
            raise
        return signed_in(tenant.tenant, account, session, signer)

    async def _take(self, tx: Transaction, code: SignInCode) -> Account:
        """Use up the code and return whose it is: the principal is locked first, as everywhere."""
        now = self.clock.now()
        principal = await tx.credentials.find_code(code.digest(), now)
        account = None if principal is None else await tx.principals.find_account(principal)
        if account is None or not await tx.credentials.take_code(code.digest(), now):
            raise SignInRefused(principal)
        return account


@dataclass(frozen=True, slots=True)
class SignInByPassword:
    """Starts a session for whoever knows the password; failures make the name wait."""

    database: Database
    registry: TenantRegistry
    signing: Signing
    passwords: Passwords
    opener: SessionOpener
    denials: Denials
    clock: Clock
    failures: FailureLedger = field(default_factory=FailureLedger)

    async def __call__(self, slug: str, user_name: str, password: str, device_name: str) -> SignedIn:
        """Return the tokens.

        Raises SignInRefused alike, and after the same time, for an unknown tenant, an unknown name and a
        wrong password; SignInThrottled after too many of these; SigningUnavailable.
        """
        name = (slug.lower(), name_key_of(user_name))
        tenant = await self.registry.find_by_slug(name[0])
        try:
            self._count_try(name)
            return await self._sign_in(tenant, name, password, device_name)
        except (SignInRefused, SignInThrottled) as refused:
            if tenant is not None:
                whose = refused.principal if isinstance(refused, SignInRefused) else None
                self.denials.note(tenant.tenant, whose, SIGN_IN)
            raise

    async def _sign_in(
        self, tenant: Tenant | None, name: tuple[str, str], password: str, device_name: str
    ) -> SignedIn:
        signer = await self.signing.get_signer()
        whose, principal = await self._verified(tenant, name[1], password)
        self.failures.note_success(name)
        async with self.database.begin(whose) as tx:
            account = await tx.principals.find_account(principal)
            if account is None:
                raise SignInRefused(principal)
            session = await self.opener.open(tx, whose, account, device_name)
        return signed_in(whose, account, session, signer)

    def _count_try(self, name: tuple[str, str]) -> None:
        """Count this try as a failure until it succeeds, so that tries side by side count too."""
        now = self.clock.monotonic()
        wait = self.failures.wait_of(name, now)
        if wait > 0:
            raise SignInThrottled(math.ceil(wait))
        self.failures.note_failure(name, now)

    async def _verified(
        self, tenant: Tenant | None, name_key: str, password: str
    ) -> tuple[TenantId, PrincipalId]:
        """Return whose password it is; the hash is computed whether there is such a person or not."""
        known = None
        if tenant is not None and tenant.local_sign_in:
            async with self.database.begin(tenant.tenant) as tx:
                known = await tx.credentials.find_password(name_key)
        right = await self.passwords.verify(None if known is None else known[1], password)
        if tenant is None or known is None or not right:
            raise SignInRefused(None if known is None else known[0])
        return tenant.tenant, known[0]
