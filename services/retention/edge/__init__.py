"""The doors of the retention service."""
