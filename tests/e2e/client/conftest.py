"""Fixtures: people on the running platform."""

from tests.support.town import town

__all__ = ["town"]
