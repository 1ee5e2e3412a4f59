"""What is kept of what was made: it comes back as it was, or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tinyship.kept import memory
from tinyship.kept.memory import Made

MADE = Made("sha256:1", {"files": {"": "2"}}, "2026-01-01T00:00:00+00:00", "2025-12-01T00:00:00+00:00")


def test_kept_for_each_engine_and_name(tmp_path: Path) -> None:
    """Nothing is found under another name or of another engine."""
    memory.keep(tmp_path, "unix:///a", "foo:1", MADE, None)
    assert memory.find(tmp_path, "unix:///a", "foo:1") == MADE
    assert memory.find(tmp_path, "unix:///b", "foo:1") is None
    assert memory.find(tmp_path, "unix:///a", "foo:2") is None
    assert memory.files(tmp_path, "unix:///a", "foo:1") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scheme", 2),
        ("name", "other"),
        ("made", {}),
        ("made", None),
        ("made", {"image": "1", "given": [], "at": MADE.at, "afresh": MADE.afresh}),
        ("made", {"image": "1", "given": {"a": 1}, "at": MADE.at, "afresh": MADE.afresh}),
        ("made", {"image": "1", "given": {}, "at": "yesterday", "afresh": MADE.afresh}),
        ("made", {"image": "1", "given": {}, "at": "2026-01-01T00:00:00", "afresh": MADE.afresh}),
        ("made", {"image": "1", "given": {}, "at": 7, "afresh": MADE.afresh}),
    ],
)
def test_damaged(tmp_path: Path, key: str, value: object) -> None:
    """What cannot be used is not there."""
    memory.keep(tmp_path, "e", "foo", MADE, None)
    (file,) = (tmp_path / ".tinyship").glob("made-*")
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    assert memory.find(tmp_path, "e", "foo") is None


def test_age() -> None:
    """In seconds; what is to come is as old as can be, so that a wrong clock costs work and no more."""
    earlier = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert 3600 <= memory.seconds_since(earlier) < 3700
    assert memory.seconds_since((datetime.now(UTC) + timedelta(hours=1)).isoformat()) == float("inf")
