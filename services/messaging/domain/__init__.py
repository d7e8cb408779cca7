"""What is true of conversations whatever stores or carries them: pure, without I/O or clocks."""
