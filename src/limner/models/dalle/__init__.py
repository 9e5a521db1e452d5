"""DALL-E mini: its files in every layout they were published in, its text, its part of a Plan."""
