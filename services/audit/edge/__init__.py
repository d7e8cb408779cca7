"""Streams that come in, and the HTTP routes of the log."""
