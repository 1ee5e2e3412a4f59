"""Parts of a fingerprint: what is not in them changes nothing, what is in them does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tinyship.context import fingerprint, part
from tinyship.context.fingerprint import Fingerprint


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Some files."""
    root = tmp_path / "context"
    for name in ("a", "b/c", "b/d/e", "b/d/f", "bin/foo", "b.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def look(root: Path) -> Fingerprint:
    """All of it."""
    return fingerprint.of_folder(root, state_root=root.parent, name="all")


def only(root: Path, *paths: str) -> str:
    """What there is of some paths."""
    return part.only(look(root), paths).digest


def without(root: Path, *paths: str) -> str:
    """What there is beside some paths."""
    return part.without(look(root), paths).digest


Change = Callable[[Path], object]
CHANGES: dict[str, Change] = {
    "a": lambda root: (root / "a").write_text("other"),
    "b/c": lambda root: (root / "b/c").chmod(0o600),
    "b/d/e": lambda root: (root / "b/d/e").unlink(),
    "b/d": lambda root: (root / "b/d").chmod(0o700),
    "b/d/g": lambda root: (root / "b/d/g").write_text("new"),
    "b.txt": lambda root: (root / "b.txt").write_text("other"),
    "bin/foo": lambda root: (root / "bin/foo").write_text("other"),
}


@pytest.mark.parametrize(
    ("paths", "seen"),
    [
        ((), set()),
        (("a",), {"a"}),
        (("b",), {"b/c", "b/d/e", "b/d", "b/d/g"}),
        (("b/d",), {"b/d/e", "b/d", "b/d/g"}),
        (("b/d/e", "bin/foo"), {"b/d/e", "bin/foo"}),
        (("nothing",), set()),
        (("",), set(CHANGES)),
    ],
)
@pytest.mark.parametrize("change", CHANGES)
def test_only(root: Path, paths: tuple[str, ...], seen: set[str], change: str) -> None:
    """Files, folders with all that is in them, and no neighbours with a like name."""
    before = only(root, *paths)
    CHANGES[change](root)
    assert (only(root, *paths) != before) == (change in seen)


@pytest.mark.parametrize("change", CHANGES)
def test_without(root: Path, change: str) -> None:
    """Everything but what is left out."""
    before = without(root, "bin/foo", "b/d")
    CHANGES[change](root)
    assert (without(root, "bin/foo", "b/d") != before) == (change in {"a", "b/c", "b.txt"})


def test_a_folder_of_what_is_left_out(root: Path) -> None:
    """It is left out with it, unless it holds more."""
    before = without(root, "bin/foo")
    (root / "bin/foo").unlink()
    (root / "bin").chmod(0o700)
    assert without(root, "bin/foo") == before
    (root / "bin").rmdir()
    assert without(root, "bin/foo") == before
    (root / "bin").mkdir()
    (root / "bin/more").write_text("more")
    assert without(root, "bin/foo") != before


@pytest.mark.parametrize("path", ["link", "link/c", "folder/link"])
def test_links(root: Path, path: str) -> None:
    """What is reached through a link may be anything."""
    (root / "folder").mkdir()
    (root / "link").symlink_to("b")
    (root / "folder/link").symlink_to("../a")
    before = only(root, path)
    (root / "b.txt").write_text("other")
    assert only(root, path) != before


def test_a_link_in_a_folder_is_a_link(root: Path) -> None:
    """It is copied as what it is, and leads nowhere."""
    (root / "b/link").symlink_to("../a")
    before = only(root, "b")
    (root / "a").write_text("other")
    assert only(root, "b") == before


def tick(root: Path) -> None:
    """Wait until the file system's clock has gone on."""
    probe = root.parent / "probe"
    probe.write_text("")
    begun = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == begun:
        probe.write_text("")


def test_a_change_that_was_taken_back(root: Path) -> None:
    """The content is the same, and the moment is not; without a change both are."""
    first = look(root)
    assert look(root).moment == first.moment
    tick(root)
    text = (root / "a").read_text()
    (root / "a").unlink()
    (root / "a").write_text(text)
    assert (look(root) == first, look(root).moment == first.moment) == (True, False)
    second = look(root)
    tick(root)
    (root / "b/new").write_text("")
    (root / "b/new").unlink()
    assert (look(root) == second, look(root).moment == second.moment) == (True, False)
