"""What is done with holds, one verb each."""
