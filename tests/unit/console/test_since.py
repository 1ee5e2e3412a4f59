"""Which images changed since a revision, as lines."""

from __future__ import annotations

from tinyship.console import since
from tinyship.stages.changed import Changed, Reason


def test_lines() -> None:
    """The first reasons of each, and all that did not change in one line; nothing that would reach a terminal."""
    many = tuple(Reason("changed", f"web/{number}") for number in range(5))
    found = Changed(
        "1234567890",
        {"api": (Reason("added", "api/\x1b[31mred"),), "core": (), "web": (*many, Reason("below", "core")), "db": ()},
    )
    assert since.lines(found) == (
        "api: api/red was added",
        "web: web/0 changed; web/1 changed; web/2 changed; and 3 more",
        "not changed since 1234567: core, db",
    )
    assert since.lines(Changed("1234567890", {"api": (Reason("pin", "alpine:3.22"),)})) == (
        "api: the pin of alpine:3.22 moved",
    )
