"""What a production refuses to be made from."""

from dataclasses import dataclass
from uuid import UUID

from libs.kernel.errors import DomainError


@dataclass(eq=False)
class OutOfOrder(DomainError):
    """An entry came before one that it follows, or a second time: nothing that follows would be right."""

    conversation: UUID
    seq: int
