"""What must hold when a build is long, when many run, and when the engine dies under it."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools import daemon
from tools.engine import PrivateEngine

from conftest import import_busybox, unavailable
from tinyship.context.source import Context
from tinyship.engine import images
from tinyship.engine.buildkit.solve import BuildKitBuilder
from tinyship.engine.classic import ClassicBuilder
from tinyship.engine.connect import Engine, connect
from tinyship.engine.request import BuildRequest
from tinyship.errors import EngineError
from tinyship.events import Event, Log, Step, ignore

pytestmark = [pytest.mark.engine, pytest.mark.slow]


def request(root: Path, tag: str, text: str) -> BuildRequest:
    """A build of a Dockerfile with this text, without a cache."""
    (root / "Dockerfile").write_text(text)
    return BuildRequest(context=Context.open(root, root / "Dockerfile"), tags=(tag,), no_cache=True)


def test_a_minute_of_silence(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """Health checks go on while a step says nothing for a minute, and what comes after it is built."""
    (tmp_path / "late.txt").write_text("late")
    text = f"FROM {busybox} AS one\nRUN sleep 60\nFROM one\nCOPY late.txt /\nRUN cat /late.txt\n"
    seen: list[Event] = []
    BuildKitBuilder(engine).build(request(tmp_path, f"{namespace}/silent:1", text), seen.append)
    assert [event.line for event in seen if isinstance(event, Log)] == ["late"]
    assert any(event.seconds >= 60 for event in seen if isinstance(event, Step))


def test_twenty_at_once(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """Twenty builds in one process, each with two hundred lines: every one gets its own lines, all, and in order."""
    count, lines = 20, 200
    seen: list[list[Event]] = [[] for _ in range(count)]
    failures: list[BaseException] = []

    def one(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "mine.txt").write_text(f"of {number}\n" * lines)
        text = f"FROM {busybox}\nCOPY mine.txt /\nRUN cat /mine.txt; echo {namespace}\n"
        try:
            BuildKitBuilder(engine).build(request(folder, f"{namespace}/many:{number}", text), seen[number].append)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert failures == []
    for number in range(count):
        assert images.find(engine, f"{namespace}/many:{number}")
        told = [event.line for event in seen[number] if isinstance(event, Log)]
        assert told == [f"of {number}"] * lines + [namespace]


@pytest.fixture
def mortal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateEngine]:
    """An engine that a test may kill."""
    if os.geteuid() or not shutil.which("dockerd"):
        unavailable("only root, with a dockerd, can start an engine of its own")
    private = PrivateEngine(tmp_path / "engine")
    try:
        private.up()
        monkeypatch.setenv("DOCKER_HOST", private.host)
        yield private
    finally:
        private.down()
        for pid in _processes(str(tmp_path)):  # a killed engine leaves what ran in its containers
            os.kill(pid, signal.SIGKILL)


def _pid(private: PrivateEngine) -> int:
    """The engine itself, without the containerd below it."""
    (found,) = (
        pid
        for pid in daemon.find(str(private.runtime))
        if Path(f"/proc/{pid}/cmdline").read_bytes().partition(b"\0")[0].endswith(b"dockerd")
    )
    return found


def _processes(folder: str) -> list[int]:
    """The processes whose file system lies below a folder."""
    found = []
    for mounts in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            root = next((line for line in mounts.read_text().splitlines() if line.split()[4] == "/"), "")
        except OSError:
            continue
        if f"{folder}/" in root:
            found.append(int(mounts.parent.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("kind", [BuildKitBuilder, ClassicBuilder], ids=["buildkit", "classic"])
def test_engine_that_dies(
    mortal: PrivateEngine, tmp_path: Path, kind: type[BuildKitBuilder | ClassicBuilder], number: signal.Signals
) -> None:
    """An engine that is killed or stopped ends the build long before its step ends, with one error that says so."""
    engine = connect()
    base = import_busybox(engine)
    running = threading.Event()
    caught: list[BaseException] = []
    made = request(tmp_path, "dies:1", f"FROM {base}\nRUN echo begun; sleep 120\n")

    def build() -> None:
        try:
            kind(engine).build(made, lambda event: running.set() if isinstance(event, Log) else ignore(event))
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=build, daemon=True)
    thread.start()
    assert running.wait(60)
    os.kill(_pid(mortal), number)
    thread.join(60)  # the engine itself waits 15 s for a classic build when it is told to stop
    assert not thread.is_alive()
    (error,) = caught
    assert isinstance(error, EngineError)
    said = str(error)
    # An engine that is told to stop kills what runs, and may live long enough to say so.
    assert "Is the engine still running?" in said or (number == signal.SIGTERM and "the engine was stopped" in said)
    engine.close()
