"""The one house of every service process: app factory, problem documents, limits, health, serving, peers."""
