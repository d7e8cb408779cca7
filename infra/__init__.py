"""What a deployment is made of besides the services."""
