"""HTTP: the public routes, SCIM and the routes for services."""
