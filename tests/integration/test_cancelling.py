"""A program that uses the API ends what a project does, from another thread: soon, and with nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from faulty_registry import UPLOADS, Fault, answered, faulty
from ships import COMPILE, Ship
from test_interrupts import ends_soon, nothing_left
from test_pins import Elsewhere, elsewhere  # noqa: F401  a fixture
from test_several import Fleet, fleet  # noqa: F401  a fixture

from tinyship import Cancellation, Cancelled, Project
from tinyship.engine import containers, images
from tinyship.engine.connect import Engine
from tinyship.events import Event, Log, Notice, StageFailed
from tinyship.kept import record
from tinyship.running import cancelling

pytestmark = pytest.mark.engine

BAR = 2.0
"""Seconds in which a project ends."""
builders = pytest.mark.parametrize(
    "builder",
    [
        pytest.param("buildkit", marks=pytest.mark.needs("buildkit")),
        pytest.param("classic", marks=pytest.mark.needs("classic")),
    ],
)


class Underway:
    """Something that a project does in a thread.

    Args:
        ship: the project.
        act: does it.
    """

    def __init__(self, ship: Ship, act: Callable[[Project], Any], **variables: str) -> None:
        self.cancellation = Cancellation()
        self.events: list[Event] = []
        self.error: Exception | None = None
        self.result: Any = None
        for name, value in variables.items():
            os.environ[name] = value
        try:
            project = Project.load(ship.root, events=self.events.append, cancellation=self.cancellation)
        finally:
            for name in variables:
                del os.environ[name]

        def go() -> None:
            try:
                self.result = act(project)
            except Exception as error:
                self.error = error

        self.thread = threading.Thread(target=go)
        self.thread.start()

    def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not condition():
            assert self.thread.is_alive(), f"it ended too early: {self.result} {self.error!r}"
            assert time.monotonic() < end, f"it does not come; {self.events[-5:]}"
            time.sleep(0.02)

    def says(self, text: str) -> None:
        """Wait until something that it runs wrote this line."""
        self.until(lambda: any(isinstance(event, Log) and event.line == text for event in self.events))

    def ends(self) -> Cancelled:
        """Cancel it, and see that it ends at once, as cancelled."""
        begun = time.monotonic()
        self.cancellation.cancel()
        told = time.monotonic() - begun
        self.thread.join(60)
        took = time.monotonic() - begun
        assert isinstance(self.error, Cancelled), f"{self.result} {self.error!r}"
        assert told < 0.5
        assert took < BAR, f"it took {took:.2f} s"
        return self.error


@builders
def test_step_of_a_build(ship: Ship, engine: Engine, builder: str) -> None:
    """A RUN that runs ends in the engine, too."""
    mark = f"{ship.image}-step"
    (ship.root / "docker" / "Dockerfile.base").write_text(
        f"FROM tinyship-test-busybox:latest\nRUN echo begun; sleep 60; echo {mark}\n"
    )
    run = Underway(ship, Project.base, TINYSHIP_BUILDER=builder)
    run.says("begun")
    error = run.ends()
    assert (error.stage, error.image) == ("base", ship.base)
    ends_soon(mark)
    nothing_left(ship, engine, mark)
    assert images.find(engine, ship.base) is None


def test_compile(ship: Ship, engine: Engine) -> None:
    """A container that compiles is removed, and the old artifact stays; with a new cancellation all goes on."""
    ship.invoke("build")
    before = (ship.root / "bin" / "foo").read_text()
    (ship.root / "compile.sh").write_text(f"{COMPILE}echo new > bin/foo\necho begun\nsleep 60\n")
    run = Underway(ship, Project.build)
    run.says("begun")
    run.ends()
    nothing_left(ship, engine)
    assert (ship.root / "bin" / "foo").read_text() == before
    with pytest.raises(Cancelled):
        Project.load(ship.root, cancellation=run.cancellation).plan()
    (ship.root / "compile.sh").write_text(f"{COMPILE}echo newer > bin/foo\n")
    Project.load(ship.root).build()
    assert (ship.root / "bin" / "foo").read_text() == "newer\n"


def test_silent_compile(ship: Ship, engine: Engine) -> None:
    """So is one that closed its output, and whose end alone is waited for."""
    ship.invoke("build", "--only-image")
    (ship.root / "compile.sh").write_text("echo begun; exec >&- 2>&-; sleep 60\n")
    run = Underway(ship, Project.build)
    run.says("begun")
    time.sleep(0.5)
    run.ends()
    nothing_left(ship, engine)


def test_smoke(ship: Ship, engine: Engine) -> None:
    """A smoke test that waits, and one whose command does."""
    for smoke in (["false"], ["sleep", "60"]):
        ship.configure(
            release={"run": {"command": ["sleep", "60"]}, "smoke": {"command": smoke, "timeout": 60}},
            push={"smoke": True},
        )
        Project.load(ship.root).release()
        run = Underway(ship, Project.push)
        run.until(lambda: containers.listing(engine, project=ship.image))
        time.sleep(0.7)
        run.ends()
        nothing_left(ship, engine)
    assert ship.record["smoke"] is None


@pytest.mark.parametrize("before", ["", "trap '' TERM; "])
def test_hook(ship: Ship, before: str) -> None:
    """A hook ends with all that it began, even one that would rather not."""
    sleep = f"sleep 60.{secrets.randbelow(10**9)}"
    ship.configure(hooks=[{"before": "base", "run": f"{before}{sleep} & echo begun; {sleep}"}])
    run = Underway(ship, Project.base)
    run.says("begun")
    run.ends()
    assert subprocess.run(["pgrep", "-f", sleep], capture_output=True, check=False).stdout == b""


def test_rootfs_command(ship: Ship, engine: Engine) -> None:
    """A command that makes a root filesystem, and what that began."""
    script = "sleep 63 & echo $! > pid; echo begun >&2; head -c 100000 /dev/zero; sleep 60; sleep 61"
    ship.configure(base=[{"name": f"{ship.image}-rootfs", "rootfs": {"command": ["sh", "-c", script]}}])
    run = Underway(ship, Project.base)
    run.says("begun")
    run.ends()
    assert images.find(engine, f"{ship.image}-rootfs:latest") is None
    end = time.monotonic() + 20
    while Path(f"/proc/{(ship.root / 'pid').read_text().strip()}").exists():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_command_of_the_main_thread(ship: Ship) -> None:
    """It ends as soon where the program's own thread runs it, with what holds its output open."""
    sleep = f"sleep 64.{secrets.randbelow(10**9)}"
    rootfs = {"command": ["sh", "-c", f"head -c 100000 /dev/zero; touch begun; {sleep}; sleep 65"]}
    ship.configure(base=[{"name": f"{ship.image}-rootfs", "rootfs": rootfs}])
    cancellation = Cancellation()
    ended: list[float] = []

    def end() -> None:
        while not (ship.root / "begun").exists():
            time.sleep(0.02)
        ended.append(time.monotonic())
        cancellation.cancel()

    thread = threading.Thread(target=end)
    thread.start()
    with pytest.raises(Cancelled):
        Project.load(ship.root, cancellation=cancellation).base()
    assert time.monotonic() - ended[0] < BAR
    thread.join()
    assert subprocess.run(["pgrep", "-f", sleep], capture_output=True, check=False).stdout == b""


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_huge_context(ship: Ship, builder: str) -> None:
    """A file of 40 GB that is being read."""
    with (ship.root / "huge").open("wb") as file:
        file.truncate(40 << 30)
    (ship.root / "docker" / "Dockerfile.base").write_text("FROM tinyship-test-busybox:latest\nCOPY huge /\n")
    run = Underway(ship, Project.base, TINYSHIP_BUILDER=builder)
    time.sleep(1.0)
    run.ends()


