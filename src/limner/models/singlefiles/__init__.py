"""Checkpoints in one file: what is in them, and the names our networks read them by."""
