"""Unit tests of reading the audit log."""
