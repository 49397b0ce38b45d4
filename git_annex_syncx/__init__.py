"""git-annex-syncx keeps git-annex repositories together, phase by phase."""

__version__ = "0.1.0"
