"""How somebody is called whom the directory does not know."""

from uuid import UUID


def pseudonym_of(principal: UUID) -> str:
    """Return the name by which an imported author is shown: it tells two apart, and nobody's nick."""
    shown = principal.hex[:8].upper()
    return f"Imported author {shown[:4]}-{shown[4:]}"
