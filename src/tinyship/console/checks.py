"""What was looked at before a release, as a table: one line each, and what to do where something is in the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tinyship.console.tables import table

if TYPE_CHECKING:
    from tinyship.plan import Check


def lines(checks: Sequence[Check]) -> Iterator[str]:
    """The lines of a table of checks; nothing where there are none."""
    if not checks:
        return
    rows = table(("", "", ""), [(f"  {check.state}", check.name, check.said) for check in checks])
    indent = " " * (max(len(check.state) for check in checks) + max(len(check.name) for check in checks) + 6)
    for row, check in zip(rows, checks, strict=True):
        yield row
        yield from (f"{indent}{line}" for line in check.lines)
        if check.hint and check.state != "ok":
            yield f"{indent}{check.hint}"
