"""What a picture will cost, counted from config files alone. Torch-free."""
