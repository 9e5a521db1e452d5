"""Classifiers that look at a finished picture, and what follows from what they find. Each is optional and fetched."""
