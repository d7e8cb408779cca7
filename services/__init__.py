"""The services of Muniment; none of them imports another."""
