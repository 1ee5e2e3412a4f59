"""A scout that looks ahead of the walk, and what the walk makes of it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tinyship.context.ignore import Matcher
from tinyship.context.scout import Scout
from tinyship.context.walk import walk


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders, files and links, some of them ignored."""
    for name in ("b/deep/file", "a.txt", "b.txt", "skip/many/file", "b-c/x", "ü/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("b")
    return tmp_path


def looked(root: Path, *patterns: str) -> Scout:
    """A scout that is back."""
    scout = Scout(root, Matcher(patterns))
    scout.start()
    scout._thread.join(10)
    return scout


@pytest.mark.parametrize("patterns", [(), ("skip",), ("*", "!b")])
def test_walk_is_the_same_with_a_scout(tree: Path, patterns: tuple[str, ...]) -> None:
    """Whatever it knows, the same entries come, in the same order."""
    expected = [(entry.path, entry.stat.st_ino) for entry in walk(tree, Matcher(patterns))]
    for scout in (looked(tree, *patterns), Scout(tree, Matcher(patterns))):
        found = walk(tree, Matcher(patterns), known=scout.take)
        assert [(entry.path, entry.stat.st_ino) for entry in found] == expected


def test_walk_asks_nothing_again(tree: Path) -> None:
    """What the scout has seen is not looked at again, even where it is gone by now."""
    scout = looked(tree)
    before = [entry.path for entry in walk(tree)]
    (tree / "a.txt").unlink()
    assert [entry.path for entry in walk(tree, known=scout.take)] == before


def test_ignored_folders_are_not_looked_at(tree: Path) -> None:
    """A folder that cannot be wanted is left alone."""
    scout = looked(tree, "skip")
    assert scout.take(str(tree / "skip")) is None
    assert scout.take(str(tree)) is not None


def test_walk_that_is_elsewhere_sends_it_home(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not run beside a walk that has overtaken it, nor after it was stopped."""
    scandir = os.scandir

    def slowly(path: str) -> object:
        time.sleep(0.05)
        return scandir(path)

    monkeypatch.setattr("tinyship.context.scout.os.scandir", slowly)
    scout = Scout(tree, Matcher(()))
    scout.start()
    assert scout.take(str(tree / "b" / "deep")) is None
    scout._thread.join(10)
    assert len(scout._seen) <= 1
    scout.stop()
    assert scout._seen == {}


def test_folder_that_cannot_be_read(tree: Path) -> None:
    """It says nothing of it: that is the walk's to tell."""
    scout = looked(tree / "nowhere")
    assert scout.take(str(tree / "nowhere")) is None
