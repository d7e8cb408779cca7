"""What the database may refuse, in words that name no driver."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError


@dataclass(eq=False)
class DatabaseUnavailable(DomainError):
    """The database did not answer, or the connection to it was lost.

    `outcome_unknown` is true when the connection was lost during COMMIT: the transaction may stand.
    """

    database: str
    outcome_unknown: bool = False


@dataclass(eq=False)
class TransactionAborted(DomainError):
    """A statement of the transaction had failed, so that nothing of it was committed."""

    database: str


@dataclass(eq=False)
class RoleTooPowerful(DomainError):
    """A service signed in with a role that row-level security does not bind."""

    database: str
    role: str
