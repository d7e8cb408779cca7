"""Messaging's ports carried out by Redis and by the other services' internal routes."""
