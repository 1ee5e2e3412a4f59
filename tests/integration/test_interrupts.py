"""Ctrl-C, at any time: exit code 130, one word, and nothing left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from faulty_registry import UPLOADS, Fault, faulty
from ships import COMPILE, Ship

from tinyship.engine import containers, images
from tinyship.engine.connect import Engine

pytestmark = pytest.mark.engine


@dataclass
class Running:
    """An invoke that runs as a terminal's foreground group does.

    Args:
        process: it.
        log: what it wrote so far.
    """

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """All that it wrote, on both streams."""
        return self.log.read_text(errors="replace")

    def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"it ended too early:\n{self.output}"
            assert time.monotonic() < end, f"it does not come:\n{self.output}"
            time.sleep(0.05)

    def says(self, text: str) -> None:
        """Wait until it wrote this."""
        self.until(lambda: text in self.output)

    def press_ctrl_c(self, times: int = 1) -> None:
        """Interrupt its whole group, as a terminal does, and see that it ends as it should."""
        for _ in range(times):
            os.killpg(self.process.pid, signal.SIGINT)
            time.sleep(0.05 if times > 1 else 0)
        self.ends_as_interrupted(times)

    def ends_as_interrupted(self, times: int = 1) -> None:
        """It ends with the exit code and the word for that, and without a traceback."""
        code = self.process.wait(60)
        # A second one can come when Python has gone so far that nobody is there to handle it.
        assert code in ({130} if times == 1 else {130, -signal.SIGINT}), f"exit code {code}\n{self.output}"
        assert "Traceback" not in self.output, self.output
        assert self.output.count("interrupted") == 1, self.output


@contextmanager
def running(ship: Ship, *words: str, **variables: str) -> Iterator[Running]:
    """Start invoke in a group of its own; it is dead at the end."""
    log = ship.root / ".git" / "test-output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "invoke", *words],
            cwd=ship.root,
            env={**ship.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def nothing_left(ship: Ship, engine: Engine, command: str = "") -> None:
    """No container of the project, nor one that runs this command, is there any more, or soon is."""
    end = time.monotonic() + 60
    while left := _containers(ship, engine, command):
        assert time.monotonic() < end, f"these are left: {left}"
        time.sleep(0.1)
    assert list((ship.root / ".tinyship").glob("incoming-*")) == []


def _containers(ship: Ship, engine: Engine, command: str) -> list[dict[str, Any]]:
    mine = containers.listing(engine, project=ship.image)
    return [
        entry
        for entry in engine.api.containers(all=True, trunc=False)
        if entry["Id"] in mine or (command and command in entry["Command"])
    ]


def test_rootfs_command(ship: Ship, engine: Engine) -> None:
    """While a root filesystem is made: no image, no process."""
    script = "echo $$ > pid; echo begun >&2; head -c 100000 /dev/zero; sleep 60; sleep 61"
    entry = {"name": f"{ship.image}-rootfs", "rootfs": {"command": ["sh", "-c", script]}}
    ship.configure(base=[entry])
    with running(ship, "base") as run:
        run.says("| begun")
        run.press_ctrl_c()
    assert images.find(engine, f"{ship.image}-rootfs:latest") is None
    pid = int((ship.root / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists()
    nothing_left(ship, engine)


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_step_of_a_build(ship: Ship, engine: Engine, builder: str) -> None:
    """While a RUN step runs: the engine ends it; no container and no process is left."""
    mark = f"{ship.image}-step"
    ship.environment["TINYSHIP_BUILDER"] = builder
    (ship.root / "docker" / "Dockerfile.base").write_text(
        f"FROM tinyship-test-busybox:latest\nRUN echo begun; sleep 60; echo {mark}\n"
    )
    with running(ship, "base") as run:
        run.says(" begun\n")
        run.until(lambda: _processes(mark))
        os.killpg(run.process.pid, signal.SIGINT)
        ends_soon(mark)
        run.ends_as_interrupted()
    nothing_left(ship, engine, mark)
    assert images.find(engine, ship.base) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_death_in_a_step(ship: Ship, engine: Engine, builder: str, number: signal.Signals) -> None:
    """When tinyship dies in the middle of a step, the engine ends it; the next run works."""
    mark = f"{ship.image}-step"
    ship.environment["TINYSHIP_BUILDER"] = builder
    file = ship.root / "docker" / "Dockerfile.base"
    file.write_text(f"FROM tinyship-test-busybox:latest\nRUN echo begun; sleep 60; echo {mark}\n")
    with running(ship, "base") as run:
        run.says(" begun\n")
        run.until(lambda: _processes(mark))
        os.kill(run.process.pid, number)
        run.process.wait(60)
        ends_soon(mark)
    nothing_left(ship, engine, mark)
    file.write_text("FROM tinyship-test-busybox:latest\nRUN true\n")
    ship.invoke("base")


def test_session_left_open(ship: Ship, engine: Engine) -> None:
    """A tinyship that hangs with its session open does not disturb the next build of the same context."""
    mark = f"{ship.image}-step"
    ship.environment["TINYSHIP_BUILDER"] = "buildkit"
    file = ship.root / "docker" / "Dockerfile.base"
    file.write_text(f"FROM tinyship-test-busybox:latest\nCOPY src /src\nRUN echo begun; sleep 60; echo {mark}\n")
    with running(ship, "base") as run:
        run.says(" begun\n")
        os.killpg(run.process.pid, signal.SIGSTOP)
        try:
            file.write_text("FROM tinyship-test-busybox:latest\nCOPY src /src\nRUN cat /src/new.txt\n")
            (ship.root / "src" / "new.txt").write_text(f"new {ship.image}\n")
            assert f" new {ship.image}\n" in ship.invoke("base").err
            assert _processes(mark)
        finally:
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait(60)
        ends_soon(mark)
    ship.invoke("base")


def ends_soon(mark: str) -> None:
    """Wait until no shell runs a step with this mark; by itself it would run for a minute."""
    end = time.monotonic() + 10
    while _processes(mark):
        assert time.monotonic() < end, "the step goes on"
        time.sleep(0.05)


def _processes(mark: str) -> list[str]:
    """The shells that run a step with this mark; of engines on this machine they are seen from outside."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if mark.encode() in line and b"sleep 60" in line:
            found.append(entry.parent.name)
    return found


