"""Evidence, and every way of tampering with it that is refused."""
