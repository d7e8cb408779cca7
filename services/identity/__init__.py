"""Tenants, people, sessions, devices and roles: who someone is, and what was withdrawn."""
