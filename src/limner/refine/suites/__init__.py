"""Sets of prompts to measure a model by: published ones, the built-in world's, and a user's own file."""
