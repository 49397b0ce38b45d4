"""An action is tried again after one kind of error, and no oftener than is asked."""

from __future__ import annotations

import pytest

from git_annex_syncx.system.retry import retried


class Flaky:
    """An action that fails so often before it succeeds."""

    def __init__(self, failures: int) -> None:
        self.left, self.calls = failures, 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.left:
            raise BlockingIOError(self.calls, "busy")
        return self.calls


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_it_succeeds_in_the_end(failures: int) -> None:
    assert retried(Flaky(failures), BlockingIOError, 3, 0.001, 0.002) == failures + 1


@pytest.mark.parametrize("tries", [1, 2, 4])
def test_the_last_error_is_raised(tries: int) -> None:
    action = Flaky(10)
    with pytest.raises(BlockingIOError) as told:
        retried(action, BlockingIOError, tries)
    assert action.calls == told.value.errno == tries


def test_another_error_ends_it() -> None:
    action = Flaky(10)
    with pytest.raises(BlockingIOError):
        retried(action, FileNotFoundError, 3)
    assert action.calls == 1
