"""Pieces of HTML: escaped text, sizes, bars, and tables that fold into cards on a phone."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tinyship import units

_SHOWN, _MOST = 10, 100


class Column(NamedTuple):
    """A column of a table.

    Args:
        title: its heading.
        kind: ``name`` for what the row is about, ``number``, ``text``, ``bar``, or ``bar middle``.
    """

    title: str
    kind: str = "number"


def text(words: str) -> str:
    """Words, escaped; fit for attributes as well. What cannot be encoded has to be gone already, see ``names``."""
    return html.escape(words, quote=True)


def code(words: str) -> str:
    """A name that is shown as it is, from left to right whatever letters it has."""
    return f'<code dir="ltr">{text(words)}</code>'


def prose(words: str) -> str:
    """A sentence, in which what stands between backticks is code."""
    parts = words.split("`")
    if len(parts) % 2 == 0:
        return text(words)
    return "".join(code(part) if at % 2 else text(part) for at, part in enumerate(parts))


def size(count: int | None) -> str:
    """Bytes for people; the exact number where a pointer rests on it."""
    return "-" if count is None else f'<span title="{count:,} bytes">{units.size(count)}</span>'


def change(count: int | None) -> str:
    """Bytes gained or lost, with a sign, and in the colour of one or the other."""
    if not count:
        return units.change(count)
    return f'<span class="{"more" if count > 0 else "less"}" title="{count:+,} bytes">{units.change(count)}</span>'


def bar(whole: int, *parts: tuple[str, int]) -> str:
    """Parts of a whole, drawn to scale; what they say stands in the numbers beside them.

    Args:
        whole: what the full width stands for, in bytes.
        parts: a class and bytes of each, from left to right.
    """
    drawn = "".join(f'<i class="{name}" style="width:{_percent(count, whole)}"></i>' for name, count in parts if count)
    return f'<span class="bar" aria-hidden="true">{drawn}</span>'


def balance(widest: int, gained: int) -> str:
    """Bytes gained, to the right of a middle line, or lost, to the left of it.

    Args:
        widest: the largest gain or loss of all that are drawn beside each other.
    """
    side = "more" if gained > 0 else "less"
    return (
        '<span class="bar balance" aria-hidden="true">'
        f'<i class="{side}" style="width:{_percent(abs(gained), 2 * widest)}"></i></span>'
    )


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], *, every: bool = False) -> str:
    """A table; of a long one, the end folds away, and what is beyond a hundred rows is only counted.

    Args:
        caption: what it is, for those who do not see what stands above it.
        rows: cells, as HTML.
        every: whether all rows are shown.
    """
    lines = [_row(columns, row) for row in rows]
    if not lines:
        return ""
    head = "".join(
        f'<th role="columnheader" scope="col" class="{column.kind}">{column.title}</th>' for column in columns
    )
    start = f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
    first = len(lines) if every or len(lines) <= _SHOWN + 2 else _SHOWN
    shown = _table(caption, start, lines[:first])
    more = lines[first:_MOST] if not every else []
    if more:
        beyond = len(lines) - first - len(more)
        folded = _table(f"{caption}, continued", start, more)
        left = f'<p class="muted">and {beyond:,} smaller ones</p>' if beyond else ""
        shown += f"<details><summary>{len(more):,} more</summary>{folded}{left}</details>"
    return shown


def _table(caption: str, head: str, rows: Sequence[str]) -> str:
    return (
        f'<table role="table"><caption>{text(caption)}</caption>{head}'
        f'<tbody role="rowgroup">{"".join(rows)}</tbody></table>\n'
    )


def _row(columns: Sequence[Column], cells: Sequence[str]) -> str:
    return (
        '<tr role="row">'
        + "".join(
            f'<td role="cell" class="{column.kind}" data-label="{column.title}">{cell}</td>'
            for column, cell in zip(columns, cells, strict=True)
        )
        + "</tr>"
    )


def _percent(count: int, whole: int) -> str:
    return f"{100 * count / whole if whole else 0:.2f}%"
