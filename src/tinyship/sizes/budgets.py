"""Limits on sizes: what each says, which are broken, and what broke them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from tinyship.context.names import shown
from tinyship.settings.quantity import parse_bytes, parse_growth
from tinyship.sizes.table import Row
from tinyship.units import size

if TYPE_CHECKING:
    from tinyship.settings.limits import Budget
    from tinyship.sizes.account import Account
    from tinyship.sizes.diff import Diff

_SIZES = ("unpacked", "pull", "unique", "dead")
_CAUSES = 3
_WIDE = 90
"""Characters of an instruction."""


class Weighed(Protocol):
    """An image of an earlier release and how much it weighed, in bytes."""

    @property
    def stage(self) -> str:
        """Its stage."""

    @property
    def image(self) -> str:
        """Its reference."""

    @property
    def unpacked(self) -> int | None:
        """Files on disk; None where not known."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A limit that an image breaks.

    Args:
        budget: that it is one of.
        row: the image.
        limit: ``unpacked``, ``pull``, ``unique``, ``dead``, ``layers`` or ``growth``.
        text: what it is, what it may be, and by how much it is over.
        causes: what it is made of, largest first, in words.
    """

    budget: Budget
    row: Row
    limit: str
    text: str
    causes: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """The text, and its causes below it."""
        return (self.text, *(f"  {cause}" for cause in self.causes))


def describe(budget: Budget) -> str:
    """A budget in words: "release: unpacked at most 40MB, growth at most 5%"."""
    limits = [f"{key} at most {limit}" for key in (*_SIZES, "layers", "growth") if (limit := getattr(budget, key))]
    return f"{budget.stage}: {', '.join(limits)}"


def broken(budgets: Iterable[Budget], rows: Iterable[Row], before: Sequence[Weighed]) -> tuple[Broken, ...]:
    """Every limit that a row breaks.

    Args:
        budgets: the limits.
        rows: the sizes now.
        before: the sizes of the last release; empty for the first one.
    """
    rows = tuple(rows)
    return tuple(
        found
        for budget in budgets
        for row in rows
        if row.stage == budget.stage
        for found in (*_over(budget, row), *_grown(budget, row, before))
    )


def unchecked(budget: Budget, row: Row, before: Sequence[Weighed]) -> tuple[str, ...]:
    """The limits of a budget that cannot be held against a row: a size is not known, or nothing came before."""
    unknown = [key for key in _SIZES if getattr(budget, key) and getattr(row, key) is None]
    last = before_of(row, before)
    if budget.growth and (last is None or last.unpacked is None):
        unknown.append("growth")
    return tuple(unknown)


def explained(found: Broken, account: Account, *, base: int, diff: Diff | None) -> Broken:
    """A broken limit with its largest causes.

    Args:
        account: of the image.
        base: how many of its layers belong to its base.
        diff: to the last release; None where that is not at hand.
    """
    if found.limit == "growth" and diff:
        causes: Iterable[str] = _gains(diff)
    elif found.limit == "dead":
        causes = _deaths(account)
    elif found.limit == "layers":
        causes = _layers(account, base, smallest=True)
    else:
        causes = (*_layers(account, base if found.limit == "unique" else 0), *_files(account))
    return replace(found, causes=tuple(causes))


def before_of(row: Row, before: Sequence[Weighed]) -> Weighed | None:
    """What a row's image was in the last release: base images by name, the others by stage."""
    for entry in before:
        if entry.stage == row.stage and (row.stage != "base" or entry.image == row.image):
            return entry
    return None


def _over(budget: Budget, row: Row) -> Iterator[Broken]:
    for key in _SIZES:
        limit, actual = str(getattr(budget, key)), getattr(row, key)
        if limit and actual is not None and actual > parse_bytes(limit):
            estimate = " (an estimate)" if key == "pull" and row.estimated else ""
            yield Broken(budget, row, key, _line(row, key + estimate, actual, limit, actual - parse_bytes(limit)))
    if budget.layers and row.layers > budget.layers:
        yield Broken(budget, row, "layers", f"{row.image}: {row.layers} layers, budget {budget.layers}")


def _grown(budget: Budget, row: Row, before: Sequence[Weighed]) -> Iterator[Broken]:
    last = before_of(row, before)
    if not budget.growth or not last or last.unpacked is None:
        return
    grown = row.unpacked - last.unpacked
    growth, floor = str(budget.growth), str(budget.floor)
    allowed = max(parse_growth(growth).allowance(last.unpacked), parse_bytes(floor or "0"))
    if grown > allowed:
        yield Broken(budget, row, "growth", _line(row, "unpacked growth", grown, growth, grown - allowed))


def _line(row: Row, what: str, actual: int, limit: str, over: int) -> str:
    return f"{row.image}: {what} {size(actual)}, budget {limit}: over by {size(over)}"


def _layers(account: Account, base: int, *, smallest: bool = False) -> Iterator[str]:
    from tinyship.sizes import explain

    steps = [step for step in explain.steps(account) if step.number > base]
    for step in sorted(steps, key=lambda step: step.held if smallest else -step.held)[:_CAUSES]:
        yield f"{size(step.held)} {_step(step.instruction) or f'layer {step.number}'}"


def _files(account: Account) -> Iterator[str]:
    from tinyship.sizes import explain

    for file in explain.largest_files(account, _CAUSES):
        yield f"{size(file.size)} /{shown(file.path)}"


def _deaths(account: Account) -> Iterator[str]:
    from tinyship.sizes import explain

    names = [_step(layer.instruction) or f"layer {number}" for number, layer in enumerate(account.image.layers, 1)]
    for dead in explain.largest_dead(account, _CAUSES):
        yield (
            f"{size(dead.size)} /{shown(dead.path)}, written by {names[dead.written]}, {dead.cause} by "
            f"{names[dead.hidden]}"
        )


def _gains(diff: Diff) -> Iterator[str]:
    layers = sorted((layer for layer in diff.layers if layer.gained > 0), key=lambda layer: -layer.gained)
    for layer in layers[:_CAUSES]:
        yield f"+{size(layer.gained)} {_step(layer.instruction) or 'a layer without a history'}"
    for change in [change for change in diff.paths if change.gained > 0][:_CAUSES]:
        yield f"+{size(change.gained)} /{shown(change.path)}, {change.word}"


def _step(instruction: str) -> str:
    """An instruction on one line, of a length that can be read."""
    line = " ".join(instruction.split())
    return shown(line if len(line) <= _WIDE else f"{line[: _WIDE - 3]}...")
