"""The settings of sizes: limits on them, and their history."""

from __future__ import annotations

from typing import Literal

import msgspec

from tinyship.settings.grammar import about, check_remote
from tinyship.settings.quantity import parse_bytes, parse_growth
from tinyship.settings.section import Section


class Budget(Section, frozen=True):
    """A limit on an image. Sizes like ``40MB`` (decimal) or ``40MiB``; growth like ``5%`` or ``2MB``."""

    stage: Literal["base", "build", "release"] = "release"
    """What the limit is for."""
    unpacked: str | int = ""
    """A limit on the files on disk, all layers; MB is decimal, MiB binary. For example ``40MB``, ``40MiB``."""
    pull: str | int = ""
    """A limit on what a pull transfers. There is no manifest before a push, so it is held against what gzip would
    make of the layers: an estimate. For example ``15MB``."""
    unique: str | int = ""
    """A limit on what lies above the base image. For example ``10MB``."""
    dead: str | int = ""
    """A limit on bytes that layers hold and later ones hide. For example ``0``."""
    layers: int = 0
    """A limit on the number of layers; 0 is none. For example ``4``."""
    growth: str | int = ""
    """How much larger than the last release ``unpacked`` may be: a share, or bytes. For example ``5%``, ``2MB``."""
    floor: str | int = "100kB"
    """Growth below this never alarms: a share of a tiny image is next to nothing. For example ``200kB``."""

    def __post_init__(self) -> None:
        for key in ("unpacked", "pull", "unique", "dead", "growth", "floor"):
            text = str(getattr(self, key))
            msgspec.structs.force_setattr(self, key, text)  # so that a bare 0 is a limit, and nothing is none
            if text:
                with about(key):
                    (parse_growth if key == "growth" else parse_bytes)(text)
        if self.layers < 0:
            raise ValueError("`layers`: it is at least 1, or 0 for no limit")
        if not any(getattr(self, key) for key in ("unpacked", "pull", "unique", "dead", "layers", "growth")):
            raise ValueError("it limits nothing: set `unpacked`, `pull`, `unique`, `dead`, `layers` or `growth`")


class Size(Section, frozen=True):
    """Limits on sizes, and where their history goes beside ``.tinyship/history.jsonl``."""

    budgets: tuple[Budget, ...] = ()
    """Limits, each on one stage."""
    notes: bool = True
    """Whether a clean push writes the sizes of what it pushed as a git note on the commit, in
    ``refs/notes/tinyship``, and whether such notes count as history."""
    notes_remote: str = ""
    """A git remote: its notes are fetched before a release is measured, and ours are pushed to it after a clean push,
    merged with what others pushed. Empty: no network is used. For example ``origin``."""

    def __post_init__(self) -> None:
        if self.notes_remote:
            with about("notes_remote"):
                check_remote(self.notes_remote)
                if not self.notes:
                    raise ValueError("it needs `notes`")
