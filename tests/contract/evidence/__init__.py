"""Evidence as programs that nobody here wrote read it."""
