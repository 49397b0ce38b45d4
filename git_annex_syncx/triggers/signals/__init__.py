"""Telling the others out of band: look, something has changed."""
