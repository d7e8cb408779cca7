"""What a caller can ask of messaging, a module for each verb."""
