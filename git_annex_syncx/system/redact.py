"""Text that is shown, logged or kept: without the passwords that stand in urls, and without what is no text."""

from __future__ import annotations

import re

# Possessive and bounded: what others have written must not make it slow.
URL_WITH_USER = re.compile(
    r"\b(?P<scheme>[a-z][a-z0-9+.-]{0,30})://(?P<user>[^:/?#\s'\"@]*+)(?P<rest>[^/?#\s'\"]*)@", re.I
)
WEB = {"http", "https", "ftp", "ftps", "dav", "davs"}  # where a name alone may be a token


def without_passwords(text: str) -> str:
    """Return the text with `https://me:secret@host` as `https://host`, `ssh://me:secret@host` as `ssh://me@host`."""
    return URL_WITH_USER.sub(_without, text) if "@" in text else text


def printable(text: str) -> str:
    """Return text without what could drive a terminal; that, and bytes that are no UTF-8, are shown as escapes."""
    try:
        readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half a character, from JSON's escapes
        readable = text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in readable)


def _without(found: re.Match[str]) -> str:
    web = found["scheme"].lower() in WEB
    return f"{found['scheme']}://" + ("" if web or not found["user"] else f"{found['user']}@")
