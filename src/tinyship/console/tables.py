"""Tables of text: the size table, plans, and whatever else has columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tinyship.console.units import change, known, size

if TYPE_CHECKING:
    from rich.table import Table

    from tinyship.plan import Plan
    from tinyship.sizes.table import Row

_COLUMNS = ("stage", "image", "unpacked", "pull", "unique", "layers", "change")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> Table:
    """A table with a line of headings; ``right`` names the columns that are flush right."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", show_header=any(columns))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def sizes(rows: Sequence[Row]) -> tuple[Table, tuple[str, ...]]:
    """The size table, and the lines below it: what is worth saying of a row."""
    cells = [
        (
            row.stage,
            row.image,
            size(row.unpacked),
            known(row.pull),
            known(row.unique),
            str(row.layers),
            change(row.change),
        )
        for row in rows
    ]
    notes = tuple(f"{row.image}: {row.note}" for row in rows if row.note)
    return table(_COLUMNS, cells, right=_COLUMNS[2:]), notes


def plan(plan: Plan) -> tuple[str, Table, tuple[str, ...]]:
    """A plan: its heading, its actions, and its notices."""
    commit = f", commit {plan.commit[:7]}" if plan.commit else ""
    heading = f"{plan.task} of {plan.image} {plan.version}{commit} would"
    rows = [(f"  {action.verb}", action.target, action.detail) for action in plan.actions]
    return heading, table(("", "", ""), rows or [("  do nothing", "", "")]), plan.notices
