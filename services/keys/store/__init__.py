"""The rows of the key service, in a PostgreSQL cluster of its own."""
