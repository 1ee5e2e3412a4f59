"""What was looked at before a release, as a table: one line each, and what to do where something is in the way."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tinyship.console import fold
from tinyship.console.tables import blocks

if TYPE_CHECKING:
    from tinyship.plan import Check


def lines(checks: Sequence[Check]) -> Iterator[str]:
    """The lines of a table of checks; nothing where there are none."""
    if not checks:
        return
    rows = blocks(("", "", ""), [(f"  {check.state}", check.name, check.said) for check in checks])
    indent = " " * (max(len(check.state) for check in checks) + max(len(check.name) for check in checks) + 6)
    for row, check in zip(rows, checks, strict=True):
        yield from row
        hint = (check.hint,) if check.hint and check.state != "ok" else ()
        for line in (*check.lines, *hint):
            yield from fold.words(f"{indent}{line}", fold.room() or sys.maxsize, whole=True)
