"""One run: its context, its threads, pauses, the log of outcomes, notifications."""
