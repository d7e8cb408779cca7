"""Holds, retention, messaging and keys together: a machine that tries to destroy what is held."""
