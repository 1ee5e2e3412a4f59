"""The size table of what is in the engine: base images, build image, release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import Struct

from tinyship.engine import images
from tinyship.engine.images import Image
from tinyship.errors import BudgetExceeded, TinyshipError
from tinyship.events import Notice
from tinyship.kept import record
from tinyship.sizes import budgets, explain
from tinyship.sizes import diff as differences
from tinyship.sizes.account import Account
from tinyship.sizes.budgets import Broken
from tinyship.sizes.diff import Diff
from tinyship.sizes.table import Row
from tinyship.stages import weighing
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.settings.limits import Budget


class Weighed(Struct, frozen=True):
    """What is in the engine.

    Args:
        rows: the size table.
        broken: the budgets that are broken.
        diff: what differs in the release from the image that it was compared with; None where it was not.
        before: the sizes that growth was measured against.
    """

    rows: tuple[Row, ...]
    broken: tuple[Broken, ...]
    diff: Diff | None = None
    before: tuple[record.Sizes, ...] = ()


def rows(
    scope: Scope, *, release: str, before: Sequence[record.Sizes] = (), estimated: bool = False
) -> tuple[Row, ...]:
    """A row for each image of the pipeline that is in the engine.

    Args:
        release: the reference of the release image.
        before: the sizes that ``change`` is measured against.
        estimated: read every image, to estimate what a pull would transfer, and to know its dead bytes.
    """
    found = [(stage, name, scope.image(name)) for stage, name in _names(scope, release)]
    present = [(stage, name, image) for stage, name, image in found if image]
    # The highest first: when its layers are known, so are those of the images that it stands on.
    sizes = {
        image.id: weighing.unpacked(scope, image, name=name)
        for _, name, image in sorted(present, key=lambda one: len(one[2].layers), reverse=True)
    }
    weighed = [(stage, name, image, sizes[image.id]) for stage, name, image in present]
    bases = [(image, unpacked) for stage, _, image, unpacked in weighed if stage == "base"]
    table = tuple(_row(stage, name, image, unpacked, bases, before) for stage, name, image, unpacked in weighed)
    return tuple(_read(scope, row, image, estimated) for row, (_, _, image, _) in zip(table, weighed, strict=True))


def now(scope: Scope, *, estimated: bool = False) -> Weighed:
    """The table of what is in the engine now, measured against the last release."""
    last = record.read(scope.root).find(scope.settings.image)
    before = (last.previous.sizes if last.previous else last.sizes) if last else ()
    table = rows(scope, release=released(scope), before=before, estimated=estimated)
    if last:
        table = tuple(_with_pull(row, last) for row in table)
    limits = scope.settings.size.budgets
    broken = budgets.broken(limits, table, before)
    return Weighed(with_notes(table, limits, broken, before), broken, before=tuple(before))


def exceeded(
    broken: Sequence[Broken], rows: Sequence[Row], image: str, *, diffs: Sequence[Diff] = ()
) -> BudgetExceeded:
    """The error that says which budgets an image breaks, and why."""
    lines = [line for one in broken for line in one.lines()]
    heavy = broken[0].row.image
    return BudgetExceeded(len(broken), lines, rows, heavy=heavy, diffs=diffs, stage="release", image=image)


def released(scope: Scope) -> str:
    """The reference of the release that is in the engine: that of the record, or else ``local``."""
    last = record.read(scope.root).find(scope.settings.image)
    there = last and images.find(scope.engine, last.reference)
    return last.reference if last and there else f"{scope.settings.image}:local"


def with_notes(
    table: tuple[Row, ...], limits: Sequence[Budget], broken: Sequence[Broken], before: Sequence[record.Sizes]
) -> tuple[Row, ...]:
    """The rows, with what they are worth saying of: the release below the build, the budgets."""
    return tuple(replace(row, note="; ".join(_notes(row, table, limits, broken, before))) for row in table)


def explained(scope: Scope, broken: Sequence[Broken], earlier: Callable[[Row], str]) -> tuple[Broken, ...]:
    """The broken limits, each with its largest causes, as far as the images can be read.

    Args:
        earlier: the reference that a row's image had in the last release.
    """
    read: dict[str, Account | None] = {}

    def account_of(reference: str) -> Account | None:
        if reference not in read:
            read[reference] = _account(scope, reference)
        return read[reference]

    found = []
    for one in broken:
        account = account_of(one.row.image)
        if account is None:
            found.append(one)
            continue
        before = account_of(earlier(one.row)) if one.limit == "growth" else None
        base, _ = explain.base_layers(account, bases(scope))
        compared = differences.compare(before, account) if before else None
        found.append(budgets.explained(one, account, base=base, diff=compared))
    return tuple(found)


def bases(scope: Scope) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The project's base images that are in the engine: names, and the diff ids of their layers."""
    found = ((base.name, images.find(scope.engine, base.name)) for base in scope.settings.base)
    return tuple((name, image.layers) for name, image in found if image)


