"""The platform under faults, with people on it."""

from tests.support.town import town

__all__ = ["town"]
