"""Tables as lines of text: the size table, plans, and whatever else has columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from tinyship.console import fold
from tinyship.units import change, known, size

if TYPE_CHECKING:
    from tinyship.plan import Plan
    from tinyship.sizes.table import Row

_COLUMNS = ("stage", "image", "unpacked", "pull", "unique", "dead", "layers", "change")


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = (), *, indent: int = 0
) -> tuple[str, ...]:
    """Lines with a heading, two spaces between columns; ``right`` names those that are flush right.

    Where that is too wide for the terminal, cells that are flush left are folded. Written out here, because a library
    that could do it costs every release the time of a build step.

    Args:
        indent: columns that the caller puts before each line.
    """
    return tuple(line for lines in blocks(columns, rows, right, indent=indent) for line in lines)


def blocks(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = (), *, indent: int = 0
) -> list[tuple[str, ...]]:
    """As ``table``, the lines of each row together."""
    lines = [columns, *rows] if any(columns) else [*rows]
    last = len(columns) - 1
    natural = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    width = fold.room() - indent
    if width <= 0 or sum(natural) + 2 * last <= width:
        return [(_line(columns, line, natural, right),) for line in lines]
    left = [number for number, column in enumerate(columns) if column not in right]
    prose = {
        number: max(len(word) for line in rows for word in line[number].split()) if number == last else 0
        for number in left
        if any(" " in line[number].strip() for line in rows)
    }
    names = [number for number in left if number not in prose]
    found = fold.widths(natural, names, prose, width - 2 * last)
    for number in names if prose else ():  # what they leave is for the words
        used = max(len(piece) for line in lines for piece in fold.words(line[number], found[number]))
        found[max(prose)] += found[number] - used
        found[number] = used
    return [_folded(columns, line, found, right) for line in lines]


def _folded(
    columns: Sequence[str], cells: Sequence[str], widths: Sequence[int], right: Sequence[str]
) -> tuple[str, ...]:
    """A row on several lines; what ends it is not parted within words, so that it can be copied."""
    last = len(columns) - 1
    parts = [fold.words(cells[number], widths[number], whole=number == last) for number in range(len(columns))]
    return tuple(_line(columns, line, widths, right) for line in zip_longest(*parts, fillvalue=""))


def _line(columns: Sequence[str], cells: Sequence[str], widths: Sequence[int], right: Sequence[str]) -> str:
    return "  ".join(
        cell.rjust(width) if column in right else cell.ljust(width)
        for column, cell, width in zip(columns, cells, widths, strict=True)
    ).rstrip()


def sizes(rows: Sequence[Row]) -> tuple[str, ...]:
    """The size table, and below it a line for each row of which more is worth saying."""
    cells = [
        (
            row.stage,
            row.image,
            size(row.unpacked),
            known(row.pull, estimated=row.estimated),
            known(row.unique),
            known(row.dead),
            str(row.layers),
            change(row.change),
        )
        for row in rows
    ]
    notes = (f"{row.image}: {row.note}" for row in rows if row.note)
    read = any(row.dead is not None for row in rows)
    shown = [number for number, column in enumerate(_COLUMNS) if read or column != "dead"]
    columns = [_COLUMNS[number] for number in shown]
    return (*table(columns, [[line[number] for number in shown] for line in cells], right=columns[2:]), *notes)


def plan(plan: Plan) -> tuple[str, ...]:
    """A plan: its heading, its actions, and those of its notices that none of its checks has."""
    version = f" {plan.version}" if plan.version else ""
    commit = f", commit {plan.commit[:7]}" if plan.commit else ""
    checked = {line for check in plan.checks for line in check.lines}
    rows = [(f"  {action.verb}", action.target, action.detail) for action in plan.actions]
    return (
        f"{plan.task} of {plan.image}{version}{commit} would",
        *table(("", "", ""), rows or [("  do nothing", "", "")]),
        *(f"note: {notice}" for notice in plan.notices if notice not in checked),
    )
