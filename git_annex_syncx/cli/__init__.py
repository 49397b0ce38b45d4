"""The command line, click only: each command parses, calls one phase, and hands what it yields to a view."""

from __future__ import annotations

from git_annex_syncx.cli.main import group, main

__all__ = ["group", "main"]
