"""The record: written atomically, read back as it was, refused when it is not ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tinyship.errors import TinyshipError
from tinyship.kept import record
from tinyship.kept.record import Previous, Pushed, Record, Release, Sizes

SIZES = (Sizes("release", "lacion/foo:1.0.0", 5_000_000, None, 4_000_000, 3),)
RELEASE = Release(
    image="lacion/foo",
    version="1.0.0",
    commit="c" * 40,
    tree="t",
    dirty=False,
    source="https://example.com/lacion/foo",
    created="2017-05-01T12:00:00+00:00",
    platform="linux/amd64",
    id="sha256:" + "0" * 64,
    tags=("local", "1.0.0"),
    sizes=SIZES,
    pushed=(Pushed("localhost:5000/lacion/foo:1.0.0", "sha256:" + "1" * 64),),
    previous=Previous("0.9.0", "b" * 40, SIZES),
)


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    """What is written is what is read."""
    record.update(tmp_path, RELEASE)
    assert record.read(tmp_path) == Record((RELEASE,))


def test_says_its_schema(tmp_path: Path) -> None:
    """Scripts find `schema` and `images` on the first level."""
    record.update(tmp_path, RELEASE)
    data = json.loads(record.path(tmp_path).read_text())
    assert data["schema"] == 1
    assert data["images"][0]["pushed"][0]["digest"] == "sha256:" + "1" * 64


def test_keeps_other_images(tmp_path: Path) -> None:
    """An entry is replaced by image, the others stay."""
    record.update(tmp_path, RELEASE)
    record.update(tmp_path, replace(RELEASE, image="lacion/bar"))
    record.update(tmp_path, replace(RELEASE, version="1.1.0"))
    assert {(entry.image, entry.version) for entry in record.read(tmp_path).images} == {
        ("lacion/bar", "1.0.0"),
        ("lacion/foo", "1.1.0"),
    }


def test_nothing_released(tmp_path: Path) -> None:
    """A project without a record has an empty one."""
    assert record.read(tmp_path) == Record()


def test_hides_itself_from_git(tmp_path: Path) -> None:
    """The folder ignores all that is in it, itself included."""
    record.update(tmp_path, RELEASE)
    assert (tmp_path / ".tinyship" / ".gitignore").read_text().strip() == "*"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": 2, "images": []}', '{"schema": 1, "images": [{}]}', '{"schema": 1}']
)
def test_refuses_what_is_not_ours(tmp_path: Path, text: str) -> None:
    """A damaged or foreign record is an error that names the file and the way out."""
    record.path(tmp_path).parent.mkdir()
    record.path(tmp_path).write_text(text)
    with pytest.raises(TinyshipError, match=r"release\.json cannot be used") as caught:
        record.read(tmp_path)
    assert "invoke release" in caught.value.hint


def test_of_a_newer_tinyship(tmp_path: Path) -> None:
    """A record of a later schema is not called damaged: the first way out is the tinyship that wrote it."""
    record.path(tmp_path).parent.mkdir()
    record.path(tmp_path).write_text('{"schema": 2, "images": []}')
    with pytest.raises(TinyshipError, match="of schema 2; this tinyship knows schema 1") as caught:
        record.read(tmp_path)
    assert caught.value.hint.startswith("Use the tinyship that wrote it")


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    """What the system says is told once, without its number, and removing the record is not advised."""
    (tmp_path / ".tinyship").write_text("")
    with pytest.raises(TinyshipError, match="cannot be read") as caught:
        record.read(tmp_path)
    assert caught.value.message.endswith(".tinyship/release.json cannot be read: Not a directory")
    assert "Is `.tinyship` a folder" in caught.value.hint


def test_leaves_no_file_half_written(tmp_path: Path) -> None:
    """Only the record itself lies in the folder after an update, and the lock that keeps two writers apart."""
    record.update(tmp_path, RELEASE)
    left = sorted(file.name for file in record.path(tmp_path).parent.iterdir())
    assert left == [".gitignore", "release.json", "release.lock"]


def test_reference_prefers_the_version() -> None:
    """The release is named by its version, or by its first tag where it has none such."""
    assert RELEASE.reference == "lacion/foo:1.0.0"
    assert replace(RELEASE, tags=("local",)).reference == "lacion/foo:local"


def test_amend_leaves_another_release_alone(tmp_path: Path) -> None:
    """An entry is changed as it is now, and only while it is of the same image, version and commit."""
    record.update(tmp_path, RELEASE)
    assert record.amend(tmp_path, RELEASE, lambda entry: replace(entry, smoke=True)) == replace(RELEASE, smoke=True)
    pushed = (Pushed("localhost:5000/lacion/foo:1.0.0", "sha256:1"),)
    changed = record.amend(tmp_path, RELEASE, lambda entry: replace(entry, pushed=pushed))
    assert changed == replace(RELEASE, smoke=True, pushed=pushed), "what others changed meanwhile stays"
    newer = replace(RELEASE, version="2.0.0")
    record.update(tmp_path, newer)
    assert record.amend(tmp_path, RELEASE, lambda entry: replace(entry, smoke=False)) is None
    assert record.read(tmp_path).find(RELEASE.image) == newer


def test_what_is_there_already_is_not_written(tmp_path: Path) -> None:
    """An equal entry leaves the file as it is; another one does not."""
    record.update(tmp_path, RELEASE)
    file = tmp_path / ".tinyship" / "release.json"
    before = file.stat().st_ino, file.stat().st_mtime_ns
    assert record.update(tmp_path, RELEASE).images == (RELEASE,)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == before
    other = replace(RELEASE, version="1.0.1")
    record.update(tmp_path, other)
    assert record.read(tmp_path).images == (other,)
