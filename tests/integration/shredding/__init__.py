"""From a destroyed body to the key that is gone: messaging and the key service, on their real databases."""
