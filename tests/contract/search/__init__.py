"""One suite for every search index, and for the oracle."""
