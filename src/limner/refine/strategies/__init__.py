"""One strategy a file; each proposes rewrites of a prompt and is found through the registry."""
