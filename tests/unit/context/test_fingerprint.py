"""Fingerprints: what changes them, what does not, and what cannot fool them."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import everything, tree_patterns, trees
from reference import plant as plant_tree

from tinyship.context import fingerprint, statcache
from tinyship.context.fingerprint import Change, Fingerprint
from tinyship.context.ignore import Matcher
from tinyship.context.source import Context
from tinyship.context.table import Kind
from tinyship.context.walk import Entry, walk
from tinyship.errors import ContextError

LONG_AGO = 1_000_000_000 * 1_000_000_000


class Watch:
    """Looks at a folder with a cache of its own, and counts what is read.

    Before each look the file system's clock ticks, so that what is done before and after has different times.
    """

    def __init__(self, root: Path, state: Path) -> None:
        self.root = root
        self.state = state
        self.read: list[str] = []

    def __call__(self, rules: Sequence[str] = ()) -> Fingerprint:
        """The fingerprint of what these rules leave."""
        self.read.clear()
        self._tick()
        return self.at_once(rules)

    def at_once(self, rules: Sequence[str] = ()) -> Fingerprint:
        """The same, in whatever tick this is."""
        return fingerprint.of_folder(self.root, Matcher(rules), rules=rules, state_root=self.state, name="test")

    def _tick(self) -> None:
        probe = self.state / "probe"
        probe.write_bytes(b"")
        before = probe.stat().st_ctime_ns
        while probe.stat().st_ctime_ns == before:
            probe.write_bytes(b"")


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """A folder, what is remembered of it elsewhere, and a file system on which all is old enough."""
    (tmp_path / "context").mkdir()
    (tmp_path / "project").mkdir()
    made = Watch(tmp_path / "context", tmp_path / "project")
    original = fingerprint._digest

    def counting(entry: Entry) -> bytes | None:
        made.read.append(entry.path)
        return original(entry)

    monkeypatch.setattr(fingerprint, "_digest", counting)
    monkeypatch.setattr(statcache, "_YOUNG", -(3600 * 10**9))
    return made


def plant(root: Path) -> None:
    """A folder with a bit of everything."""
    (root / "src" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "main.go").write_text("package main\n")
    (root / "src" / "a.go").write_text("package a\n")
    (root / "src" / "deep" / "b.go").write_text("package b\n")
    (root / "link").symlink_to("main.go")
    for path in root.rglob("*"):
        os.utime(path, ns=(LONG_AGO, LONG_AGO), follow_symlinks=False)


def test_nothing_is_read_twice(watch: Watch) -> None:
    """What looks as it did is not read again."""
    plant(watch.root)
    first = watch()
    assert sorted(watch.read) == ["link", "main.go", "src/a.go", "src/deep/b.go"]
    assert watch() == first
    assert watch.read == []


@pytest.mark.parametrize(
    ("change", "path", "kind"),
    [
        (lambda root: (root / "main.go").write_text("package none\n"), "main.go", "content"),
        (lambda root: (root / "main.go").chmod(0o755), "main.go", "mode"),
        (lambda root: (root / "src").chmod(0o700), "src", "mode"),
        (lambda root: (root / "src" / "new.go").write_text(""), "src/new.go", "new"),
        (lambda root: (root / "src" / "deep" / "b.go").unlink(), "src/deep/b.go", "gone"),
        (lambda root: (root / "empty").rmdir(), "empty", "gone"),
        (lambda root: (root / "other").mkdir(), "other", "new"),
    ],
)
def test_each_change_is_seen(watch: Watch, change: Callable[[Path], object], path: str, kind: Kind) -> None:
    """A change of content, mode or name changes the digest, and is named."""
    plant(watch.root)
    before = watch()
    change(watch.root)
    after = watch()
    assert after.digest != before.digest
    changes = after.changes(before)
    assert changes.first == (Change(path, kind),)
    assert changes.count == 1


def test_another_target(watch: Watch) -> None:
    """A link that leads elsewhere is another link, whatever its length and times."""
    plant(watch.root)
    before = watch()
    (watch.root / "link").unlink()
    (watch.root / "link").symlink_to("main.py")
    os.utime(watch.root / "link", ns=(LONG_AGO, LONG_AGO), follow_symlinks=False)
    assert watch().changes(before).first == (Change("link", "link"),)


def test_another_kind(watch: Watch) -> None:
    """A file in place of a link, a folder in place of a file."""
    plant(watch.root)
    before = watch()
    (watch.root / "link").unlink()
    (watch.root / "link").write_text("main.go")
    after = watch()
    assert after.changes(before).first == (Change("link", "kind"),)
    (watch.root / "main.go").unlink()
    (watch.root / "main.go").mkdir()
    assert set(watch().changes(after).first) == {Change("main.go", "new"), Change("main.go", "gone")}


def test_same_size_and_time(watch: Watch) -> None:
    """Other content under the same size and time is seen: the file system knows when the file was changed."""
    plant(watch.root)
    before = watch()
    (watch.root / "main.go").write_text("package MAIN\n")
    os.utime(watch.root / "main.go", ns=(LONG_AGO, LONG_AGO))
    assert watch().changes(before).first == (Change("main.go", "content"),)


def test_replaced_by_rename(watch: Watch, tmp_path: Path) -> None:
    """A file that takes the place of another, with its size and times, is seen."""
    plant(watch.root)
    before = watch()
    other = tmp_path / "other"
    other.write_text("package MAIN\n")
    shutil.copystat(watch.root / "main.go", other)
    other.replace(watch.root / "main.go")
    assert watch().changes(before).first == (Change("main.go", "content"),)


def test_times_decide_nothing(watch: Watch) -> None:
    """Touched files are read, and are what they were."""
    plant(watch.root)
    before = watch()
    for path in [watch.root / "main.go", watch.root / "src"]:
        path.touch()
    assert watch() == before
    assert watch.read == ["main.go"]


def test_young_files_are_read_again(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may have been written in the tick of the look is read the next time, until it is old enough."""
    monkeypatch.undo()
    monkeypatch.setattr(statcache, "_YOUNG", 3600 * 10**9)
    plant(watch.root)
    read: list[str] = []
    original = fingerprint._digest

    def counting(entry: Entry) -> bytes | None:
        read.append(entry.path)
        return original(entry)

    monkeypatch.setattr(fingerprint, "_digest", counting)
    first = watch()
    assert watch() == first
    assert sorted(read) == sorted(["link", "main.go", "src/a.go", "src/deep/b.go"] * 2)
    monkeypatch.setattr(statcache, "_YOUNG", -(3600 * 10**9))
    assert watch() == first
    read.clear()
    assert watch() == first
    assert read == []


