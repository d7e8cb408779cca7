"""Holds: what must be preserved, since when it is, and who ended it."""
