"""What eDiscovery does."""
