"""Starts, watches and stops everything: the only code that knows more than one service."""
