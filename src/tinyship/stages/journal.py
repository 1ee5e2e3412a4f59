"""What the record says of a push while it goes on: each tag as soon as it is given, and none that is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tinyship.events import Notice
from tinyship.kept import record
from tinyship.kept.record import Pushed, Release
from tinyship.stages.scope import Scope


class Journal:
    """The entry of one release, kept true while its tags are given.

    Where the image is released anew meanwhile, the record is that release's, and is left alone.

    Args:
        release: the entry as it was read.
        order: the references that are pushed, in their order.
    """

    def __init__(self, scope: Scope, release: Release, order: Sequence[str]) -> None:
        self._scope = scope
        self._order = tuple(order)
        self._is_ours = True
        self.release = release

    def write(self, given: Mapping[str, str], *, lost: Iterable[str] = ()) -> None:
        """Have these references in the entry, each with the digest that it names, and the lost ones not."""
        gone = frozenset(lost)

        def change(entry: Release) -> Release:
            kept = {one.reference: one.digest for one in entry.pushed if one.reference not in gone} | dict(given)
            first = [name for name in self._order if name in kept]
            rest = [name for name in kept if name not in self._order]
            return replace(entry, pushed=tuple(Pushed(name, kept[name]) for name in (*first, *rest)))

        if change(self.release) != self.release:
            self._amend(change)

    def weigh(self, pull: int | None) -> None:
        """Have the pull size in the entry, in bytes."""

        def change(entry: Release) -> Release:
            sizes = tuple(replace(one, pull=pull) if one.stage == "release" else one for one in entry.sizes)
            return replace(entry, sizes=sizes)

        if change(self.release) != self.release:
            self._amend(change)

    def _amend(self, change: record.Change) -> None:
        changed = record.amend(self._scope.root, self.release, change) if self._is_ours else None
        if changed is None and self._is_ours:
            self._is_ours = False
            told = f"{self.release.version} is no longer what is released here: its push goes on, and is not recorded"
            self._scope.events(Notice(told, "warning"))
        self.release = changed or change(self.release)
