"""From a model's name to its family and files."""
