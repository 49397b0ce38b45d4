"""The outside world: programs, git, git-annex, settings and the outbox."""
