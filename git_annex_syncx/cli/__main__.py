"""`python -m git_annex_syncx.cli`."""

from __future__ import annotations

from git_annex_syncx.cli.main import main

if __name__ == "__main__":
    main()
