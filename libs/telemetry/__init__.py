"""Logs without content, metrics and traces."""
