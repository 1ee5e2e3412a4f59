"""Tables as lines of text: the size table, plans, and whatever else has columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinyship.units import change, known, size

if TYPE_CHECKING:
    from tinyship.plan import Plan
    from tinyship.sizes.table import Row

_COLUMNS = ("stage", "image", "unpacked", "pull", "unique", "dead", "layers", "change")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> tuple[str, ...]:
    """Lines with a heading, two spaces between columns; ``right`` names those that are flush right.

    Written out here, because a library that could do it costs every release the time of a build step.
    """
    lines = [columns, *rows] if any(columns) else [*rows]
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    return tuple(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, cell, width in zip(columns, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


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
    """A plan: its heading, its actions, and its notices."""
    version = f" {plan.version}" if plan.version else ""
    commit = f", commit {plan.commit[:7]}" if plan.commit else ""
    rows = [(f"  {action.verb}", action.target, action.detail) for action in plan.actions]
    return (
        f"{plan.task} of {plan.image}{version}{commit} would",
        *table(("", "", ""), rows or [("  do nothing", "", "")]),
        *(f"note: {notice}" for notice in plan.notices),
    )
