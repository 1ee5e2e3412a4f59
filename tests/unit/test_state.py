"""The folder `.tinyship`: what is kept there for a while does not stay for ever."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tinyship import state
from tinyship.context import fingerprint
from tinyship.kept import memory
from tinyship.kept.memory import Made

DAY = 86_400
MADE = Made("sha256:1", {}, "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00")


def age(root: Path, days: float) -> None:
    """Let everything in the folder be so old."""
    for file in (root / ".tinyship").iterdir():
        os.utime(file, (time.time() - days * DAY,) * 2)


def names(root: Path) -> set[str]:
    """The files of the folder."""
    return {file.name for file in (root / ".tinyship").iterdir()} - {".gitignore"}


def test_what_is_of_no_use_goes(tmp_path: Path) -> None:
    """After a month, when a file of another name comes, with what a killed process left; records and histories stay."""
    for name in ("looks-a", "print-a", "made-a.json", "told-a", "looks-a.12-34"):
        state.keep(tmp_path, name, "x")
    for name in ("release.json", "history.jsonl", "layers.json", "clean.json"):
        state.write(tmp_path, name, "x")
    age(tmp_path, 29)
    state.keep(tmp_path, "looks-b", "x")
    assert len(names(tmp_path)) == 10
    age(tmp_path, 31)
    state.keep(tmp_path, "looks-b", "y")
    assert len(names(tmp_path)) == 10
    state.keep(tmp_path, "looks-c", "x")
    assert names(tmp_path) == {
        "looks-b", "looks-c", "release.json", "history.jsonl", "layers.json", "clean.json"
    }  # fmt: skip


def test_what_is_of_use_stays(tmp_path: Path) -> None:
    """Each use is noted, once a day: of what was made, and of files that are looked at and are what they were."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("x")
    seen = fingerprint.of_folder(source, state_root=tmp_path, name="all")
    memory.keep(tmp_path, "engine", "foo", MADE, seen)
    kept = names(tmp_path)
    age(tmp_path, 31)
    assert fingerprint.of_folder(source, state_root=tmp_path, name="all", remember=False) == seen
    assert all(time.time() - file.stat().st_mtime > 30 * DAY for file in (tmp_path / ".tinyship").iterdir())
    assert fingerprint.of_folder(source, state_root=tmp_path, name="all") == seen
    memory.of_use(tmp_path, "engine", "foo")
    state.keep(tmp_path, "looks-other", "x")
    assert names(tmp_path) == kept | {"looks-other"}
    age(tmp_path, 0.5)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / ".tinyship").iterdir()}
    memory.of_use(tmp_path, "engine", "foo")
    assert {file: file.stat().st_mtime_ns for file in before} == before
    memory.of_use(tmp_path / "elsewhere", "engine", "foo")
