"""A token bucket: a few at once, then one in so many seconds. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenBucket:
    """A bucket of `burst` tokens, one of which comes back `every` so many seconds.

    Kept as one number, the time at which it will be full again (the generic cell rate algorithm, ITU-T I.371).
    """

    burst: int
    every: float
    full: float = float("-inf")

    def next(self, now: float) -> float:
        """Return when a token can be taken: `now`, or later."""
        return max(now, self.full - (self.burst - 1) * self.every)

    def taken(self, when: float) -> TokenBucket:
        """Return the bucket after one was taken, at a time not before `next`."""
        return TokenBucket(self.burst, self.every, max(self.full, when) + self.every)
