"""Orders of disposition, answered over a real log."""
