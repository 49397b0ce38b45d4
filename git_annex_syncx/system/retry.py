"""Trying again, by tenacity, which is loaded (20 ms) only where the first try was not enough."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def retried(
    action: Callable[[], T], error: type[Exception], tries: int, first: float = 0.0, longest: float = 0.0
) -> T:
    """Return the result of an action, which is tried again after an `error`, at most so many times in all.

    Between two tries it waits at random, for at most `first` seconds, doubled each time up to `longest`. Raises the
    last error.
    """
    try:
        return action()
    except error:
        if tries < 2:
            raise
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    time.sleep(random.uniform(0, first))
    return Retrying(
        stop=stop_after_attempt(tries - 1), wait=wait_random_exponential(multiplier=2 * first, max=longest),
        retry=retry_if_exception_type(error), reraise=True,
    )(action)  # fmt: skip
