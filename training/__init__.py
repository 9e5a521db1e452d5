"""How the built-in pocket models are made. Nothing in ``limner`` imports this package."""
