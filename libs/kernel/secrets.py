"""A value that must not be seen: it prints as stars wherever it is printed by accident."""

import hmac


class Secret:
    """Holds a secret text; only `reveal` gives it away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Keep `value` out of every representation of this object."""
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        """Return stars."""
        return "***"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        """Hash by identity: a secret's hash must not tell of its value."""
        return id(self)
