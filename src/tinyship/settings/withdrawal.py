"""The settings of ``clean.registry``."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from tinyship.settings.grammar import about
from tinyship.settings.quantity import parse_duration
from tinyship.settings.section import Section

_LONGEST = timedelta(days=100 * 366)


class CleanRegistry(Section, frozen=True):
    """What of this project stays in the registries of ``push.to`` when ``clean.registry`` is asked for."""

    keep: int = 10
    """How many releases of each repository stay, the last ones by version."""
    age: str = "30d"
    """What is younger stays: ``12h``, ``30d``; empty: any age may go."""
    versions: Literal["final", "tagged", "last"] = "final"
    """Which versions stay whatever their age: ``final``: all that are no pre-releases, and those of git tags, because
    others may name them; ``tagged``: those of git tags; ``last``: none beside ``keep``."""

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
