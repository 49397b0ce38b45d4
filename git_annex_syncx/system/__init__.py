"""Programs, processes, files, locks, and what outlives a run."""
