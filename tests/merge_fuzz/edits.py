"""Edits of a tree: values that can be printed, left out and done again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from git_annex_syncx.model import EXECUTABLE, GITLINK, REGULAR, SYMLINK, Entry

from .store import Store
from .versions import is_file, is_text, key_in, link_target, pointer

Files = dict[bytes, Entry]
Spec = Sequence[Any]  # ("file" | "program" | "link", content), ("locked" | "unlocked", key), ("submodule", id)
Edit = Sequence[Any]  # the name of the edit and its arguments; contents as Latin-1


def applied(store: Store, files: Mapping[bytes, Entry], edit: Edit) -> Files:
    """The files after an edit; one that makes no sense there changes nothing."""
    return EDITS[edit[0]](store, dict(files), *edit[1:])


def entry_of(store: Store, path: bytes, spec: Spec) -> Entry:
    """What a spec is at a path."""
    kind, said = spec
    if kind == "submodule":
        return Entry(GITLINK, said)
    if kind == "locked":
        return Entry(SYMLINK, store.blob(link_target(path, said)))
    if kind == "unlocked":
        return Entry(REGULAR, store.blob(pointer(said)))
    return Entry({"link": SYMLINK, "program": EXECUTABLE}.get(kind, REGULAR), store.blob(said.encode("latin-1")))


def _put(store: Store, files: Files, path: str, spec: Spec) -> Files:
    name = path.encode()
    return _set(files, name, entry_of(store, name, spec))


def _set(files: Files, path: bytes, entry: Entry) -> Files:
    """Set a path; what it makes impossible goes. Files of git's own are files."""
    if not is_file(entry) and path.rpartition(b"/")[2].startswith(b".git"):
        return files
    for other in list(files):
        if other.startswith(path + b"/") or path.startswith(other + b"/"):
            del files[other]
    files[path] = entry
    return files


def _remove(store: Store, files: Files, *paths: str) -> Files:
    for path in paths:
        files.pop(path.encode(), None)
    return files


def _move(store: Store, files: Files, *pairs: Sequence[str]) -> Files:
    """Move several at once, as in a swap; the link of a locked file is rewritten for its new depth."""
    taken = [(new.encode(), files.pop(old.encode())) for old, new in pairs if old.encode() in files]
    for new, entry in taken:
        _set(files, new, _at(store, new, entry))
    return files


def _copy(store: Store, files: Files, old: str, new: str) -> Files:
    if entry := files.get(old.encode()):
        _set(files, new.encode(), _at(store, new.encode(), entry))
    return files


def _at(store: Store, path: bytes, entry: Entry) -> Entry:
    if entry.mode == SYMLINK and (key := key_in(store, entry)):
        return Entry(SYMLINK, store.blob(link_target(path, key)))
    return entry


def _lines(store: Store, files: Files, path: str, *changes: Sequence[Any]) -> Files:
    """Change lines of a text: ("insert" | "replace" | "delete", number, line)."""
    entry = files.get(path.encode())
    if not is_text(store, entry):
        return files
    assert entry
    content = store.content(entry.oid)
    end = b"\r\n" if b"\r\n" in content else b"\n"
    old = content.removesuffix(b"\n").removesuffix(b"\r").split(end) if content else []
    for what, number, line in changes:
        at = number % (len(old) + (what == "insert")) if old or what == "insert" else None
        if at is not None:
            old[at : at + (what != "insert")] = [] if what == "delete" else [line.encode("latin-1")]
    made = end.join(old) + (end if old and (not content or content.endswith(b"\n")) else b"")
    return {**files, path.encode(): Entry(entry.mode, store.blob(made))}


def _mode(store: Store, files: Files, path: str) -> Files:
    entry = files.get(path.encode())
    if entry is None or not is_file(entry):
        return files
    return {**files, path.encode(): Entry(REGULAR + EXECUTABLE - entry.mode, entry.oid)}


def _lock(store: Store, files: Files, path: str) -> Files:
    """Lock an unlocked file, unlock a locked one."""
    entry = files.get(path.encode())
    if entry and (key := key_in(store, entry)):
        return _put(store, files, path, ("unlocked" if entry.mode == SYMLINK else "locked", key))
    return files


EDITS: dict[str, Callable[..., Files]] = {
    "put": _put,
    "remove": _remove,
    "move": _move,
    "copy": _copy,
    "lines": _lines,
    "mode": _mode,
    "lock": _lock,
}
