"""What is done about retention, a module for each."""
