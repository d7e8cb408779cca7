"""Ids, time, randomness, secrets and errors: what every room may use, free of I/O frameworks."""
