"""Rules, locks, erasures and orders. Pure."""
