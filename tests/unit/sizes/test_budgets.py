"""Budgets: which limits are broken, by how much, and what growth is measured against."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tinyship.kept.record import Sizes
from tinyship.settings.limits import Budget
from tinyship.sizes import budgets
from tinyship.sizes.table import Row

ROW = Row("release", "lacion/foo:local", 7_000_000, 3_000_000, 5_000_000, 3, None, dead=100_000)
LAST = (Sizes("release", "lacion/foo:1.0.0", 6_000_000, None, 4_000_000, 3),)


@pytest.mark.parametrize(
    ("budget", "broken"),
    [
        (Budget(unpacked="7MB"), False),
        (Budget(unpacked="6.99MB"), True),
        (Budget(unpacked="6MiB"), True),
        (Budget(unique="5MB"), False),
        (Budget(unique="4MB"), True),
        (Budget(layers=3), False),
        (Budget(layers=2), True),
        (Budget(growth="20%"), False),
        (Budget(growth="10%"), True),
        (Budget(growth="10%", floor="1MB"), False),
        (Budget(growth="1MB"), False),
        (Budget(pull="3MB"), False),
        (Budget(pull="2.9MB"), True),
        (Budget(dead="100kB"), False),
        (Budget(dead="0"), True),
        (Budget(growth="999kB"), True),
        (Budget(stage="build", unpacked="1B"), False),
    ],
)
def test_limits(budget: Budget, broken: bool) -> None:
    """Each kind of limit, at its border and just below it."""
    assert bool(budgets.broken([budget], [ROW], LAST)) is broken


def test_says_what_and_by_how_much() -> None:
    """The line names the image, the actual size, the budget, and the excess."""
    (found,) = budgets.broken([Budget(unpacked="6MB")], [ROW], LAST)
    assert found.text == "lacion/foo:local: unpacked 7 MB, budget 6MB: over by 1 MB"


def test_reports_all_at_once() -> None:
    """Nobody has to fix one budget to learn of the next."""
    assert len(budgets.broken([Budget(unpacked="6MB", unique="1MB", layers=1, growth="1%")], [ROW], LAST)) == 4


def test_first_release_does_not_grow() -> None:
    """Without an earlier release there is no growth to alarm about."""
    assert budgets.broken([Budget(growth="0B")], [ROW], ()) == ()


def test_unknown_unique_size_breaks_nothing() -> None:
    """An image on a base that is not this project's has no unique size to measure."""
    assert budgets.broken([Budget(unique="1B")], [replace(ROW, unique=None)], ()) == ()


def test_bases_are_matched_by_name() -> None:
    """Two bases do not grow into each other."""
    last = (Sizes("base", "a:1", 10, None, None, 1), Sizes("base", "b:1", 20, None, None, 1))
    found = budgets.before_of(replace(ROW, stage="base", image="b:1"), last)
    assert found
    assert found.unpacked == 20
    assert budgets.before_of(replace(ROW, stage="base", image="c:1"), last) is None


def test_describe_names_only_what_is_set() -> None:
    """A budget reads as a person would say it."""
    assert budgets.describe(Budget(unpacked="40MB", growth="5%")) == "release: unpacked at most 40MB, growth at most 5%"
