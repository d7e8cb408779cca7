"""What a hold is, and what may be done with it."""
