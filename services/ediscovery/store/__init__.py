"""What eDiscovery keeps in PostgreSQL."""
