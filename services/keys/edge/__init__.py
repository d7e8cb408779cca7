"""What the key service answers over HTTP."""
