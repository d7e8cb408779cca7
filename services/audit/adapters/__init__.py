"""What the audit service reaches outside PostgreSQL: the keys service, and the sources of facts."""
