"""The Hugging Face hub: repos at a commit, files by their hash, transfers that go on where they stopped."""
