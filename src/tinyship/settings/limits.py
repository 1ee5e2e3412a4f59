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
    unpacked: str | int = ""
    pull: str | int = ""
    """Checked before there is a manifest, so against what gzip would make of the layers: an estimate."""
    unique: str | int = ""
    dead: str | int = ""
    """Bytes that layers hold and later ones hide; ``0`` where there may be none."""
    layers: int = 0
    growth: str | int = ""
    """How much larger than the last release `unpacked` may be."""
    floor: str | int = "100kB"
    """Growth below this never alarms: a share of a tiny image is next to nothing."""

    def __post_init__(self) -> None:
        for key in ("unpacked", "pull", "unique", "dead", "growth", "floor"):
            text = str(getattr(self, key))
            msgspec.structs.force_setattr(self, key, text)  # so that a bare 0 is a limit, and nothing is none
            if text:
                with about(key):
                    (parse_growth if key == "growth" else parse_bytes)(text)
        if not any(getattr(self, key) for key in ("unpacked", "pull", "unique", "dead", "layers", "growth")):
            raise ValueError("it limits nothing: set `unpacked`, `pull`, `unique`, `dead`, `layers` or `growth`")


class Size(Section, frozen=True):
    """Limits on sizes, and where their history goes beside ``.tinyship/history.jsonl``."""

    budgets: tuple[Budget, ...] = ()
    notes: bool = True
    """A clean push writes what was released as a git note on its commit, and notes count as history."""
    notes_remote: str = ""
    """A git remote, like ``origin``: its notes are fetched before a release, and ours pushed to it after a clean push;
    no network is used where nothing is set."""

    def __post_init__(self) -> None:
        if self.notes_remote:
            with about("notes_remote"):
                check_remote(self.notes_remote)
                if not self.notes:
                    raise ValueError("it needs `notes`")
