"""Measuring pictures: metrics behind one protocol, and the statistics that turn scores into what may be said."""
