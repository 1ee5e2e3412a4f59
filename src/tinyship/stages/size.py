"""The size table of what is in the engine: base images, build image, release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tinyship import record
from tinyship.engine import images
from tinyship.engine.images import Image
from tinyship.sizes import budgets
from tinyship.sizes.table import Row
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.settings.schema import Budget


def rows(scope: Scope, *, release: str, before: Sequence[record.Sizes] = ()) -> tuple[Row, ...]:
    """A row for each image of the pipeline that is in the engine.

    Args:
        release: the reference of the release image.
        before: the sizes that ``change`` is measured against.
    """
    names = [("base", base.name) for base in scope.settings.base]
    if scope.settings.build:
        names.append(("build", f"{scope.settings.image}:{scope.settings.build.tag}"))
    names.append(("release", release))
    found = [(stage, name, images.find(scope.engine, name)) for stage, name in names]
    present = [(stage, name, image) for stage, name, image in found if image]
    weighed = [(stage, name, image, images.unpacked(scope.engine, image)) for stage, name, image in present]
    bases = [(image, unpacked) for stage, _, image, unpacked in weighed if stage == "base"]
    return tuple(_row(stage, name, image, unpacked, bases, before) for stage, name, image, unpacked in weighed)


def now(scope: Scope) -> tuple[Row, ...]:
    """The table of what is in the engine now, measured against the last release."""
    last = record.read(scope.root).find(scope.settings.image)
    reference = (
        last.reference if last and images.find(scope.engine, last.reference) else f"{scope.settings.image}:local"
    )
    before = (last.previous.sizes if last.previous else last.sizes) if last else ()
    table = rows(scope, release=reference, before=before)
    if last:
        table = tuple(_with_pull(row, last) for row in table)
    limits = scope.settings.size.budgets
    return with_notes(table, limits, budgets.broken(limits, table, before))


def with_notes(table: tuple[Row, ...], limits: Sequence[Budget], broken: Sequence[str]) -> tuple[Row, ...]:
    """The rows, with what they are worth saying of: the release below the build, the budgets."""
    return tuple(replace(row, note=_note(row, table, limits, broken)) for row in table)


def _note(row: Row, table: tuple[Row, ...], limits: Sequence[Budget], broken: Sequence[str]) -> str:
    notes = []
    build = next((other for other in table if other.stage == "build"), None)
    if row.stage == "release" and build and row.unpacked < build.unpacked:
        notes.append(f"{100 * (1 - row.unpacked / build.unpacked):.0f} % below build")
    for limit in limits:
        if limit.stage == row.stage:
            said = budgets.describe(limit).partition(": ")[2]
            bad = any(line.startswith(f"{row.image}:") for line in broken)
            notes.append(f"budget {said}: {'BROKEN' if bad else 'ok'}")
    return "; ".join(notes)


def _with_pull(row: Row, last: record.Release) -> Row:
    """The row with the pull size that the last push measured, where it is still of the same image."""
    sizes = next((entry for entry in last.sizes if entry.stage == row.stage and entry.image == row.image), None)
    return replace(row, pull=sizes.pull) if sizes and sizes.unpacked == row.unpacked else row


def _row(
    stage: str,
    name: str,
    image: Image,
    unpacked: int,
    bases: Sequence[tuple[Image, int]],
    before: Sequence[record.Sizes],
) -> Row:
    below = _base_of(image, bases)
    row = Row(
        stage=stage,
        image=name,
        unpacked=unpacked,
        pull=None,
        unique=None if below is None else unpacked - below,
        layers=len(image.layers),
        change=None,
    )
    last = budgets.before_of(row, before)
    return replace(row, change=row.unpacked - last.unpacked) if last else row


def _base_of(image: Image, bases: Sequence[tuple[Image, int]]) -> int | None:
    """The size of what ``image`` stands on: of the base whose chain of layers is the longest beginning of its own."""
    below = [
        (len(base.layers), unpacked)
        for base, unpacked in bases
        if len(base.layers) < len(image.layers) and image.layers[: len(base.layers)] == base.layers
    ]
    return max(below)[1] if below else None
