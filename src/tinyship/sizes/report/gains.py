"""What differs from another image, as sections of a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinyship.sizes.diff import Diff, Gain
from tinyship.sizes.report.markup import Column, balance, change, code, size, table, text
from tinyship.sizes.report.names import instruction, path, shown


def telling(folders: Sequence[Gain]) -> tuple[Gain, ...]:
    """The folders that tell the most: one that gained little beside a single folder below it says no more than that."""
    inner: dict[str, tuple[int, int]] = {}
    for gain in folders:
        if gain.name:
            above = gain.name.rpartition("/")[0]
            least, most = inner.get(above, (0, 0))
            inner[above] = min(least, gain.gained), max(most, gain.gained)
    return tuple(gain for gain in folders if not _says_no_more(gain, inner.get(gain.name, (0, 0))))


def section(diff: Diff) -> str:
    """What grew and what shrank: in all, by instruction, by folder, by path and by package."""
    layers = [change for change in diff.layers if change.gained or change.before is None or change.after is None]
    layers.sort(key=lambda change: -abs(change.gained))
    parts = (
        (
            "By instruction",
            [
                (
                    code(instruction(one.instruction, 0)) if one.instruction else "a layer without a history",
                    one.before,
                    one.after,
                )
                for one in layers
            ],
        ),
        ("By folder", [(code(path(one.name)), one.before, one.after) for one in telling(diff.folders)]),
        ("By path", [(code(path(one.path)), one.before, one.after) for one in diff.paths if one.gained]),
        (
            "By package",
            [
                (f"{code(shown(one.name))} {text(shown(one.detail, 80))}", one.before, one.after)
                for one in diff.packages
            ],
        ),
    )
    return _totals(diff) + "".join(_part(title, rows) for title, rows in parts)


def _says_no_more(gain: Gain, inner: tuple[int, int]) -> bool:
    least, most = inner
    return most >= 0.95 * gain.gained if gain.gained > 0 else least <= 0.95 * gain.gained


def _totals(diff: Diff) -> str:
    every = (("unpacked", diff.unpacked), ("pull", diff.pull), ("dead", diff.dead))
    rows = (
        (
            name,
            size(before),
            size(after),
            change(after - before if before is not None and after is not None else None),
        )
        for name, (before, after) in every
    )
    columns = (Column("size", "name"), Column("before"), Column("after"), Column("change"))
    names = f"<p>{code(shown(diff.before))} compared with {code(shown(diff.after))}</p>"
    return names + table("Sizes of the two images", columns, rows)


def _part(title: str, rows: Iterable[tuple[str, int | None, int | None]]) -> str:
    """One table of gains and losses, drawn on one scale."""
    every = [(name, before, after, (after or 0) - (before or 0)) for name, before, after in rows]
    widest = max((abs(gained) for *_, gained in every), default=0)
    cells = (
        (name, balance(widest, gained), size(before), size(after), change(gained))
        for name, before, after, gained in every
    )
    columns = (
        Column(title.partition(" ")[2], "name"),
        Column("less, more", "bar middle"),
        Column("before"),
        Column("after"),
        Column("change"),
    )
    found = table(f"Gains and losses, {title[0].lower()}{title[1:]}", columns, cells)
    return f"<h3>{title}</h3>{found}" if found else ""
