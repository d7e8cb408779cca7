"""The key service's way to the vault."""
