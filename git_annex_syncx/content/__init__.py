"""The mechanics of content: who lacks what, which steps are ours, the processes that move it."""
