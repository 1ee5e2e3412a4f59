"""The settings of what is removed, and what stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from tinyship.settings.grammar import about
from tinyship.settings.quantity import parse_bytes, parse_duration
from tinyship.settings.section import Section

_LONGEST = timedelta(days=100 * 366)


class CleanRegistry(Section, frozen=True):
    """What of this project stays in the registries of ``push.to`` when ``clean.registry`` is asked for."""

    keep: int = 10
    """How many releases of each repository ``clean.registry`` keeps, the last ones by version."""
    age: str = "30d"
    """What is younger stays in the registry, in ``s``, ``m``, ``h`` or ``d``; empty: any age may go. For example
    ``30d``, ``12h``."""
    versions: Literal["final", "tagged", "last"] = "final"
    """Which versions stay in the registry whatever their age. ``final``: all that are no pre-releases, and those of
    git tags, because others may name them; ``tagged``: those of git tags; ``last``: none beside ``keep``."""

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise ValueError("`keep`: it is at least 1")
        with about("age"):
            if parse_duration(self.age or "0s") > _LONGEST.total_seconds():
                raise ValueError(f"`{self.age}` is longer than 100 years")

    @property
    def younger(self) -> timedelta:
        """``age`` as a duration."""
        return timedelta(seconds=parse_duration(self.age or "0s"))


class Clean(Section, frozen=True):
    """What stays."""

    keep: int = 3
    """How many releases of each image ``clean.images`` keeps in the engine."""
    keep_git: Literal["none", "named", "all"] = "named"
    """Which more ``clean.images`` keeps for git. ``named``: releases of commits that a tag names or a branch ends at;
    ``all``: also of whatever these descend from; ``none``: no more than the others."""
    ask_above: float = 0.5
    """The share of the project's images, from 0 to 1, above which ``clean.images``, ``clean.all`` and
    ``clean.registry`` want ``--yes``."""
    cache_age: str = "168h"
    """``clean.cache`` keeps what the engine's builder used within this time, in ``s``, ``m``, ``h`` or ``d``; empty:
    any age may go. For example ``168h``, ``7d``."""
    cache_size: str = ""
    """``clean.cache`` removes only so much that this is left in all; empty: the size does not matter. For example
    ``10GB``."""
    registry: CleanRegistry = CleanRegistry()
    """What ``clean.registry`` keeps in registries."""

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise ValueError("`keep`: it is at least 1 (`clean.all` removes everything)")
        if not 0 <= self.ask_above <= 1:
            raise ValueError("`ask_above`: it is a share, from 0 to 1")
        with about("cache_age"):
            parse_duration(self.cache_age or "0s")
        with about("cache_size"):
            parse_bytes(self.cache_size or "0")
