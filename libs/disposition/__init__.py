"""What becomes of an item of correspondence: the one decision that everything which destroys asks."""
