"""What goes and what stays, as a table."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tinyship.cleaning.retention import Verdict
from tinyship.codes import without_codes
from tinyship.console.tables import table
from tinyship.git.revision import SHORT
from tinyship.units import known

_COMMIT = re.compile("[0-9a-f]{40,64}")
_COLUMNS = ("", "what", "name", "bytes", "why")


def lines(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """A row for each, what goes first; none where there is nothing."""
    ordered = sorted(verdicts, key=lambda one: one.stays)
    rows = [
        ("stays" if one.stays else "goes", one.kind, _name(one), known(one.bytes), without_codes(one.reason))
        for one in ordered
    ]
    return table(_COLUMNS, rows, right=("bytes",)) if rows else ()


def _name(one: Verdict) -> str:
    return without_codes(f"{one.name} (and {', '.join(_tag(name) for name in one.also)})" if one.also else one.name)


def _tag(name: str) -> str:
    """What tells a further name from the first; a commit is cut as people cut it."""
    tag = name.rpartition(":")[2]
    return f":{tag[:SHORT]}…" if _COMMIT.fullmatch(tag) else f":{tag}"