def _account(scope: Scope, reference: str) -> Account | None:
    """What the layers of an image hold; None where they cannot be read, which is no reason to hide what they broke."""
    try:
        image = images.find(scope.engine, reference) if reference else None
        return weighing.read(scope, image, name=reference) if image else None
    except TinyshipError as error:
        scope.events(Notice(f"the causes are not known: {error.message}", "warning"))
        return None


def _names(scope: Scope, release: str) -> tuple[tuple[str, str], ...]:
    """The stages, and the references of their images."""
    build = scope.settings.build
    return (
        *(("base", base.name) for base in scope.settings.base),
        *((("build", f"{scope.settings.image}:{build.tag}"),) if build else ()),
        ("release", release),
    )


def _notes(
    row: Row,
    table: tuple[Row, ...],
    limits: Sequence[Budget],
    broken: Sequence[Broken],
    before: Sequence[record.Sizes],
) -> Iterator[str]:
    build = next((other for other in table if other.stage == "build"), None)
    if row.stage == "release" and build and row.unpacked < build.unpacked:
        yield f"{100 * (1 - row.unpacked / build.unpacked):.0f} % below build"
    for limit in limits:
        if limit.stage == row.stage:
            said = budgets.describe(limit).partition(": ")[2]
            bad = [one.limit for one in broken if one.row.image == row.image and one.budget == limit]
            unknown = ", ".join(budgets.unchecked(limit, row, before))
            held = f"BROKEN ({', '.join(bad)})" if bad else "ok"
            yield f"budget {said}: {held}" + (f", not known: {unknown}" if unknown else "")


def _read(scope: Scope, row: Row, image: Image, estimated: bool) -> Row:
    """The row, with what only its layers tell, where that is asked for or a budget limits it."""
    limits = [limit for limit in scope.settings.size.budgets if limit.stage == row.stage]
    estimated = estimated or any(limit.pull for limit in limits)
    if not estimated and not any(limit.dead for limit in limits):
        return row
    account = weighing.read(scope, image, name=row.image, estimated=estimated)
    pull, guessed = weighing.pull_size(account)
    return replace(row, dead=account.dead_bytes, pull=pull, estimated=guessed)


def _with_pull(row: Row, last: record.Release) -> Row:
    """The row with the pull size that the last push measured, where it is still of the same image."""
    sizes = next((entry for entry in last.sizes if entry.stage == row.stage and entry.image == row.image), None)
    if not sizes or sizes.unpacked != row.unpacked or sizes.pull is None:
        return row
    return replace(row, pull=sizes.pull, estimated=False)


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
    return replace(row, change=row.unpacked - last.unpacked) if last and last.unpacked is not None else row


def _base_of(image: Image, bases: Sequence[tuple[Image, int]]) -> int | None:
    """The size of what ``image`` stands on: of the base whose chain of layers is the longest beginning of its own."""
    count, name = explain.base_of(image.layers, [(base.id, base.layers) for base, _ in bases])
    return next(unpacked for base, unpacked in bases if base.id == name) if count else None
