"""Unit tests of productions."""
