"""Randomness as a port: keys, nonces, salts and ids come from here alone."""

import os
import random
from typing import Protocol


class Randomness(Protocol):
    """A source of unpredictable bytes."""

    def bytes(self, count: int) -> bytes:
        """Return `count` bytes."""
        ...


class SystemRandomness:
    """The operating system's generator."""

    def bytes(self, count: int) -> bytes:
        """Return `count` bytes from the operating system."""
        return os.urandom(count)


class SeededRandomness:
    """A repeatable source for tests and for samples from a committed seed; never for keys."""

    def __init__(self, seed: int) -> None:
        """Start the sequence that `seed` names."""
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, never used for secrets

    def bytes(self, count: int) -> bytes:
        """Return the next `count` bytes of the sequence."""
        return self._random.randbytes(count)
