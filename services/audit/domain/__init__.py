"""The rules of the log, pure."""
