"""Search over what was said, within what the one who searches may see."""
