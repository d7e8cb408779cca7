"""The runner: the only code that knows more than one service."""