@pytest.mark.parametrize("times", [1, 3])
def test_compile(ship: Ship, engine: Engine, times: int) -> None:
    """While the source compiles: the container is gone, the old artifact stays; impatience changes nothing."""
    ship.invoke("build")
    before = (ship.root / "bin" / "foo").read_text()
    (ship.root / "compile.sh").write_text(f"{COMPILE}echo new > bin/foo\necho begun\nsleep 60\n")
    with running(ship, "build") as run:
        run.says("| begun")
        run.press_ctrl_c(times)
    nothing_left(ship, engine)
    assert (ship.root / "bin" / "foo").read_text() == before


def test_build_test(ship: Ship, engine: Engine) -> None:
    """While the tests run."""
    ship.configure(build={"test": ["sh", "-c", "echo begun; sleep 60"]})
    ship.invoke("build", "--only-image")
    with running(ship, "build.test") as run:
        run.says("| begun")
        run.press_ctrl_c()
    nothing_left(ship, engine)


def test_push(ship: Ship, engine: Engine, registry: str) -> None:
    """While a registry keeps an upload waiting: its name for the image is gone, the record as it was."""
    ship.invoke("release")
    before = ship.record
    with faulty(registry) as slow:
        slow.on("POST", UPLOADS, Fault(stalls_for=60), times=0)
        with running(ship, "push", TINYSHIP_PUSH_TO=slow.host) as run:
            run.until(lambda: slow.requests("POST", UPLOADS))
            run.press_ctrl_c()
        tags = [tag for image in images.listing(engine, project=ship.image) for tag in image.tags]
        assert not [tag for tag in tags if tag.startswith(slow.host)]
    assert ship.record == before
    nothing_left(ship, engine)


def test_push_that_asks(ship: Ship, engine: Engine) -> None:
    """While a registry that never answers is asked."""
    ship.invoke("release")
    before = ship.record
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        with running(ship, "push", TINYSHIP_PUSH_TO=host) as run:
            silent.settimeout(60)
            with silent.accept()[0]:
                run.press_ctrl_c()
    assert ship.record == before
    nothing_left(ship, engine)


def test_release_run(ship: Ship, engine: Engine) -> None:
    """Ctrl-C is how `release.run` ends."""
    ship.configure(release={"run": {"command": ["sh", "-c", "echo begun; sleep 60"]}})
    ship.invoke("release")
    before = ship.record
    with running(ship, "release.run") as run:
        run.says("| begun")
        run.press_ctrl_c()
    nothing_left(ship, engine)
    assert ship.record == before


def test_smoke(ship: Ship, engine: Engine) -> None:
    """While a smoke test waits: the record says neither that it passed nor that it failed."""
    ship.configure(release={"run": {"command": ["sleep", "60"]}, "smoke": {"command": ["false"], "timeout": 60}})
    ship.invoke("release")
    with running(ship, "release.smoke") as run:
        run.until(lambda: _containers(ship, engine, ""))
        time.sleep(0.5)
        run.press_ctrl_c()
    nothing_left(ship, engine)
    assert ship.record["smoke"] is None


@pytest.mark.parametrize("delay", [0.4, 0.6, 0.8, 1.0, 1.2])
def test_any_time(ship: Ship, engine: Engine, delay: float) -> None:
    """Whenever it comes, a run ends with 130 or had ended, and the next one works."""
    with running(ship, "release") as run:
        time.sleep(delay)
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGINT)
        code = run.process.wait(60)
        # Invoke itself exits with 1 and without a word when it has not come to a task yet.
        assert code in {0, 130, -signal.SIGINT} or (code == 1 and not run.output), f"exit code {code}\n{run.output}"
    nothing_left(ship, engine)
    ship.invoke("release")


def test_while_the_engine_makes_a_container(
    engine: Engine, namespace: str, busybox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that the engine has not answered for yet is waited for, and removed."""
    create = engine.api.create_container_from_config

    def slowly(*arguments: Any) -> Any:
        """As a slow engine does: it makes the container even when nobody waits for its answer any more."""
        made: list[Any] = []

        def make() -> None:
            time.sleep(0.7)
            made.append(create(*arguments))

        at_work = threading.Thread(target=make)
        at_work.start()
        at_work.join()
        return made[0]

    monkeypatch.setattr(engine.api, "create_container_from_config", slowly)
    request = containers.ContainerRequest(image=busybox, labels={"tinyship.project": namespace})
    interrupt = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt), containers.container(engine, request):
        time.sleep(5)
    time.sleep(1)
    assert containers.listing(engine, project=namespace) == ()
