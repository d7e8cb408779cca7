"""The rules about rules."""
