"""Holds in PostgreSQL."""
