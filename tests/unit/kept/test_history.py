"""The history of sizes: what is written is read, by whomever and however many, and what growth is measured against."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyship import state
from tinyship.errors import TinyshipError
from tinyship.kept import history, record
from tinyship.kept.history import Entry, Unreadable
from tinyship.kept.record import BaseImage, Previous, Pushed, Release, Sizes

SIZES = (Sizes("release", "lacion/foo:1.0.0", 5_000_000, None, 4_000_000, 3),)
ENTRY = Entry("lacion/foo", "1.0.0", "a" * 40, "2026-01-01T10:00:00+00:00", "2026-01-02T10:00:00.000+00:00", "", SIZES)
DIGEST = "sha256:" + "0" * 64
FILE = ".tinyship/history.jsonl"


def entry(version: str, commit: str = "", *, at: int = 0, digest: str = "", image: str = "lacion/foo") -> Entry:
    """A release at some minute of a day."""
    recorded = f"2026-02-03T{at // 60:02}:{at % 60:02}:00+00:00"
    return Entry(image, version, commit * 40 if commit else "", "", recorded, digest, SIZES)


def lines(root: Path) -> list[bytes]:
    """Those of the file."""
    return (root / FILE).read_bytes().removesuffix(b"\n").split(b"\n")


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    """What is written is what is read, and is one line of JSON with its schema."""
    history.add(tmp_path, ENTRY)
    assert history.read(tmp_path) == history.Found((ENTRY,))
    (line,) = lines(tmp_path)
    assert b'"schema":1' in line
    assert (tmp_path / ".tinyship" / ".gitignore").read_text() == "*\n"


def test_bases_are_kept(tmp_path: Path) -> None:
    """What a release stands on is part of it; older lines say nothing of it, and what no terminal takes is no entry."""
    based = replace(ENTRY, bases=(BaseImage("alpine:3.22", DIGEST),))
    history.add(tmp_path, based)
    assert history.read(tmp_path).entries == (based,)
    older = history.as_line(ENTRY).replace('"bases":[],', "")
    assert history.of_line(older.encode()) == ENTRY
    assert not history.is_sound(replace(ENTRY, bases=(BaseImage("alpine\x1b[31m", DIGEST),)))


def test_nothing_there(tmp_path: Path) -> None:
    """A project without a history, or without its folder, has an empty one."""
    assert history.read(tmp_path) == history.Found()
    assert history.read(tmp_path / "gone") == history.Found()


def test_last_one_counts(tmp_path: Path) -> None:
    """The same version of the same commit is one entry: the line written last, whatever the clock said."""
    again = replace(ENTRY, digest=DIGEST, recorded="2026-01-01T09:00:00+00:00")
    history.add(tmp_path, ENTRY)
    history.add(tmp_path, again)
    assert history.read(tmp_path).entries == (again,)
    assert len(lines(tmp_path)) == 2


def test_versions_commits_and_images_are_different(tmp_path: Path) -> None:
    """Only what is equal in all three is one release."""
    entries = [entry("1", "a"), entry("1", "b"), entry("2", "b"), entry("2", "b", image="lacion/bar"), entry("3")]
    history.add(tmp_path, *entries)
    assert history.read(tmp_path).entries == tuple(entries)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"1",
        b"{}",
        b'{"schema":1}',
        b'{"schema":"1"}',
        b'{"schema":null}',
        b'{"schema":0}',
        b'{"schema":1.5}',
        b"[" * 100_000,
        b'{"schema":1,"a":' * 5000,
        b"<<<<<<< HEAD",
        b"\x00" * 10,
        history.as_line(replace(ENTRY, version="\x1b[31mred")).encode(),
        history.as_line(replace(ENTRY, version="")).encode(),
        history.as_line(replace(ENTRY, version="1" * 513)).encode(),
        history.as_line(replace(ENTRY, commit="--help")).encode(),
        history.as_line(replace(ENTRY, recorded="yesterday")).encode(),
        history.as_line(replace(ENTRY, recorded="2026-01-01")).encode(),
        history.as_line(replace(ENTRY, created="0001-01-01T00:00:00+14:00")).encode(),
        history.as_line(ENTRY).replace("5000000", "-5").encode(),
        history.as_line(ENTRY).replace("5000000", '"5"').encode(),
        history.as_line(ENTRY).replace("5000000", "1e999").encode(),
        history.as_line(ENTRY)[:-20].encode(),
        b'"' + b"x" * 2_000_000 + b'"',
    ],
    ids=range(27),
)
def test_odd_lines_lose_nothing(tmp_path: Path, line: bytes) -> None:
    """A line that is no entry stays as it is, and is told of with its number; those around it count."""
    other = entry("2", "b")
    history.add(tmp_path, ENTRY)
    with (tmp_path / FILE).open("ab") as file:
        file.write(line)  # cut short: without an end of line
    history.add(tmp_path, other)
    found = history.read(tmp_path)
    assert found.entries == (ENTRY, other)
    (notice,) = found.notices
    assert "history.jsonl: line 2: no entry of a history" in notice
    assert lines(tmp_path)[1] == line


def test_newer_schema(tmp_path: Path) -> None:
    """What a newer tinyship wrote is left alone, and that is why it does not count."""
    history.add(tmp_path, ENTRY)
    newer = history.as_line(entry("2", "b")).replace('"schema":1', '"schema":2')
    (tmp_path / FILE).write_text(f"{newer}\n{history.as_line(ENTRY)}\n\n" + f"{newer}\n" * 7)
    found = history.read(tmp_path)
    assert found.entries == (ENTRY,)
    (notice,) = found.notices
    assert "lines 1, 4, 5, 6, 7 and 3 more: written by a newer tinyship" in notice


def test_unknown_fields_do_no_harm() -> None:
    """A field more within the schema is no reason to lose an entry."""
    line = history.as_line(ENTRY).replace('"schema":1', '"schema":1,"zeal":{"a":[1]}')
    assert history.of_line(line.encode()) == ENTRY


@given(st.binary(max_size=300) | st.text().map(str.encode))
def test_any_bytes(data: bytes) -> None:
    """Whatever the bytes, they are an entry or they are told of."""
    found = history.parse(data + b"\n" + history.as_line(ENTRY).encode(), "here")
    assert found.entries == (ENTRY,)
    assert bool(found.notices) == any(line.strip() for line in data.split(b"\n"))


@given(st.text(), st.integers(min_value=0), st.none() | st.integers(min_value=0))
def test_any_entry(version: str, unpacked: int, pull: int | None) -> None:
    """An entry is one line, and comes back from it, or was none that can be shown."""
    made = replace(ENTRY, version=version, sizes=(Sizes("release", "lacion/foo", unpacked, pull, None, 0),))
    line = history.as_line(made)
    assert len(line.splitlines()) == 1
    try:
        assert history.of_line(line.encode()) == made
    except Unreadable:
        assert not version.isprintable() or not version


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.unit.kept.test_history import ENTRY
from tinyship.kept import history
root, writer, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
history.BOUND = int(sys.argv[4])
for number in range(count):
    history.add(root, replace(ENTRY, version=f"{writer}.{number}"))
"""


