"""What is seen in images, as lines of text and as data: an explanation, a difference, a registry's word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from tinyship.console.tables import table
from tinyship.console.units import change, known, size
from tinyship.context.names import shown

if TYPE_CHECKING:
    from tinyship.sizes.diff import Diff
    from tinyship.stages.looking import Remote
    from tinyship.stages.size import Weighed

_WIDE = 90
"""Characters of an instruction."""

_Entry = TypeVar("_Entry")


def diff(found: Diff, top: int) -> Iterator[str]:
    """What differs between two images.

    Args:
        top: entries of each part; 0 for all.
    """
    yield f"{found.after} against {found.before}"
    yield from _indented(
        table(
            ("", "before", "after", "change"),
            [
                ("unpacked", *map(size, found.unpacked), change(found.gained)),
                ("dead", *map(size, found.dead), change(found.dead[1] - found.dead[0])),
                *(
                    [("pull", *map(known, found.pull), change((found.pull[1] or 0) - (found.pull[0] or 0)))]
                    if None not in found.pull
                    else []
                ),
            ],
            right=("before", "after", "change"),
        )
    )
    layers = [
        (
            known(layer.before),
            known(layer.after),
            "same" if layer.same else change(layer.gained),
            instruction(layer.instruction),
        )
        for layer in found.layers
    ]
    yield from _part("by instruction", ("before", "after", "change", ""), layers, 0)
    for name, gains in (("by folder", found.folders), ("by package", found.packages)):
        rows = [
            (
                size(gain.before),
                size(gain.after),
                change(gain.gained),
                (f"/{shown(gain.name)}" if name == "by folder" else f"{shown(gain.name)} {gain.detail}").strip(),
            )
            for gain in gains
        ]
        yield from _part(name, ("before", "after", "change", ""), rows, top)
    files = [
        (known(path.before), known(path.after), change(path.gained), f"{path.word} /{shown(path.path)}")
        for path in found.paths
    ]
    yield from _part("by file", ("before", "after", "change", ""), files, top)
    if not found.paths and not any(not layer.same for layer in found.layers):
        yield "the layers are the same"


def diff_data(found: Diff, top: int) -> dict[str, Any]:
    """A difference as JSON has it, with as many paths, folders and packages as are shown."""
    return {
        "before": found.before,
        "after": found.after,
        "unpacked": found.unpacked,
        "dead": found.dead,
        "pull": found.pull,
        "layers": [asdict(layer) for layer in found.layers],
        "folders": [asdict(folder) for folder in _first(found.folders, top)],
        "packages": [asdict(package) for package in _first(found.packages, top)],
        "files": [
            {"path": shown(path.path), "before": path.before, "after": path.after, "change": path.word}
            for path in _first(found.paths, top)
        ],
    }


def weighed_data(done: Sequence[Weighed]) -> dict[str, Any]:
    """What was weighed, as JSON has it; with the differences where it was compared."""
    diffs = [diff_data(one.diff, 0) for one in done if one.diff]
    return {"images": [row for one in done for row in one.rows], **({"diffs": diffs} if diffs else {})}


def remote(rows: Sequence[Remote]) -> tuple[str, ...]:
    """What a registry says of an image."""
    cells = [
        (row.platform or "-", size(row.pull), known(row.unique), known(row.unpacked), str(row.layers), row.digest)
        for row in rows
    ]
    columns = ("platform", "pull", "unique", "unpacked", "layers", "digest")
    return table(columns, cells, right=columns[1:5])


def instruction(text: str) -> str:
    """An instruction on one line, of a length that can be read."""
    line = " ".join(shown(text).replace("\\n", " ").replace("\\t", " ").split())
    return line if len(line) <= _WIDE else f"{line[: _WIDE - 3]}..."


def _part(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], top: int) -> Iterator[str]:
    """A table below a title, as long as it may be; nothing where it has no rows."""
    if not rows:
        return
    yield ""
    yield title
    yield from _indented(table(columns, _first(rows, top), right=columns[:-1]))
    if top and len(rows) > top:
        yield f"  and {len(rows) - top} more"


def _first(rows: Sequence[_Entry], top: int) -> Sequence[_Entry]:
    return rows[:top] if top else rows


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