def test_the_same_tick(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written right after the look, with the same size and time, again and again."""
    monkeypatch.undo()
    file = watch.root / "main.go"
    digests = []
    for number in range(200):
        file.write_text(f"{number:04}")
        os.utime(file, ns=(LONG_AGO, LONG_AGO))
        digests.append(watch.at_once().digest)
    assert len(set(digests)) == 200


@pytest.mark.parametrize("hours", [1, 24 * 365 * 300])
def test_times_in_the_future(watch: Watch, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """A time that is yet to come says nothing, even one that no 64 bits hold."""
    monkeypatch.setattr(statcache, "_YOUNG", 2 * 10**9)
    file = watch.root / "main.go"
    file.write_text("1")
    ahead = time.time_ns() + hours * 3600 * 10**9
    try:
        os.utime(file, ns=(ahead, ahead))
    except OverflowError:
        pytest.skip("no such times here")
    first = watch()
    assert watch() == first
    assert watch.read == ["main.go"]


@pytest.mark.parametrize("skew", [-86400, 86400])
def test_clock_skew(watch: Watch, monkeypatch: pytest.MonkeyPatch, skew: int) -> None:
    """Where our clock and the file system's differ, the earlier one counts: young files stay young."""
    monkeypatch.setattr(statcache, "_YOUNG", 2 * 10**9)
    now = time.time_ns
    monkeypatch.setattr("tinyship.context.statcache.time.time_ns", lambda: now() + skew * 10**9)
    file = watch.root / "main.go"
    file.write_text("1")
    os.utime(file, ns=(LONG_AGO, LONG_AGO))
    first = watch()
    assert watch() == first
    assert watch.read == ["main.go"]
    file.write_text("2")
    os.utime(file, ns=(LONG_AGO, LONG_AGO))
    assert watch() != first


def test_ignored_files_decide_nothing(watch: Watch) -> None:
    """What is ignored may change; what an exception takes in again may not."""
    plant(watch.root)
    rules = ["src", "!src/deep/b.go"]
    before = watch(rules)
    (watch.root / "src" / "a.go").write_text("other")
    (watch.root / "src" / "deep" / "c.go").write_text("other")
    assert watch(rules) == before
    (watch.root / "src" / "deep" / "b.go").write_text("other")
    assert watch(rules).changes(before).first == (Change("src/deep/b.go", "content"),)


def test_other_rules(watch: Watch) -> None:
    """Another ignore rule is a change, even where it ignores nothing that is there."""
    plant(watch.root)
    before = watch(["none"])
    after = watch(["nothing"])
    assert after.digest != before.digest
    assert after.changes(before).first == (Change("", "rules"),)


def test_many_changes_are_counted(watch: Watch) -> None:
    """Some changes are named, all are counted."""
    before = watch()
    for number in range(30):
        (watch.root / f"{number}").write_text("")
    changes = watch().changes(before, most=3)
    assert len(changes.first) == 3
    assert changes.count == 30


def test_nothing_in_it(watch: Watch) -> None:
    """An empty context has a fingerprint of its own."""
    empty = watch()
    assert empty == watch()
    (watch.root / "a").write_text("")
    assert watch() != empty
    (watch.root / "a").unlink()
    assert watch() == empty


def test_names_of_any_bytes(watch: Watch) -> None:
    """Names and targets need not be UTF-8."""
    name = os.fsdecode(b"\xff\xfe.txt")
    (watch.root / name).write_text("1")
    (watch.root / "link").symlink_to(name)
    before = watch()
    assert watch() == before
    (watch.root / name).write_text("2")
    assert watch().changes(before).first == (Change(name, "content"),)


def test_gone_in_the_middle(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """What vanishes between the look and the reading was never there."""
    plant(watch.root)
    (watch.root / "src" / "a.go").unlink()
    without = watch()
    (watch.root / "src" / "a.go").write_text("package a\n")
    counting = fingerprint._digest

    def vanishing(entry: Entry) -> bytes | None:
        if entry.path == "src/a.go":
            Path(entry.full).unlink()
        return counting(entry)

    monkeypatch.setattr(fingerprint, "_digest", vanishing)
    assert watch() == without


def test_changed_while_it_is_read(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written while it was read is read again the next time."""
    (watch.root / "a").write_text("1")
    counting = fingerprint._digest
    monkeypatch.setattr(fingerprint, "_digest", lambda entry: (counting(entry), Path(entry.full).write_text("2"))[0])
    first = watch()
    monkeypatch.setattr(fingerprint, "_digest", counting)
    assert watch() != first
    assert watch.read == ["a"]


def test_swapped_while_it_is_read(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that takes a file's place between look and reading is taken as a link."""
    (watch.root / "a").write_text("1")
    counting = fingerprint._digest

    def swapping(entry: Entry) -> bytes | None:
        if stat.S_ISREG(entry.stat.st_mode):
            Path(entry.full).unlink()
            Path(entry.full).symlink_to("/etc/passwd")
        return counting(entry)

    monkeypatch.setattr(fingerprint, "_digest", swapping)
    first = watch()
    monkeypatch.setattr(fingerprint, "_digest", counting)
    assert watch() == first


def test_damaged_memory(watch: Watch) -> None:
    """A damaged cache is none, wherever the damage is."""
    plant(watch.root)
    first = watch()
    (file,) = (watch.state / ".tinyship").glob("looks-*")
    whole = file.read_bytes()
    for at in [0, 10, 30, len(whole) // 2, len(whole) - 1]:
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert watch() == first
        assert len(watch.read) == 4
        file.write_bytes(whole[:at])
        assert watch() == first
        assert len(watch.read) == 4
    assert watch() == first
    assert watch.read == []


def test_what_is_gone_is_forgotten(watch: Watch) -> None:
    """The cache holds what there is, and is not written again for nothing."""
    plant(watch.root)
    watch()
    (file,) = (watch.state / ".tinyship").glob("looks-*")
    size, written = file.stat().st_size, file.stat().st_mtime_ns
    shutil.rmtree(watch.root / "src")
    watch()
    assert file.stat().st_size < size
    assert b"a.go" not in file.read_bytes()
    assert file.stat().st_mtime_ns > written
    written = file.stat().st_mtime_ns
    watch()
    assert file.stat().st_mtime_ns == written
    assert [path.name for path in file.parent.iterdir() if path != file] == [".gitignore"]


def test_git_back_and_forth(watch: Watch) -> None:
    """A stash and back, another branch and back: the same files, the same fingerprint."""

    def git(*words: str) -> None:
        who = ["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=watch.root, check=True, capture_output=True)

    plant(watch.root)
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    clean = watch([".git"])
    (watch.root / "main.go").write_text("package MAIN\n")
    changed = watch([".git"])
    git("stash")
    assert watch([".git"]) == clean != changed
    git("stash", "pop")
    assert watch([".git"]) == changed
    git("checkout", "-qb", "other")
    git("commit", "-qam", "two")
    git("checkout", "-q", "-")
    assert watch([".git"]) == clean


def test_unreadable(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be read is named."""
    plant(watch.root)

    def locked(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tinyship.context.walk.os.open", locked)
    with pytest.raises(ContextError, match=r"main\.go cannot be read: Permission denied"):
        watch()


def test_locked_folders(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be read is named, unless it is ignored."""
    plant(watch.root)
    listdir = os.listdir

    def locked(folder: str) -> list[str]:
        if str(folder).rstrip("/").endswith("src"):
            raise PermissionError(13, "Permission denied")
        return listdir(folder)

    monkeypatch.setattr("tinyship.context.fingerprint.os.listdir", locked)
    with pytest.raises(ContextError, match="the folder src of the context cannot be read: Permission denied"):
        watch()
    assert watch(["src", "!src/deep/b.go"]) == watch(["src", "!src/deep/b.go"])


def test_many_at_once(watch: Watch) -> None:
    """Threads and processes that look at once agree, and leave a memory that is whole."""
    plant(watch.root)
    expected = watch()
    for number in range(20):
        (watch.root / f"{number}").write_text(f"{number}")
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: watch.at_once(), range(32)))
    assert found == {watch()} != {expected}
    assert watch.read == []
    assert sorted(path.name for path in (watch.state / ".tinyship").iterdir()) == [".gitignore", "looks-test"]


def test_nowhere_to_remember(watch: Watch) -> None:
    """Without a place for what is remembered it takes longer, and is right."""
    plant(watch.root)
    before = watch()
    shutil.rmtree(watch.state / ".tinyship")
    (watch.state / ".tinyship").write_text("in the way")
    assert watch() == before
    (watch.root / "main.go").write_text("other")
    assert watch() != before


def test_kept(watch: Watch) -> None:
    """What is kept comes back as it was; damage and absence are the same."""
    plant(watch.root)
    (watch.root / os.fsdecode(b"\xff")).write_text("")
    before = watch(["a*b"])
    fingerprint.keep(watch.state, "api/production", before)
    found = fingerprint.kept(watch.state, "api/production")
    assert found == before
    assert not found.changes(before).count
    assert fingerprint.kept(watch.state, "api_production") is None
    (file,) = (watch.state / ".tinyship").glob("print-*")
    file.write_bytes(file.read_bytes()[:-1])
    assert fingerprint.kept(watch.state, "api/production") is None
    file.write_bytes(b"")
    assert fingerprint.kept(watch.state, "api/production") is None


def test_only_some_paths(watch: Watch) -> None:
    """Files and folders by name; what is beside them decides nothing."""
    plant(watch.root)

    def some() -> Fingerprint:
        return fingerprint.of_paths(watch.root, ["src/deep/", "main.go", "out"], state_root=watch.state, name="some")

    before = some()
    (watch.root / "src" / "a.go").write_text("other")
    (watch.root / "empty" / "b").write_text("other")
    assert some() == before
    (watch.root / "src" / "deep" / "c.go").write_text("other")
    (watch.root / "out").write_text("other")
    assert some().changes(before).first == (Change("out", "new"), Change("src/deep/c.go", "new"))


def test_of_a_context(watch: Watch) -> None:
    """A context's own ignore file and what else is left out."""
    plant(watch.root)
    (watch.root / "Dockerfile").write_text("FROM scratch\n")
    (watch.root / ".dockerignore").write_text("src\n")
    context = Context.open(watch.root, watch.root / "Dockerfile")
    before = fingerprint.take(context, state_root=watch.state, name="one")
    (watch.root / "src" / "a.go").write_text("other")
    assert fingerprint.take(context, state_root=watch.state, name="one") == before
    (watch.root / "Dockerfile").write_text("FROM scratch\nCOPY . .\n")
    assert fingerprint.take(context, state_root=watch.state, name="one") != before
    less = fingerprint.take(context, Matcher(["main.go"]), state_root=watch.state, name="two")
    assert Change("main.go", "gone") in less.changes(before).first


def test_as_the_walk(watch: Watch) -> None:
    """It sees what the walk gives."""
    plant(watch.root)
    rules = ["src", "!src/deep/b.go", "empty", "*.none"]
    empty = fingerprint.of_folder(watch.root, Matcher(["*"]), state_root=watch.state, name="none")
    changes = fingerprint.of_folder(watch.root, Matcher(rules), state_root=watch.state, name="all").changes(empty)
    assert {change.path for change in changes.first} == {entry.path for entry in walk(watch.root, Matcher(rules))}


def plainly(root: Path, rules: list[str]) -> str:
    """What a fingerprint is of, in the plainest words."""
    told: list[object] = list(rules)
    for entry in walk(root, Matcher(rules)):
        path, mode = Path(entry.full), entry.stat.st_mode
        content = os.readlink(path) if stat.S_ISLNK(mode) else path.read_bytes() if stat.S_ISREG(mode) else ""  # noqa: PTH115
        told.append((entry.path, mode, content))
    return repr(told)


def rewrite(path: Path, number: int) -> None:
    """Other content of the same length; size and time tell nothing."""
    before = path.stat()
    path.write_text(f"{number % 10}")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def exchange(path: Path, number: int) -> None:
    """Another file in this one's place, with its times."""
    other = path.with_name("other")
    other.write_text(f"{number % 10}")
    shutil.copystat(path, other)
    other.replace(path)


def touch(path: Path, number: int) -> None:
    """Another time."""
    os.utime(path, ns=(number * 10**9, number * 10**9), follow_symlinks=False)


def lead_elsewhere(path: Path, number: int) -> None:
    """A link in its place."""
    path.unlink()
    path.symlink_to(f"{number % 2}")


def make_anew(path: Path, _: int) -> None:
    """The same file, but another, so that it is found elsewhere in the folder."""
    content, status = path.read_bytes(), path.stat()
    path.unlink()
    path.write_bytes(content)
    path.chmod(stat.S_IMODE(status.st_mode))


of_files: list[Callable[[Path, int], object]] = [
    rewrite,
    exchange,
    make_anew,
    lead_elsewhere,
    lambda path, number: path.write_text("x" * (number % 3)),
    lambda path, number: path.chmod(0o600 | number % 0o200),
    lambda path, _: path.unlink(),
]
of_anything: list[Callable[[Path, int], object]] = [
    touch,
    lambda path, number: path.rename(path.with_name(f"to{number % 3}")),
]
steps = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=5)


def do(root: Path, choice: int, number: int) -> None:
    """One thing to one of the files and folders, where that is possible."""
    found = sorted(everything(root))
    if not found:
        (root / "new").touch()
        return
    path = root / found[choice % len(found)]
    is_file = path.is_file() and not path.is_symlink()
    deeds = [*of_anything, *of_files] if is_file else of_anything
    deed = deeds[number % len(deeds)]
    with suppress(OSError):  # a name that is taken, by a folder with something in it
        deed(path, number)


@settings(max_examples=60, deadline=None)
@given(trees, steps, st.lists(tree_patterns, max_size=3))
def test_it_changes_with_what_it_is_of(
    tree: list[tuple[str, str | None]], steps: list[tuple[int, int]], rules: list[str]
) -> None:
    """Any change of content, mode, name, target or rule changes the digest; none of times, or of what is ignored."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(statcache, "_YOUNG", -(10**18))
        root, state = Path(folder, "context"), Path(folder, "project")
        root.mkdir()
        state.mkdir()
        plant_tree(root, tree)
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.write_text("0")
        watch = Watch(root, state)
        seen: dict[str, str] = {}
        for turn, (choice, number) in enumerate([*steps, (0, 0)]):
            asked = rules if turn < len(steps) else [*rules, "none"]
            found = watch(asked)
            fresh = fingerprint.of_folder(root, Matcher(asked), rules=asked, state_root=state, name=f"fresh{turn}")
            assert (found, found.rows) == (fresh, fresh.rows)
            assert seen.setdefault(plainly(root, asked), found.digest) == found.digest
            do(root, choice, number)
        assert len(set(seen.values())) == len(seen)
