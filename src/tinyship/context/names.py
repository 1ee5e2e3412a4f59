"""Shows file names to people, whatever bytes are in them."""

from __future__ import annotations


def shown(path: str) -> str:
    """A path for people: on one line, whatever bytes are in it."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
