"""Names that others gave, as they may be shown: no character of them is hidden, turns the line round, or ends it.

Source of what has to be shown otherwise: Unicode, general categories Cc, Cf, Cs, Zl and Zp; among them are the marks of
UAX 9 that reorder text ("Trojan Source").
"""

from __future__ import annotations

import unicodedata

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
_TURNING = frozenset(("R", "AL", "AN"))
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shown(text: str, most: int = 160) -> str:
    """A name with escapes in place of what cannot be seen; a byte that is no UTF-8 is ``\\xff``.

    Args:
        most: characters; of a longer name, the middle is left out.
    """
    spared = _middle(text, most)
    if not spared.isprintable():
        spared = "".join(_seen(character) for character in spared)
        spared = _middle(spared, most)
    return spared


def apart(text: str) -> str:
    """A name that holds letters from right to left, isolated from what stands beside it; others as they are."""
    return f"\u2066{text}\u2069" if any(map(_turns, text)) else text


def path(name: str, most: int = 160) -> str:
    """A path from the root of an image, as it may be shown; see ``shown``."""
    return shown(f"/{name}", most)


def instruction(text: str, number: int, most: int = 160) -> str:
    """An instruction on one line, or the layer's number, from 1, where the history does not say it."""
    return shown(" ".join(text.split()), most) or f"layer {number}"


def _turns(character: str) -> bool:
    return unicodedata.bidirectional(character) in _TURNING


def _seen(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return _ESCAPES.get(character) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def _middle(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head]}…{text[head + 1 - most :]}"
