"""Four eyes: what cannot be undone is asked for by one person, approved by another, and done once."""
