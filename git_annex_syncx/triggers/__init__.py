"""What makes a phase run."""
