"""The tree against foreign vectors and against itself."""
