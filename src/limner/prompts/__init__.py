"""Prompts: from what a person wrote to the token chunks a text encoder reads. Pure Python, no tensors.

The way of a prompt: `files` (where it was read) -> `styles` -> `expand` (wildcards, variants) -> `syntax` (weights,
breaks, scheduling) -> `chunks` (token ids). `lint` looks on and proposes; it changes nothing.
"""
