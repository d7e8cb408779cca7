"""Small nouns that two or more services share; a lib never knows a service."""
