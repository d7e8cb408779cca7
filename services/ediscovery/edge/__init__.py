"""What the search speaks to the outside."""
