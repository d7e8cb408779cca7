"""Identity's PostgreSQL."""
