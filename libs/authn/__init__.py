"""Who calls: access tokens of people, tokens of services, and what was revoked meanwhile."""
