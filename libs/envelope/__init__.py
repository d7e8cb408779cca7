"""Sealed records: a body is encrypted for exactly one place, under one data key, before it is stored."""
