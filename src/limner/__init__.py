"""Limner turns words into pictures with pre-trained models, measures them, and refines the words."""
