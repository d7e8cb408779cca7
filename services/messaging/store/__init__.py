"""Messaging's rows in PostgreSQL."""
