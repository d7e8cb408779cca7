"""PostgreSQL: pools, transactions bound to a tenant, roles, rights and migrations."""
