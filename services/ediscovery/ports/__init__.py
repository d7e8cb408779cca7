"""What the use cases need, in their own words."""
