"""What the platform promises while its parts are killed, sealed, flooded and lied to."""
