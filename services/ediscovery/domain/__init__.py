"""The rules of search, pure: tokens, queries and what they match."""
