"""Measures a deployment of its own, each figure against a baseline of the same run where there is one."""
