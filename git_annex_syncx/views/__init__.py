"""Views: output for people and programs."""
