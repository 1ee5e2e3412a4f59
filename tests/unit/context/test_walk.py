"""The walk: byte order, folders first, links not followed, sockets left out."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinyship.context.ignore import Matcher, parse
from tinyship.context.walk import walk
from tinyship.errors import ContextError


def make(root: Path, *names: str) -> None:
    """Files with their folders."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def paths(root: Path, text: str | None = None) -> list[str]:
    """What the walk gives with an ignore file of this text."""
    return [entry.path for entry in walk(root, *([] if text is None else [Matcher(parse(text.encode()))]))]


@pytest.fixture
def nobody() -> Iterator[None]:
    """Without root's rights, which no permission bits hold back."""
    if os.geteuid() != 0:
        yield
        return
    try:
        os.seteuid(65534)
    except OSError as error:
        pytest.skip(f"root cannot give its rights up here: {error}")
    yield
    os.seteuid(0)


def test_order(tmp_path: Path) -> None:
    """Siblings in the byte order of their names, a folder before what is in it."""
    make(tmp_path, "b/x", "b.txt", "b-", "B", "a/z/y", "é", "~", "_")
    assert paths(tmp_path) == ["B", "_", "a", "a/z", "a/z/y", "b", "b/x", "b-", "b.txt", "~", "é"]


def test_order_is_of_bytes_not_of_characters(tmp_path: Path) -> None:
    """A name that is not UTF-8 sorts by its bytes."""
    names = [b"z", "é".encode(), b"\xff", b"\xc2\x80", "\U0001f600".encode(), "\uffee".encode()]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).touch()  # noqa: PTH118
    assert [os.fsencode(path) for path in paths(tmp_path)] == sorted(names)


def test_empty_folders_are_entries(tmp_path: Path) -> None:
    """A folder without anything in it is given too; the root itself is not."""
    (tmp_path / "empty").mkdir()
    assert paths(tmp_path) == ["empty"]


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    """A root that vanished has no entries."""
    assert paths(tmp_path / "gone") == []


def test_ignored_folder(tmp_path: Path) -> None:
    """An ignored folder goes with all that is in it."""
    make(tmp_path, "a/b/c", "d")
    assert paths(tmp_path, "a") == ["d"]


def test_ignored_content(tmp_path: Path) -> None:
    """A folder stays where only what is in it is ignored."""
    make(tmp_path, "a/b/c", "d")
    assert paths(tmp_path, "a/**") == ["a", "d"]


def test_file_taken_in_again(tmp_path: Path) -> None:
    """The folders above it come before it, once, and no others."""
    make(tmp_path, "a/b/one", "a/b/two", "a/c/one", "a/other", "z/b/one")
    assert paths(tmp_path, "*\n!a/b/one\n!a/b/two") == ["a", "a/b", "a/b/one", "a/b/two"]
    assert paths(tmp_path, "*\n!**/one") == [
        "a", "a/b", "a/b/one", "a/c", "a/c/one", "z", "z/b", "z/b/one",
    ]  # fmt: skip


def test_names_that_begin_alike(tmp_path: Path) -> None:
    """An ignored folder is not held for a sibling whose name begins with its own."""
    make(tmp_path, "a/skipped", "ab", "abc/keep")
    assert paths(tmp_path, "*\n!ab\n!**/keep") == ["ab", "abc", "abc/keep"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A link to a folder, to nowhere, or to itself is an entry of its own."""
    make(tmp_path, "real/file")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "nowhere").symlink_to("missing")
    (tmp_path / "self").symlink_to("self")
    found = {entry.path: entry for entry in walk(tmp_path)}
    assert list(found) == ["folder", "nowhere", "real", "real/file", "self"]
    assert [path for path, entry in found.items() if stat.S_ISLNK(entry.stat.st_mode)] == ["folder", "nowhere", "self"]


def test_sockets_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No archive can hold a socket; a pipe is given."""
    monkeypatch.chdir(tmp_path)  # the name of a socket may be 108 bytes long
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        os.mkfifo("pipe")
        assert paths(tmp_path) == ["pipe"]


def test_file_that_vanishes(tmp_path: Path) -> None:
    """What is gone when its turn comes is left out."""
    make(tmp_path, "a/file", "b", "c/file")
    entries = walk(tmp_path)
    assert next(entries).path == "a"
    (tmp_path / "a" / "file").unlink()
    (tmp_path / "b").unlink()
    assert [entry.path for entry in entries] == ["c", "c/file"]


def test_entry_says_where_it_lies(tmp_path: Path) -> None:
    """An entry can be opened, and knows its size and mode."""
    make(tmp_path, "a/file")
    (tmp_path / "a" / "file").chmod(0o751)
    entry = list(walk(tmp_path))[-1]
    assert Path(entry.full).read_text() == "a/file"
    assert (entry.stat.st_size, stat.S_IMODE(entry.stat.st_mode)) == (6, 0o751)


@pytest.mark.parametrize("folder", ["secret", "a/secret"])
def test_folder_that_cannot_be_read(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """A locked folder is an error that names it, never a gap; ignored it is none."""
    make(tmp_path, f"{folder}/file")
    tmp_path.chmod(0o755)
    (tmp_path / folder).chmod(0)
    monkeypatch.chdir(tmp_path)  # the folders above may be locked for others
    request.getfixturevalue("nobody")
    with pytest.raises(ContextError, match=f"folder {folder} of the context cannot be read: Permission denied"):
        paths(Path())
    assert folder not in paths(Path(), f"{folder}\n")
