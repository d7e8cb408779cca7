"""The one refusal."""

from dataclasses import dataclass

from libs.kernel.errors import DomainError


@dataclass(eq=False)
class NotFound(DomainError):
    """There is no such thing for this actor: absent and forbidden are the same to whoever asks."""

    kind: str
