"""What syncx does: each phase is an idempotent function that yields outcomes."""
