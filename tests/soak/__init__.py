"""What takes minutes: processes killed at random points, many times. ``make soak``; a few times in the unit tests."""
