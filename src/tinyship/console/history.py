"""The history of sizes as text: a table for each image, with bars."""

from __future__ import annotations

from tinyship.console import fold
from tinyship.console.tables import table
from tinyship.git.revision import SHORT
from tinyship.kept.history import moment
from tinyship.kept.trend import Point, Trend
from tinyship.units import change, known

_COLUMNS = ("version", "date", "commit", "unpacked", "change", "pull", "change", "unique", "layers", "digest", "")
_RIGHT = ("unpacked", "change", "pull", "unique", "layers")
_WIDTH = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"


def lines(trend: Trend, *, blocks: bool) -> tuple[str, ...]:
    """What it is the history of, and a row for each release.

    Args:
        trend: of one image.
        blocks: draw the bars with block characters, which are finer and not for every log.
    """
    most = max((point.unpacked or 0 for point in trend.points), default=0)
    rows = [_row(point, bar(point.unpacked or 0, most, blocks=blocks)) for point in trend.points]
    shown = table(_COLUMNS, rows, right=_RIGHT)
    for count in (len(_COLUMNS) - 1, len(_COLUMNS) - 2):  # what is drawn, and then the digest, where there is no room
        if 0 < fold.room() < max(map(len, shown)):
            shown = table(_COLUMNS[:count], [row[:count] for row in rows], right=_RIGHT)
    return (f"{trend.stage} {trend.image}", *shown)


def bar(value: int, most: int, *, blocks: bool) -> str:
    """A bar as long as ``value`` is of ``most``, from 0 on; what is not nothing can be seen."""
    steps = 8 if blocks else 1
    length = max(round(_WIDTH * steps * value / most), 1) if value and most else 0
    return "█" * (length // 8) + _EIGHTHS[length % 8].strip() if blocks else "#" * length


def _row(point: Point, drawn: str) -> tuple[str, ...]:
    return (
        point.version,
        moment(point.date).date().isoformat() if point.date else "-",
        point.commit[:SHORT] or "-",
        known(point.unpacked),
        change(point.unpacked_change),
        known(point.pull),
        change(point.pull_change),
        known(point.unique),
        str(point.layers),
        "known" if point.digest else "-",
        drawn,
    )
