"""What is told of an image's size, as plain data: for a page, and for a comment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tinyship.sizes.account import Account
from tinyship.sizes.diff import Diff
from tinyship.sizes.table import Row


class Advised(Protocol):
    """Something that would make the image smaller."""

    @property
    def text(self) -> str:
        """What to do, in a sentence."""

    @property
    def saving(self) -> int:
        """Bytes that it would save, unpacked."""

    @property
    def instruction(self) -> str:
        """The instruction that it is about; empty where it is about none."""


class Point(NamedTuple):
    """A release, and what it weighed. Sizes in bytes; None where one is not known.

    Args:
        version: of the release.
        date: of its commit, RFC 3339.
        commit: that it was made of.
        unpacked: files on disk, all layers.
        pull: what a pull transfers.
        dead: what layers hold and the final filesystem does not show.
    """

    version: str
    date: str
    commit: str
    unpacked: int
    pull: int | None = None
    dead: int | None = None


class Limit(NamedTuple):
    """A budget, or the line that says how it is broken."""

    text: str
    broken: bool


class Package(NamedTuple):
    """A package of the image, and the live bytes of its files."""

    name: str
    version: str
    size: int


@dataclass(frozen=True, slots=True)
class Report:
    """All that is known of an image's size.

    Args:
        title: the image's reference.
        made: when its commit was made, RFC 3339; no clock is read, so that the same image makes the same report.
        account: its bytes.
        base: how many of its layers, from the first, are the base image's.
        base_name: of that base image; empty where there is none.
        chain: the stages, in the order in which one stands on the other; the image itself is the last.
        trend: the releases, oldest first.
        diff: what differs from the last release, or from whatever it is compared with.
        advice: what would make it smaller.
        budgets: its limits, and whether they hold.
        packages: that it holds.
        notices: what else has to be known to read the numbers.
    """

    title: str
    made: str
    account: Account
    base: int = 0
    base_name: str = ""
    chain: tuple[Row, ...] = ()
    trend: tuple[Point, ...] = ()
    diff: Diff | None = None
    advice: Sequence[Advised] = ()
    budgets: tuple[Limit, ...] = ()
    packages: tuple[Package, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def row(self) -> Row | None:
        """The image's own row of the chain."""
        return self.chain[-1] if self.chain else None

    @property
    def pull(self) -> int | None:
        """What a pull transfers: as the chain says it, or else the blobs of the layers where all of them are known."""
        if self.row and self.row.pull is not None:
            return self.row.pull
        stored = [layer.stored for layer in self.account.image.layers]
        known = [size for size in stored if size is not None]
        complete = known and len(known) == len(stored)
        return self.account.image.config_size + sum(known) if complete else None

    @property
    def unique(self) -> int | None:
        """What lies above the base image; None where there is none."""
        return sum(self.account.held[self.base :]) if self.base else None

    @property
    def change(self) -> int | None:
        """Unpacked bytes gained; None where there is nothing to compare with."""
        if self.diff:
            return self.diff.gained
        return self.row.change if self.row else None