def test_engine_push(ship: Ship, engine: Engine, registry: str) -> None:
    """A registry that keeps the engine's upload waiting: its name for the image is gone again."""
    Project.load(ship.root).release()
    before = ship.record
    with faulty(registry) as slow:
        slow.on("POST", UPLOADS, Fault(stalls_for=60), times=0)
        run = Underway(ship, Project.push, TINYSHIP_PUSH_TO=slow.host)
        run.until(lambda: slow.requests("POST", UPLOADS))
        run.ends()
        tags = [tag for image in images.listing(engine, project=ship.image) for tag in image.tags]
        assert not [tag for tag in tags if tag.startswith(slow.host)]
    assert ship.record["pushed"] == before["pushed"]
    Project.load(ship.root).push()
    assert record.read(ship.root).images[0].pushed


def test_name_for_a_push(ship: Ship, engine: Engine, registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name that an image is pushed as is taken from it, also where the answer to its giving was cut off."""
    ship.configure(push={"to": [registry]})
    Project.load(ship.root).release()
    cancellation, tag = Cancellation(), images.tag
    given: list[str] = []

    def cut_off(engine: Engine, image_id: str, reference: str) -> None:
        tag(engine, image_id, reference)
        given.append(reference)
        cancellation.cancel()
        cancelling.check()

    monkeypatch.setattr(images, "tag", cut_off)
    with pytest.raises(Cancelled):
        Project.load(ship.root, cancellation=cancellation).push()
    assert len(given) == 1
    assert given[0].startswith(registry)
    assert images.find(engine, given[0]) is None


@pytest.mark.parametrize(
    "act",
    [Project.push, Project.check, Project.outdated, lambda project: project.releases(registry=True)],
    ids=["push", "check", "outdated", "releases"],
)
def test_registry_that_is_silent(ship: Ship, act: Callable[[Project], Any]) -> None:
    """A question to a registry that takes it, and never answers; that it was ended is no answer to it either."""
    Project.load(ship.root).release()
    before = ship.record
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        run = Underway(ship, act, TINYSHIP_PUSH_TO=f"127.0.0.1:{silent.getsockname()[1]}")
        silent.settimeout(60)
        with silent.accept()[0]:
            time.sleep(0.3)
            run.ends()
    assert ship.record == before


def test_registry_that_cannot_be_reached(ship: Ship) -> None:
    """A connection that does not come about."""
    Project.load(ship.root).release()
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        fillers = [socket.socket() for _ in range(8)]
        for one in fillers:
            one.setblocking(False)
            with suppress(BlockingIOError):
                one.connect(address)
        run = Underway(ship, Project.push, TINYSHIP_PUSH_TO=f"127.0.0.1:{address[1]}")
        time.sleep(1.5)
        run.ends()
        for one in fillers:
            one.close()


def test_wait_before_another_try(ship: Ship, registry: str) -> None:
    """A registry that is busy, and says for how long."""
    Project.load(ship.root).release()
    with faulty(registry) as busy:
        busy.on(".*", "", answered(429, **{"Retry-After": "20"}), times=0)
        run = Underway(ship, Project.push, TINYSHIP_PUSH_TO=busy.host)
        run.until(lambda: any(isinstance(event, Notice) and "trying again" in event.text for event in run.events))
        run.ends()


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_copy(ship: Ship, registry: str, method: str) -> None:
    """A copy from one registry to another one that stands still in the middle of a layer."""
    record_ = Project.load(ship.root).release(push=True)
    digest = record_.images[0].pushed[0].digest
    with faulty(registry) as slow:
        path = "/blobs/sha256" if method == "GET" else UPLOADS
        slow.on(method, path, Fault(stalls_for=60), times=0)
        source, target = (slow.host, registry) if method == "GET" else (registry, slow.host)
        goal = f"{target}/{ship.image}/copy:1"
        if method == "GET":
            ship.configure(push={"to": [slow.host]})
        run = Underway(ship, lambda project: project.promote(f"{source}/{ship.image}@{digest}", goal))
        run.until(lambda: slow.requests(method, path))
        time.sleep(0.2)
        run.ends()


@pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
def test_pull(ship: Ship, engine: Engine, registry: str, elsewhere: Elsewhere, path: str) -> None:  # noqa: F811
    """A pull whose manifest or whose layers do not come."""
    if path == "/blobs/" and engine.containerd_store:
        pytest.skip("containerd's store has the layers, whatever the image's name is")
    digest = elsewhere.publish(os.urandom(8).hex())  # what another test made has its layers already
    with faulty(registry) as slow:
        slow.on("GET|HEAD", path, Fault(stalls_for=60), times=0)
        name = elsewhere.name.replace(registry, slow.host)
        ship.configure(base=[{"name": name, "pull": digest}])
        run = Underway(ship, Project.base)
        run.until(lambda: slow.requests("GET|HEAD", path))
        run.ends()
        assert images.find(engine, name) is None


@pytest.mark.parametrize("slow", ["RUN", "compile"])
def test_several_images(fleet: Fleet, engine: Engine, slow: str) -> None:  # noqa: F811
    """Images that are made at the same time end together, and none is begun after them."""
    marks = {name: f"echo begun; sleep 60; echo {name}{os.urandom(8).hex()}" for name in "ab"}
    entries: dict[str, Any] = {}
    files = {**dict.fromkeys("ab", "FROM BASE\n"), "later": "FROM BASE\n"}
    if slow == "RUN":
        files |= {name: f"FROM BASE\nRUN {mark}\n" for name, mark in marks.items()}
    else:
        entries = {
            name: {
                "build": {"dockerfile": "later.Dockerfile", "command": ["sh", "-c", mark], "artifacts": [f"x{name}"]}
            }
            for name, mark in marks.items()
        }
    ship = fleet(files, entries)
    run = Underway(ship, lambda project: project.release(jobs=2))
    run.until(
        lambda: sum(1 for event in run.events if isinstance(event, Log) and event.line == "begun") == 2,
    )
    run.ends()
    failed = [event for event in run.events if isinstance(event, StageFailed)]
    assert {event.why for event in failed} == {"it was ended"}
    for name, mark in marks.items():
        ends_soon(mark)
        assert containers.listing(engine, project=f"{ship.image}-{name}") == ()
    assert not images.find(engine, f"{ship.image}-later:local")


def test_clean(ship: Ship, engine: Engine) -> None:
    """A clean that is ended tells of what it removed, and of nothing else."""
    ship.invoke("release")
    run = Underway(ship, lambda project: project.clean(everything=True, yes=True))
    run.until(lambda: not images.find(engine, f"{ship.image}:local"))
    run.cancellation.cancel()
    run.thread.join(60)
    told = json.loads((ship.root / ".tinyship" / "clean.json").read_text())
    assert isinstance(run.error, Cancelled) or told["complete"]
    names = {entry["name"] for entry in told["removed"] if entry["kind"] == "image"}
    there = {tag for image in images.listing(engine, project=ship.image) for tag in image.tags}
    assert f"{ship.image}:local" in names
    assert not names & there


def test_clean_between_two_names(ship: Ship, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that is being removed goes with all of its names, each of which is told of."""
    ship.invoke("release")
    released = images.find(engine, f"{ship.image}:local")
    assert released
    assert len(released.tags) > 2
    cancellation, untag = Cancellation(), images.untag

    def end(engine: Engine, reference: str) -> bool:
        taken = untag(engine, reference)
        cancellation.cancel()
        return taken

    monkeypatch.setattr(images, "untag", end)
    with suppress(Cancelled):  # or it was the last one
        Project.load(ship.root, cancellation=cancellation).clean(everything=True, yes=True)
    told = json.loads((ship.root / ".tinyship" / "clean.json").read_text())
    names = {entry["name"] for entry in told["removed"]}
    assert images.find(engine, released.id) is None
    assert names >= set(released.tags)


def test_lost_race(ship: Ship) -> None:
    """What is done is done: an end that comes later changes nothing."""
    cancellation = Cancellation()
    project = Project.load(ship.root, cancellation=cancellation)
    released = project.release()
    cancellation.cancel()
    assert record.read(ship.root).images == released.images
    with pytest.raises(Cancelled):
        project.sizes()


def test_two_projects_at_once(tmp_path: Path, ship: Ship, engine: Engine) -> None:
    """The end of one is not that of another, though both talk to one engine."""
    mark = f"{ship.image}-step"
    ship.invoke("base")
    (ship.root / "Dockerfile.build").write_text(f"FROM {ship.base}\nRUN echo begun; sleep 60; echo {mark}\n")
    run = Underway(ship, Project.build)
    run.says("begun")
    (ship.root / "compile.sh").write_text(COMPILE)
    other = Underway(ship, Project.base)
    other.thread.join(60)
    assert other.error is None
    run.ends()
    ends_soon(mark)


def test_asyncio(ship: Ship, engine: Engine) -> None:
    """A task of an event loop that is cancelled, as docs/how-to/script.md has it."""
    (ship.root / "compile.sh").write_text("echo begun; sleep 60\n")
    begun = threading.Event()

    def told(event: Event) -> None:
        if isinstance(event, Log) and event.line == "begun":
            begun.set()

    async def build() -> None:
        cancellation = Cancellation()
        project = Project.load(ship.root, events=told, cancellation=cancellation)
        work = asyncio.create_task(asyncio.to_thread(project.build))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            cancellation.cancel()
            with suppress(Cancelled):
                await work
            raise

    async def main() -> None:
        task = asyncio.create_task(build())
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert begun.is_set()
    nothing_left(ship, engine)
