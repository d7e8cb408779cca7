"""Decides what is to be destroyed, and when; keeps no copy of any message."""
