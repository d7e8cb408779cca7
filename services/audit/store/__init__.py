"""The PostgreSQL of the audit service."""
