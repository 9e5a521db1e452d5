"""What a picture's file says of itself, and whether it can be believed: for people, on a terminal or a page."""
