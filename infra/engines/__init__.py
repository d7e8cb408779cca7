"""How the real servers are had and started."""
