"""Where content should travel."""
