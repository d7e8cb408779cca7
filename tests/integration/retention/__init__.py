"""The retention service over its real database."""
