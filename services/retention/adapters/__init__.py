"""Peers behind the ports: what was destroyed, the key that signs, and the audit log."""
