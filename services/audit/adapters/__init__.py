"""What the audit service reaches outside PostgreSQL: the keys service."""
