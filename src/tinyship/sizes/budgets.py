"""Limits on sizes: what each says, and which are broken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from tinyship.settings.quantity import parse_bytes, parse_growth
from tinyship.sizes.table import Row

if TYPE_CHECKING:
    from tinyship.settings.schema import Budget


class Weighed(Protocol):
    """An image of an earlier release and how much it weighed, in bytes."""

    @property
    def stage(self) -> str:
        """Its stage."""

    @property
    def image(self) -> str:
        """Its reference."""

    @property
    def unpacked(self) -> int:
        """Files on disk."""


def describe(budget: Budget) -> str:
    """A budget in words: "release: unpacked at most 40MB, growth at most 5%"."""
    limits = [f"{key} at most {getattr(budget, key)}" for key in ("unpacked", "unique", "layers", "growth")]
    return f"{budget.stage}: " + ", ".join(text for text in limits if not text.endswith((" 0", " ")))


def broken(budgets: Iterable[Budget], rows: Iterable[Row], before: Sequence[Weighed]) -> tuple[str, ...]:
    """One line for each limit that a row breaks: what it is, what it may be, and by how much it is over.

    Args:
        budgets: the limits.
        rows: the sizes now.
        before: the sizes of the last release; empty for the first one.
    """
    rows = tuple(rows)
    return tuple(
        line
        for budget in budgets
        for row in rows
        if row.stage == budget.stage
        for line in (*_over(budget, row), *_grown(budget, row, before))
    )


def before_of(row: Row, before: Sequence[Weighed]) -> Weighed | None:
    """What a row's image was in the last release: base images by name, the others by stage."""
    for entry in before:
        if entry.stage == row.stage and (row.stage != "base" or entry.image == row.image):
            return entry
    return None


def _over(budget: Budget, row: Row) -> Iterable[str]:
    for key, actual in (("unpacked", row.unpacked), ("unique", row.unique)):
        limit = getattr(budget, key)
        if limit and actual is not None and actual > parse_bytes(limit):
            yield _line(row, key, actual, limit, actual - parse_bytes(limit))
    if budget.layers and row.layers > budget.layers:
        yield f"{row.image}: {row.layers} layers, budget {budget.layers}"


def _grown(budget: Budget, row: Row, before: Sequence[Weighed]) -> Iterable[str]:
    last = before_of(row, before)
    if not budget.growth or not last:
        return
    grown = row.unpacked - last.unpacked
    allowed = max(parse_growth(budget.growth).allowance(last.unpacked), parse_bytes(budget.floor or "0"))
    if grown > allowed:
        yield _line(row, "unpacked growth", grown, budget.growth, grown - allowed)


def _line(row: Row, what: str, actual: int, limit: str, over: int) -> str:
    from humanize import naturalsize

    return f"{row.image}: {what} {naturalsize(actual)}, budget {limit}: over by {naturalsize(over)}"
