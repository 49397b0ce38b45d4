"""Trees and merges for people."""

from __future__ import annotations

from collections.abc import Mapping

from git_annex_syncx.model import GITLINK, SYMLINK, Entry

from .store import Store, Unsound
from .versions import is_binary, key_in


def shown(store: Store, files: Mapping[bytes, Entry]) -> list[str]:
    """The files of a tree as lines for people."""
    return [
        f"{path.decode(errors='backslashreplace')} = {_shown(store, entry)}" for path, entry in sorted(files.items())
    ]


def _shown(store: Store, entry: Entry) -> str:
    if entry.mode == GITLINK:
        return f"submodule {entry.oid[:8]}"
    if key := key_in(store, entry):
        where = f" by {store.content(entry.oid)[:20]!r}" if entry.mode == SYMLINK else ""
        return f"{'locked' if entry.mode == SYMLINK else 'unlocked'} {key[:30]}{where}"
    content = store.content(entry.oid)
    kind = "link" if entry.mode == SYMLINK else "file" if entry.mode & 0o111 == 0 else "program"
    most = 40 if is_binary(content) else 300
    return f"{kind} {content if len(content) <= most else content[:most] + b'...'!r}"


def explained(store: Store, merge: str) -> str:
    """The bases, the sides and the result of a merge, for people."""
    one, two = store.commit_of(merge).parents
    parts = [(f"base {base[:10]}", base) for base in store.bases(one, two)]
    parts += [
        (f"one {one[:10]} @{store.commit_of(one).date}", one),
        (f"two {two[:10]} @{store.commit_of(two).date}", two),
    ]
    parts.append((f"result {merge[:10]}", merge))
    return "\n".join(
        line for title, commit in parts for line in (title, *(f"    {row}" for row in _rows(store, commit)))
    )


def _rows(store: Store, commit: str) -> list[str]:
    try:
        return shown(store, store.files(commit))
    except Unsound as error:
        return [f"no tree of git's: {error}"]
