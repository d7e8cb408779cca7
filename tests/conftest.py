"""Fixtures for every test."""

pytest_plugins = ["tests.support.engines", "tests.support.platform"]
