"""The phases: each one is an idempotent function that yields outcomes."""
