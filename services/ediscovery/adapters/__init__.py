"""The ports, by the technology that serves them."""
