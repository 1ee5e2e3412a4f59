"""What BuildKit was told: no time stands for two contents of a file, no key for two modes of a folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyship.context import statcache
from tinyship.engine.buildkit import told as module
from tinyship.engine.buildkit.told import Told, of_content

LONG_AGO = 1_500_000_000 * 10**9


class Site:
    """A project, its context, and one file in that."""

    def __init__(self, root: Path) -> None:
        self.project = root / "project"
        self.context = root / "context"
        self.file = self.context / "file"
        self.project.mkdir()
        (self.context / "sub").mkdir(parents=True)
        self.write("0")

    def write(self, content: str, when: int = LONG_AGO) -> None:
        """Other content with this time; the file system's clock ticks before."""
        probe = self.context / "probe"
        probe.write_bytes(b"")
        before = probe.stat().st_ctime_ns
        while probe.stat().st_ctime_ns == before:
            probe.write_bytes(b"")
        self.file.write_text(content)
        os.utime(self.file, ns=(when, when))

    def open(self) -> Told:
        """What is remembered."""
        return Told(self.project, self.context, {"context": self.context})

    def tell(self) -> tuple[str, int]:
        """The key, and the time that the file is told with."""
        told = self.open()
        time = told.time("context", "file", self.file.lstat())
        told.folder("context", "sub", (self.context / "sub").stat().st_mode)
        told.save()
        return told.key, time

    @property
    def memory(self) -> Path:
        """The file that it is remembered in."""
        (found,) = (self.project / ".tinyship").glob("told-*")
        return found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """On a file system on which everything is old."""
    monkeypatch.setattr(statcache, "_YOUNG", -(3600 * 10**9))
    monkeypatch.setattr(statcache, "_YOUNG_COARSE", -(3600 * 10**9))
    return Site(tmp_path)


def test_what_did_not_change(site: Site) -> None:
    """The same file has its own time, and the same key, each time."""
    first = site.tell()
    assert first[1] == LONG_AGO
    assert site.tell() == first


def test_other_content(site: Site) -> None:
    """Other content under the same time is told with another, in the same second, and keeps that."""
    key, time = site.tell()
    site.write("1")
    changed = site.tell()
    assert changed == (key, time + 1)
    assert site.tell() == changed
    site.write("0")
    assert site.tell() == (key, time + 2)


def test_the_end_of_a_second(site: Site) -> None:
    """A time at the end of a second moves back, so that images have the same second."""
    site.write("0", LONG_AGO + 999_999_999)
    _, time = site.tell()
    site.write("1", LONG_AGO + 999_999_999)
    assert site.tell()[1] == time - 1


