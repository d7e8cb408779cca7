"""What identity reaches outside PostgreSQL: the keys service, Redis, and slow hashes."""
