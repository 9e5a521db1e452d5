"""Measures the pocket models on prompts that training never saw."""
