"""The rules: each takes source texts or facts and returns its breaches as sentences."""
