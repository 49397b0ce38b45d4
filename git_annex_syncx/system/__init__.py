"""Programs, processes, interrupts, files, locks, and what outlives a run."""
