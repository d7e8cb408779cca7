"""How each real server is had and started: PostgreSQL, Valkey, OpenBao and Caddy, from their wheels."""
