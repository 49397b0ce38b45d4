"""What becomes of two versions of one path."""
