"""What is seen in images, as lines of text and as data: an explanation, a difference, a registry's word."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from tinyship.console.tables import table
from tinyship.context.names import shown
from tinyship.sizes import explain
from tinyship.units import change, known, size

if TYPE_CHECKING:
    from tinyship.sizes.advice import Advice
    from tinyship.sizes.diff import Diff
    from tinyship.stages.explaining import Explanation
    from tinyship.stages.looking import Remote
    from tinyship.stages.opening import Opened
    from tinyship.stages.size import Weighed

_WIDE = 90
"""Characters of an instruction."""

_PLACES = {"engine": "the engine", "file": "a file", "registry": "a registry"}
_Entry = TypeVar("_Entry")


def explanation(found: Explanation, top: int) -> Iterator[str]:
    """Where the bytes of an image are, and what to do about it.

    Args:
        top: entries of each part; 0 for all.
    """
    opened, account = found.opened, found.opened.account
    yield shown(f"{account.image.name} ({account.image.platform or 'no platform'}, from {_PLACES[opened.where]})")
    yield from _indented(_headline(opened))
    yield from _steps(found, top)
    folders = explain.largest_folders(explain.folders(account), top or sys.maxsize)
    rows: list[tuple[str, ...]]
    rows = [(size(one.live), size(one.dead), str(one.files), f"/{shown(one.path)}") for one in folders]
    if not account.dead:
        rows = [(live, files, path) for live, _, files, path in rows]
    yield from _part("by folder", ("live", *(("dead",) if account.dead else ()), "files", ""), rows, 0)
    packages = sorted(found.packages.packages, key=lambda one: (-one.size, one.name))
    if packages:
        rest = found.packages.rest
        listed = [(size(one.size), str(one.files), one.manager, f"{one.name} {one.version}") for one in packages]
        yield from _part("by package", ("live", "files", "", ""), listed, top)
        yield f"  {size(rest.size)} in {rest.files} files of no package"
    files = [
        (size(one.size), str(one.layer + 1), f"/{shown(one.path)}")
        for one in explain.largest_files(account, top or sys.maxsize)
    ]
    yield from _part("by file", ("live", "layer", ""), files, 0)
    dead = [
        (size(one.size), str(one.written + 1), str(one.hidden + 1), f"{one.cause}: /{shown(one.path)}")
        for one in explain.largest_dead(account, top or sys.maxsize)
    ]
    yield from _part("dead files", ("dead", "written", "hidden", ""), dead, 0)
    if found.advice:
        yield ""
        yield f"what would make it smaller, {size(sum(one.saving for one in found.advice))} in all"
        yield from _advice(_first(found.advice, top))
        if top and len(found.advice) > top:
            yield f"  and {len(found.advice) - top} more"
    for notice in (*account.notices, *found.packages.notices, *found.notices):
        yield f"note: {shown(notice)}"


def explanation_data(found: Explanation, top: int) -> dict[str, Any]:
    """An explanation as JSON has it, with as many entries of each part as are shown."""
    opened, account = found.opened, found.opened.account
    most = top or sys.maxsize
    packages = sorted(found.packages.packages, key=lambda one: (-one.size, one.name))
    return {
        "image": account.image.name,
        "id": account.image.id,
        "platform": account.image.platform,
        "where": opened.where,
        "base": opened.base_name,
        "unpacked": account.unpacked,
        "live": account.unpacked - account.dead_bytes,
        "dead": account.dead_bytes,
        "unique": opened.unique,
        "pull": opened.pull,
        "pull_estimated": opened.estimated,
        "layers": [
            {**asdict(step), "compressed": layer.contents.compressed}
            for step, layer in zip(explain.steps(account, base=opened.base), account.image.layers, strict=True)
        ],
        "folders": [
            {**asdict(one), "path": shown(one.path)} for one in explain.largest_folders(explain.folders(account), most)
        ],
        "packages": [asdict(one) for one in _first(packages, top)],
        "files": [
            {"path": shown(one.path), "size": one.size, "layer": one.layer + 1}
            for one in explain.largest_files(account, most)
        ],
        "dead_files": [
            {
                "path": shown(one.path),
                "size": one.size,
                "written": one.written + 1,
                "hidden": one.hidden + 1,
                "cause": one.cause,
            }
            for one in explain.largest_dead(account, most)
        ],
        "advice": [
            {**asdict(one), "layer": one.layer + 1, "hidden": None if one.hidden is None else one.hidden + 1}
            for one in _first(found.advice, top)
        ],
        "notices": [*account.notices, *found.packages.notices, *found.notices],
    }


def diff(found: Diff, top: int) -> Iterator[str]:
    """What differs between two images.

    Args:
        top: entries of each part; 0 for all.
    """
    yield shown(f"{found.after} against {found.before}")
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
            indent=2,
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
        (
            shown(row.platform) or "-",
            size(row.pull),
            known(row.unique_pull),
            known(row.unpacked),
            str(row.layers),
            row.digest,
        )
        for row in rows
    ]
    columns = ("platform", "pull", "unique pull", "unpacked", "layers", "digest")
    return table(columns, cells, right=columns[1:5])


def _headline(opened: Opened) -> tuple[str, ...]:
    """The sizes, each with its name."""
    account = opened.account
    beyond = f"unique beyond {opened.base_name}" if opened.base else "unique"
    cells = [
        (size(account.unpacked), "unpacked"),
        (known(opened.pull, estimated=opened.estimated), "pull"),
        (known(opened.unique), beyond),
        (size(account.dead_bytes), f"dead, {_share(account.dead_bytes, account.unpacked)} of unpacked"),
    ]
    width = max(len(number) for number, _ in cells)
    return tuple(f"{number.rjust(width)}  {what}" for number, what in cells if number != "-")


def _steps(found: Explanation, top: int) -> Iterator[str]:
    opened, account = found.opened, found.opened.account
    steps = explain.steps(account, base=opened.base)
    layers = [one.contents for one in account.image.layers]
    rows = [
        (
            str(step.number),
            size(step.held),
            size(step.dead),
            size(step.hid),
            known(step.stored),
            *((f"~{size(layer.compressed['gzip'])}", f"~{size(layer.compressed['zstd'])}") if layer.compressed else ()),
            f"{'(base) ' if step.base else ''}{instruction(step.instruction) or '(not known)'}",
        )
        for step, layer in zip(steps, layers, strict=True)
    ]
    estimated = any(layer.compressed for layer in layers)
    columns = ("layer", "held", "dead", "hides", "pull", *(("gzip", "zstd") if estimated else ()), "")
    silent = {
        *(("dead", "hides") if not account.dead else ()),
        *(("pull",) if all(step.stored is None for step in steps) else ()),
    }
    telling = [number for number, column in enumerate(columns) if column not in silent]
    shown_rows = [[row[number] for number in telling] for row in rows]
    yield from _part("by instruction", [columns[number] for number in telling], shown_rows, 0)


def _advice(every: Sequence[Advice]) -> Iterator[str]:
    width = max((len(size(one.saving)) for one in every), default=0)
    for one in every:
        where = ", ".join((*one.lint, *((f"line {one.line}",) if one.line else ())))
        where = f" [{where}]" if where else ""
        yield f"  {size(one.saving).rjust(width)}  {shown(one.text)}{where}"
        for path in one.paths[:2]:
            yield f"  {'':{width}}  /{shown(path)}"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def instruction(text: str) -> str:
    """An instruction on one line, of a length that can be read."""
    line = shown(" ".join(text.split()))
    return line if len(line) <= _WIDE else f"{line[: _WIDE - 3]}..."


def _part(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], top: int) -> Iterator[str]:
    """A table below a title, as long as it may be; nothing where it has no rows."""
    if not rows:
        return
    yield ""
    yield title
    # Whatever an image holds is another's text, and no terminal's command.
    yield from _indented(
        table(columns, [[shown(cell) for cell in row] for row in _first(rows, top)], right=columns[:-1], indent=2)
    )
    if top and len(rows) > top:
        yield f"  and {len(rows) - top} more"


def _first(rows: Sequence[_Entry], top: int) -> Sequence[_Entry]:
    return rows[:top] if top else rows


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
