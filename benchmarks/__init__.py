"""Measurements, side by side in one run. Nothing here is a test: timings depend on the machine."""
