"""The kinds of engine: which are chosen, how they are fetched, who stops them, and what is said at the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tools import kinds, matrix, suites
from tools.locks import alone, together
from tools.matrix import Outcome
from tools.packages import find
from tools.registry import PrivateRegistry

from conftest import offers, unavailable
from tinyship.engine.connect import Engine

_ALL = ["20.10", "26", "26-containerd", "sid", "sid-containerd", "podman"]


def test_choice_of_kinds() -> None:
    """Names in any order, each in full or with its smoke set; `all` is all; the last word about one holds."""
    chosen = kinds.choose("podman:smoke, 20.10,,26")
    assert [(kind.name, smoke) for kind, smoke in chosen] == [("podman", True), ("20.10", False), ("26", False)]
    assert [kind.name for kind, _ in kinds.choose("all")] == _ALL
    assert all(smoke for _, smoke in kinds.choose("all,26", smoke=True))
    assert {kind.name: smoke for kind, smoke in kinds.choose("all:smoke,26")}["26"] is False


@pytest.mark.parametrize("words", ["", ",", "27", "26:all", "26-containerd,nonsense"])
def test_choice_of_none(words: str) -> None:
    """What is no kind is said in two lines, with all that are."""
    with pytest.raises(SystemExit) as caught:
        kinds.choose(words)
    assert len(str(caught.value).splitlines()) == 2
    assert all(name in str(caught.value) for name in _ALL)


def test_table() -> None:
    """A line for each engine, and one like pytest's with all of them."""
    lines = matrix.table(
        [Outcome("26", "26.1.5", 100, 0, 3, 61.2, sound=True), Outcome("sid", "", 0, 1, 0, 2.0, sound=False)]
    )
    assert lines[1].split() == ["26", "26.1.5", "100", "0", "3", "61"]
    assert lines[2].split() == ["sid", "-", "0", "1", "0", "2"]
    assert lines[-1] == "1 failed, 100 passed, 3 skipped in 63.20s"


def test_half_of_a_suite_is_none(tmp_path: Path) -> None:
    """A folder in which a program, or the last word of the unpacking, is missing is not taken for whole."""
    folder = tmp_path / "suites" / "trixie"
    for name in ("usr/sbin/dockerd", "usr/bin/containerd", "usr/bin/containerd-shim-runc-v2"):
        assert suites.version("trixie", tmp_path) == ""
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert suites.version("trixie", tmp_path) == ""
    (folder / "version").write_text("26.1.5\n")
    assert suites.version("trixie", tmp_path) == "26.1.5"


def test_fetch_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two lines with the cause and what to do; nothing half is left, neither of this fetch nor of one before it."""
    if not suites.own() or not find("apt-get"):
        unavailable("this is no Debian")
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "suites" / "trixie.part" / "root").mkdir(parents=True)
    (tmp_path / "suites" / "trixie" / "usr").mkdir(parents=True)
    with pytest.raises(SystemExit) as caught:
        suites.folder("trixie", tmp_path)
    first, second = str(caught.value).splitlines()
    assert "Debian trixie cannot be fetched" in first
    assert "127.0.0.1" in first
    assert "mirror" in second
    assert [path.name for path in (tmp_path / "suites").iterdir()] == ["trixie.lock"]


def test_last_of_several(tmp_path: Path) -> None:
    """Of those who use something together only the last is told so, and then others are kept out."""
    file = tmp_path / "below" / "lock"
    with together(file) as first:
        with together(file) as second:
            assert not second()
        assert first()
    with alone(file), pytest.raises(BlockingIOError):
        _lock_at_once(file)


def _lock_at_once(file: Path) -> None:
    import fcntl

    with file.open() as opened:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.engine
def test_engine_goes_with_its_last_user(tmp_path: Path) -> None:
    """Two use one engine: the first to leave lets it run. One that was asked for with `up` stays until `down`."""
    if os.geteuid() != 0 or not find("dockerd"):
        unavailable("a private engine needs root and dockerd")
    kind = kinds.Kind("20.10", store="graph-driver")
    try:
        with matrix.used(kind, tmp_path) as (engine, _):
            with matrix.used(kind, tmp_path):
                assert engine.answers()
            assert engine.answers()
            assert engine.version()
        assert not engine.answers()
        assert not engine.runtime.exists()
        assert matrix.up(kind, tmp_path)["DOCKER_HOST"] == engine.host
        with matrix.used(kind, tmp_path):
            pass
        assert engine.answers()
        assert matrix.down(tmp_path) == ("20.10",)
        assert not engine.answers()
        assert matrix.down(tmp_path) == ()
    finally:
        matrix.down(tmp_path)
        PrivateRegistry(tmp_path).down()


@pytest.mark.engine
def test_offers_are_the_engines_own(engine: Engine) -> None:
    """What tests may say that they need is registered, and of the two stores an engine of Docker's has one."""
    there = offers(engine)
    assert there["containerd"] + there["graph-driver"] == there["buildkit"]
