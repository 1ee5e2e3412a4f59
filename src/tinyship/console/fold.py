"""Folds text that a terminal has no room for: at words, and within a name only with a mark."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence

_MARK = "…"
_JOINTS = "/:@,-"
_WORD = re.compile(r"(?:`[^`]*`|\S)+")
"""A command stays on its line, to be copied from there."""
_PROSE, _NAME = 24, 12
"""Columns that text with words in it, and a name, are never narrower than."""


def room() -> int:
    """The columns of the terminal that results are printed on; 0 where they go elsewhere, and are never folded."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    except (OSError, ValueError):  # it is closed, or none that a system knows
        return 0


def words(text: str, width: int, *, whole: bool = False) -> list[str]:
    """The lines of a text of at most so many characters; those after the first are indented as it is.

    Args:
        whole: leave names that are longer as they are, so that they can be copied.
    """
    if len(text) <= width:
        return [text]
    indent = text[: len(text) - len(text.lstrip(" │├└─"))]
    after = " " * len(indent)
    lines = [indent]
    empty = True
    for word in _WORD.findall(text[len(indent) :]):
        pieces = [word] if whole else _pieces(word, max(2, width - len(indent)))
        for number, piece in enumerate(pieces):
            space = "" if empty else " "
            if not empty and (number or len(lines[-1]) + 1 + len(piece) > width):
                lines.append(after)
                space = ""
            lines[-1] += space + piece
            empty = False
    return lines


def widths(natural: Sequence[int], names: Sequence[int], prose: Mapping[int, int], most: int) -> list[int]:
    """How wide columns are that have so much room together: prose becomes narrower first, then names do.

    Args:
        natural: what each needs.
        names: the numbers of those that may be narrower.
        prose: the numbers of those that have words in them, and the longest word that should be left whole.
        most: the room for all; no column is narrower than can be read, whatever this is.
    """
    found = list(natural)
    least = {number: min(max(_PROSE, longest), most // 2) for number, longest in prose.items()}
    for some in (least, dict.fromkeys((*names, *prose), _NAME)):
        while sum(found) > most and (wide := [number for number in some if found[number] > some[number]]):
            found[max(wide, key=lambda number: found[number])] -= 1
    return found


def _pieces(word: str, width: int) -> list[str]:
    """A word in pieces, with a mark where it goes on. It is parted where its parts are joined, if that is near."""
    pieces = []
    while len(word) > width:
        end = width - len(_MARK)
        joint = max(word.rfind(one, 0, end) for one in _JOINTS) + 1
        end = joint if joint > end // 2 else end
        pieces.append(word[:end] + _MARK)
        word = word[end:]
    return [*pieces, word]
