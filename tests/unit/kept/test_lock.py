"""The lock of base images: what is written is what is read, and what cannot be read says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinyship.errors import ConfigError, TinyshipError
from tinyship.kept import lock
from tinyship.kept.lock import Lock, Pin

ONE = f"sha256:{'1' * 64}"
TWO = f"sha256:{'2' * 64}"


def test_no_lock(tmp_path: Path) -> None:
    """A project need not have one."""
    assert lock.read(tmp_path) is None


def test_there_and_back(tmp_path: Path) -> None:
    """All that is known of a pin is kept."""
    written = Lock({"b:1": Pin(TWO), "a:1": Pin(ONE, "linux/amd64", 3_800_000)})
    assert lock.write(tmp_path, written)
    assert lock.read(tmp_path) == written
    assert {name: pin.digest for name, pin in written.pins.items()} == {"a:1": ONE, "b:1": TWO}


def test_file(tmp_path: Path) -> None:
    """It is sorted by name, a line for each fact, and nothing in it depends on the time or the machine."""
    lock.write(tmp_path, Lock({"b:1": Pin(TWO), "a:1": Pin(ONE, "linux/amd64", 7)}))
    assert (tmp_path / "tinyship.lock").read_text() == (
        '{\n  "version": 1,\n  "bases": {\n'
        f'    "a:1": {{\n      "digest": "{ONE}",\n      "platform": "linux/amd64",\n      "pull": 7\n    }},\n'
        f'    "b:1": {{\n      "digest": "{TWO}"\n    }}\n  }}\n}}\n'
    )


def test_nothing_changed(tmp_path: Path) -> None:
    """A file that says the same is left alone; one that says less or more is not."""
    assert lock.write(tmp_path, Lock({"a": Pin(ONE)}))
    before = (tmp_path / "tinyship.lock").stat()
    assert not lock.write(tmp_path, Lock({"a": Pin(ONE)}))
    after = (tmp_path / "tinyship.lock").stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert lock.write(tmp_path, Lock({"a": Pin(TWO)}))
    assert [file.name for file in tmp_path.iterdir()] == ["tinyship.lock"]


def test_a_pull_of_nothing_is_kept(tmp_path: Path) -> None:
    """Zero bytes are a size, and are not the same as none known."""
    lock.write(tmp_path, Lock({"a": Pin(ONE, pull=0)}))
    assert lock.read(tmp_path) == Lock({"a": Pin(ONE, pull=0)})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "no `version`"),
        ('{"bases": {}}', "no `version`"),
        ('{"version": true, "bases": {}}', "no `version`"),
        ('{"version": 1}', "no `bases`"),
        ('{"version": 2, "bases": {}}', "is of version 2; this tinyship knows version 1"),
        ('{"version": 1, "bases": {"a": {}}}', "`a` has no digest"),
        ('{"version": 1, "bases": {"a": "sha256:1"}}', "`a` has no digest"),
        (json.dumps({"version": 1, "bases": {"a": {"digest": ONE, "pull": "7"}}}), "`pull` that is none"),
        (json.dumps({"version": 1, "bases": {"a": {"digest": ONE, "platform": 7}}}), "`platform`"),
    ],
)
def test_what_is_no_lock(tmp_path: Path, text: str, said: str) -> None:
    """Which file it is, what is wrong, and what to do; never a guess at what was meant."""
    (tmp_path / "tinyship.lock").write_text(text)
    with pytest.raises(ConfigError) as caught:
        lock.read(tmp_path)
    assert str(tmp_path / "tinyship.lock") in caught.value.message
    assert said in caught.value.message
    assert caught.value.hint


def test_keys_that_a_later_one_may_add(tmp_path: Path) -> None:
    """Of the same version, what is not known is passed over."""
    data = {"version": 1, "bases": {"a": {"digest": ONE, "more": 1}}, "more": {}}
    (tmp_path / "tinyship.lock").write_text(json.dumps(data))
    assert lock.read(tmp_path) == Lock({"a": Pin(ONE)})


def test_unwritable(tmp_path: Path) -> None:
    """The error names the file, and no half of one is left."""
    (tmp_path / "tinyship.lock").mkdir()
    with pytest.raises(TinyshipError, match=r"tinyship\.lock cannot be written"):
        lock.write(tmp_path, Lock({"a": Pin(ONE)}))
    assert [file.name for file in tmp_path.iterdir()] == ["tinyship.lock"]
    with pytest.raises(ConfigError, match=r"tinyship\.lock cannot be read"):
        lock.read(tmp_path)