def write_at_once(root: Path, bound: int) -> None:
    """Have 8 processes write 50 entries each."""
    words = [sys.executable, "-c", WRITER, str(root)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    running = [subprocess.Popen([*words, str(writer), "50", str(bound)], env=environment) for writer in range(8)]
    assert [process.wait(timeout=120) for process in running] == [0] * 8


def test_many_processes(tmp_path: Path) -> None:
    """8 processes with 50 entries each leave 400."""
    write_at_once(tmp_path, history.BOUND)
    found = history.read(tmp_path)
    assert not found.notices
    assert {one.version for one in found.entries} == {
        f"{writer}.{number}" for writer in range(8) for number in range(50)
    }


def test_many_processes_that_cut(tmp_path: Path) -> None:
    """While others replace the file to cut it, nobody's last entries go."""
    write_at_once(tmp_path, 300)
    found = history.read(tmp_path)
    assert not found.notices
    assert 225 <= len(found.entries) <= 300
    assert len(lines(tmp_path)) == len(found.entries)


def test_many_threads(tmp_path: Path) -> None:
    """Threads are writers like processes."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: history.add(tmp_path, entry(str(number), "a")), range(100)))
    assert len(history.read(tmp_path).entries) == 100


def test_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound, lines that later ones replace go first, then the oldest; odd lines are lines like others."""
    monkeypatch.setattr(history, "BOUND", 20)
    for number in range(50):
        history.add(tmp_path, replace(ENTRY, digest=f"{number}"))
    assert len(lines(tmp_path)) <= 20
    (only,) = history.read(tmp_path).entries
    assert only.digest == "49"
    (tmp_path / FILE).write_bytes(b"odd \xff\n")
    for number in range(20):
        history.add(tmp_path, entry(str(number), "a"))
    assert [one.version for one in history.read(tmp_path).entries] == [str(number) for number in range(5, 20)]
    assert sorted(path.name for path in (tmp_path / ".tinyship").iterdir()) == [
        ".gitignore",
        "history.jsonl",
        "history.lock",
    ]


def test_bound_keeps_odd_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut leaves a line that cannot be understood byte for byte."""
    monkeypatch.setattr(history, "BOUND", 20)
    history.add(tmp_path, ENTRY)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"odd \xff\r\x00\n")
    for _ in range(30):
        history.add(tmp_path, ENTRY)
    assert b"odd \xff\r\x00" in lines(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(tmp_path: Path) -> None:
    """A folder that is not ours to write in is said so; what is in it can be read."""
    history.add(tmp_path, ENTRY)
    (tmp_path / ".tinyship").chmod(0o500)
    with pytest.raises(TinyshipError, match="cannot be written"):
        history.add(tmp_path, ENTRY)
    assert history.read(tmp_path).entries == (ENTRY,)


def test_read_only_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not even the lock can be made, that is what is said."""
    history.add(tmp_path, ENTRY)

    def refuse(path: Path, flags: int, mode: int) -> int:
        raise OSError(30, "Read-only file system", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(TinyshipError, match=r"history\.lock cannot be written: Read-only file system"):
            history.add(tmp_path, ENTRY)
    assert history.read(tmp_path).entries == (ENTRY,)


def test_file_that_cannot_be_a_file(tmp_path: Path) -> None:
    """What cannot be read is a notice, what cannot be written an error; neither is a traceback."""
    (tmp_path / FILE).mkdir(parents=True)
    found = history.read(tmp_path)
    assert found.entries == ()
    assert "cannot be read: Is a directory" in found.notices[0]
    with pytest.raises(TinyshipError, match="cannot be written: Is a directory"):
        history.add(tmp_path, ENTRY)


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line is taken back, and the lock is free again."""
    history.add(tmp_path, ENTRY)
    before = (tmp_path / FILE).read_bytes()
    real = os.write

    def write(handle: int, data: bytes) -> int:
        if len(data) < 50:
            raise OSError(28, "No space left on device")
        return real(handle, data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(TinyshipError, match="No space left"):
            history.add(tmp_path, ENTRY)
    assert (tmp_path / FILE).read_bytes() == before
    history.add(tmp_path, ENTRY)


def test_lock_that_is_never_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hangs with the lock does not hang the others for ever."""
    monkeypatch.setattr(state, "_PATIENCE", 0.05)
    with (
        state.locked(tmp_path, "history.lock"),
        pytest.raises(TinyshipError, match=r"keeps .*history\.lock locked"),
    ):
        history.add(tmp_path, ENTRY)
    history.add(tmp_path, ENTRY)


def test_union() -> None:
    """Of two sources the later record of a release counts, and of equal ones that with a digest."""
    old, new = entry("1", "a", at=1), entry("1", "a", at=2)
    pushed = replace(new, digest=DIGEST)
    other = entry("2", "b", at=1)
    assert history.union([new], [old]) == (new,)
    assert history.union([old], [new]) == (new,)
    assert history.union([pushed], [new]) == (pushed,)
    assert history.union([new, other], [pushed]) == (other, pushed)
    assert history.union() == ()


def test_baseline_is_the_nearest_ancestor() -> None:
    """Not the last release, where that is of another branch."""
    entries = [entry("1", "a"), entry("2", "b"), entry("3", "c"), entry("1", "b", image="lacion/bar")]
    assert history.baseline(entries, "lacion/foo", "d" * 40, ["d" * 40, "b" * 40, "a" * 40]) == entries[1]


def test_baseline_of_a_release_again() -> None:
    """A commit that is released a second time is measured as it was the first time."""
    entries = [entry("1", "a"), entry("2", "b")]
    assert history.baseline(entries, "lacion/foo", "b" * 40, ["b" * 40, "a" * 40]) == entries[0]
    assert history.baseline(entries[:1], "lacion/foo", "a" * 40, ["a" * 40]) == entries[0]


def test_baseline_leaves_out_dirty_trees() -> None:
    """What no commit holds is measured against only where there is nothing else."""
    entries = [entry("1", "a"), entry("1-1-gb-dirty", "b")]
    ancestors = ["c" * 40, "b" * 40, "a" * 40]
    assert history.baseline(entries, "lacion/foo", "c" * 40, ancestors) == entries[0]
    assert history.baseline(entries[1:], "lacion/foo", "c" * 40, ancestors) == entries[1]


def test_baseline_of_a_shallow_clone() -> None:
    """Where no ancestor is known, the last release of another commit counts."""
    entries = [entry("1", "a"), entry("2", "b"), entry("3", "c")]
    assert history.baseline(entries, "lacion/foo", "c" * 40, ["c" * 40]) == entries[1]


def test_baseline_without_anything() -> None:
    """The first release has nothing to be measured against, and then git is not asked."""

    def never() -> Iterator[str]:
        yield pytest.fail("asked for ancestors")

    assert history.baseline([], "lacion/foo", "a" * 40, never()) is None
    assert history.baseline([entry("1", "a")], "lacion/bar", "b" * 40, never()) is None
    assert history.baseline([entry("1", "a")], "lacion/foo", "a" * 40, never()) == entry("1", "a")


def test_baseline_without_a_repository() -> None:
    """Without commits it is the last release."""
    entries = [entry("1"), entry("2")]
    assert history.baseline(entries, "lacion/foo", "", []) == entries[1]


def test_record_of_an_older_tinyship() -> None:
    """What only the record knows: its release, and the one before."""
    release = Release(
        image="lacion/foo",
        version="1.0.0",
        commit="a" * 40,
        tree="",
        dirty=False,
        source="",
        created="2026-01-01T10:00:00+00:00",
        platform="linux/amd64",
        id="sha256:1",
        tags=("local",),
        sizes=SIZES,
        pushed=(Pushed("r/lacion/foo:1.0.0", DIGEST),),
        previous=Previous("0.9.0", "b" * 40, SIZES),
    )
    before, last = history.of_record(release)
    assert (before.version, before.commit, before.recorded, before.sizes) == ("0.9.0", "b" * 40, "", SIZES)
    assert (last.version, last.created, last.digest) == ("1.0.0", release.created, DIGEST)
    assert before.summary() == release.previous
    assert history.baseline([before, last], "lacion/foo", "a" * 40, []) == before
    assert history.baseline([before, last], "lacion/foo", "c" * 40, []) == last
    assert history.of_record(None) == ()
    assert [history.of_line(history.as_line(one).encode()) for one in (before, last)] == [before, last]
    assert record.SCHEMA == 1


def test_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines are understood once for all who ask; what is added, or takes the file's place, is seen."""
    parsed: list[str] = []
    real = history.parse

    def parse(data: bytes, where: str) -> history.Found:
        parsed.append(where)
        return real(data, where)

    monkeypatch.setattr(history, "parse", parse)
    history.add(tmp_path, entry("1.0", "a"))
    first = history.read(tmp_path)
    assert history.read(tmp_path) is first
    assert len(parsed) == 1
    history.add(tmp_path, entry("1.1", "b", at=1))
    assert [one.version for one in history.read(tmp_path).entries] == ["1.0", "1.1"]
    (tmp_path / ".tinyship" / "history.jsonl").unlink()
    assert history.read(tmp_path).entries == ()
