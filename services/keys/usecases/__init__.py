"""What can be asked of the key service, one verb a module."""
