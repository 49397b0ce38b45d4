"""Merges: the resolution of two versions of one path."""