def test_young_files(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may have been written again in the tick of the look is told anew, until it is old enough."""
    monkeypatch.setattr(statcache, "_YOUNG", 3600 * 10**9)
    monkeypatch.setattr(statcache, "_YOUNG_COARSE", 3600 * 10**9)
    assert [site.tell()[1] - LONG_AGO for _ in range(3)] == [0, 1, 2]
    monkeypatch.setattr(statcache, "_YOUNG", -(3600 * 10**9))
    monkeypatch.setattr(statcache, "_YOUNG_COARSE", -(3600 * 10**9))
    assert [site.tell()[1] - LONG_AGO for _ in range(3)] == [3, 3, 3]


def test_other_mode_of_a_folder(site: Site) -> None:
    """Another key, under which nothing is known."""
    key, _ = site.tell()
    site.write("1")
    (site.context / "sub").chmod(0o700)
    changed = site.tell()
    assert changed[0] != key
    assert changed[1] == LONG_AGO
    assert site.tell() == changed


def test_folders_that_come_and_go(site: Site) -> None:
    """A folder that is gone, or is a file now, asks for no other key: BuildKit sees that."""
    key, _ = site.tell()
    (site.context / "sub").rmdir()
    assert site.open().key == key
    (site.context / "sub").write_text("")
    assert site.open().key == key


def test_a_mode_that_changes_while_it_is_told(site: Site) -> None:
    """The image has the mode from before; the next build begins anew."""
    key, _ = site.tell()
    told = site.open()
    (site.context / "sub").chmod(0o700)
    told.folder("context", "sub", (site.context / "sub").stat().st_mode)
    told.save()
    assert told.key == key
    assert site.open().key != key


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "changed"])
def test_damage(site: Site, damage: str) -> None:
    """Without memory another key is taken."""
    key, _ = site.tell()
    data = site.memory.read_bytes()
    if damage == "gone":
        site.memory.unlink()
    else:
        site.memory.write_bytes({"empty": b"", "cut": data[:-1], "changed": data[:-1] + b"\0"}[damage])
    again = site.tell()
    assert again[0] != key
    assert site.tell() == again


def test_too_much_to_remember(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where more is remembered than sending everything costs, everything is sent."""
    monkeypatch.setattr(module, "_ROOM", 2)
    keys = []
    for number in range(10):
        site.write(f"{number}", LONG_AGO + number * 10**9)
        keys.append(site.tell()[0])
    assert 1 < len(set(keys)) < 10


def test_two_at_once(site: Site) -> None:
    """What one process was told and what another was are both remembered."""
    key, _ = site.tell()
    one, other = site.open(), site.open()
    status = site.file.lstat()
    assert one.time("context", "a", status) == other.time("context", "b", status) == LONG_AGO
    one.save()
    other.save()
    site.write("1")
    told = site.open()
    assert told.key == key
    assert [told.time("context", name, site.file.lstat()) - LONG_AGO for name in ["a", "b", "c"]] == [1, 1, 0]


def test_two_that_contradict(site: Site) -> None:
    """One time for two contents, told by two at once: another key."""
    key, _ = site.tell()
    one, other = site.open(), site.open()
    site.write("1")
    one.time("context", "file", site.file.lstat())
    site.write("2")
    other.time("context", "file", site.file.lstat())
    one.save()
    assert site.open().key == key
    other.save()
    assert site.open().key != key


def test_two_that_begin_at_once(site: Site) -> None:
    """One of them is remembered; what the other's copy was told counts no more."""
    one, other = site.open(), site.open()
    one.time("context", "file", site.file.lstat())
    other.time("context", "file", site.file.lstat())
    one.save()
    other.save()
    assert site.open().key == one.key != other.key


def test_folders_by_name(site: Site) -> None:
    """Files of named contexts are files of their own."""
    told = site.open()
    status = site.file.lstat()
    assert told.time("context", "file", status) == LONG_AGO
    site.write("1")
    assert told.time("named-x", "file", site.file.lstat()) == LONG_AGO
    assert told.time("context", "file", site.file.lstat()) == LONG_AGO + 1


def test_by_content(site: Site) -> None:
    """Files that no image holds the times of go by their content."""
    first = of_content(str(site.file), site.file.stat())
    site.write("1")
    second = of_content(str(site.file), site.file.stat())
    site.write("0")
    assert of_content(str(site.file), site.file.stat()) == first != second
    assert first // 10**9 == second // 10**9 == LONG_AGO // 10**9
    assert of_content(str(site.context / "none"), site.file.stat()) // 10**9 == LONG_AGO // 10**9


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)), min_size=2, max_size=12))
def test_no_time_stands_for_two_contents(turns: list[tuple[int, int, int]]) -> None:
    """Whatever is written with whatever time, by whichever of several processes, told or not."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(statcache, "_YOUNG", -(3600 * 10**9))
        patch.setattr(statcache, "_YOUNG_COARSE", -(3600 * 10**9))
        site = Site(Path(folder))
        held: dict[tuple[str, int], str] = {}
        for content, when, deed in turns:
            site.write(f"{content}", LONG_AGO + when)
            for _ in range(deed):
                assert held.setdefault(site.tell(), f"{content}") == f"{content}"
