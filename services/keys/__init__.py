"""The key service: the only one that talks to the vault, and the only one that holds wrapped keys."""
