"""Several images of one project on a real engine: order, at the same time, failures, choices."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ships import Ship

from tinyship import Project
from tinyship.engine import containers, images
from tinyship.engine.connect import Engine
from tinyship.errors import BuildFailed, ConfigError, ImagesFailed
from tinyship.events import Event, StageEnded, StageStarted

pytestmark = pytest.mark.engine

SOON = 60.0
Fleet = Callable[..., Ship]


@pytest.fixture
def fleet(ship: Ship, busybox: str) -> Fleet:
    """Makes a project of several images of files: by its name, the Dockerfile of each, with BASE and OURS filled in."""

    def made(dockerfiles: dict[str, str], entries: dict[str, Any] | None = None, **around: Any) -> Ship:
        for name, text in dockerfiles.items():
            (ship.root / f"{name}.Dockerfile").write_text(text.replace("BASE", busybox).replace("OURS", ship.image))
        given = entries or {}
        ship.configure(
            base=[],
            build=None,
            images=[
                {
                    "name": name,
                    "image": f"{ship.image}-{name}",
                    "release": {"dockerfile": f"{name}.Dockerfile"},
                    **given.get(name, {}),
                }
                for name in dockerfiles
            ],
            **around,
        )
        return ship

    return made


def released(ship: Ship) -> set[str]:
    """The names of the images that the record has."""
    entries = json.loads((ship.root / ".tinyship" / "release.json").read_text())["images"]
    return {entry["image"].removeprefix(f"{ship.image}-") for entry in entries}


def stages(events: list[Event], kind: type[Event]) -> list[str]:
    """The names of the images whose release began or ended, in that order."""
    found = [event for event in events if isinstance(event, kind) and isinstance(event, StageStarted | StageEnded)]
    return [event.image.rpartition("-")[2].partition(":")[0] for event in found if event.stage == "release"]


DIAMOND = {
    "top": "FROM OURS-left:local\nCOPY --from=OURS-right:local /right /right\n",
    "left": "FROM OURS-low:local\nRUN echo left > /left\n",
    "right": "FROM OURS-low:local\nRUN echo right > /right\n",
    "low": "FROM BASE\nRUN echo low > /low\n",
}


@pytest.mark.smoke
def test_a_diamond(fleet: Fleet) -> None:
    """The lowest is made first and the highest last; the record and the table have an entry for each."""
    ship = fleet(DIAMOND)
    events: list[Event] = []
    outcome = Project.load(ship.root, events=events.append).release()
    begun, ended = stages(events, StageStarted), stages(events, StageEnded)
    assert begun[0] == ended[0] == "low"
    assert begun[-1] == ended[-1] == "top"
    assert set(begun) == set(DIAMOND)
    assert outcome.released == tuple(release.image for release in _in_order(outcome.released, outcome.images))
    assert released(ship) == set(DIAMOND)
    again = ship.invoke("release")
    rows = [line.split()[1] for line in again.out.splitlines()[1:] if line.startswith("release ")]
    assert [row.removeprefix(f"{ship.image}-").partition(":")[0] for row in rows] == ["low", "left", "right", "top"]
    dry = ship.invoke("--dry", "release").out
    plans = [line.split()[2].rpartition("-")[2] for line in dry.splitlines() if line.startswith("release of ")]
    assert plans == ["low", "left", "right", "top"]


def _in_order(names: tuple[str, ...], found: tuple[Any, ...]) -> list[Any]:
    return [next(one for one in found if one.image == name) for name in names]


def test_a_circle(fleet: Fleet) -> None:
    """Nothing is made, and the way round is told."""
    ship = fleet({"api": "FROM OURS-base:local\n", "base": "FROM BASE\n"}, {"base": {"needs": ["api"]}})
    for task in ("release", "build", "base"):
        failed = ship.invoke(task, code=2)
        assert "these images stand on each other: api -> base -> api" in failed.err
        assert "| api needs base: FROM in api.Dockerfile:1" in failed.err
    assert not (ship.root / ".tinyship" / "release.json").exists()


def test_independent_images_overlap(fleet: Fleet) -> None:
    """Each is held back until the other one has begun too: one after the other they would wait in vain."""
    ship = fleet({"a": "FROM BASE\nRUN echo a\n", "b": "FROM BASE\nRUN echo b\n"})
    both = threading.Barrier(2)

    def told(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == "release":
            both.wait(SOON)

    Project.load(ship.root, events=told).release(jobs=2)
    assert released(ship) == {"a", "b"}


def test_one_job(fleet: Fleet) -> None:
    """With one job one is made after the other."""
    ship = fleet(dict.fromkeys("abc", "FROM BASE\n"))
    events: list[Event] = []
    Project.load(ship.root, events=events.append).release(jobs=1)
    about = [
        type(event) for event in events if isinstance(event, StageStarted | StageEnded) and event.stage == "release"
    ]
    assert about == [StageStarted, StageEnded] * 3


FAILING = {
    "good": "FROM BASE\nRUN echo good\n",
    "bad": "FROM BASE\nRUN echo words; exit 3\n",
    "above": "FROM OURS-bad:local\n",
    "higher": "FROM OURS-above:local\n",
    "other": "FROM BASE\nRUN echo other\n",
}


@pytest.mark.smoke
def test_a_failing_image(fleet: Fleet) -> None:
    """What stands on it is not begun, the others are done; it is told what failed, and what that stopped."""
    ship = fleet(FAILING)
    failed = ship.invoke("release", code=1)
    error = failed.err[failed.err.index("error: ") :].splitlines()
    assert error[0] == "error: 1 of 5 images failed"
    assert error[1].startswith(f"  bad: release {ship.image}-bad:local: ")
    assert "    | words" in error
    assert error[-2:] == ["  above: not begun, because bad failed", "  higher: not begun, because bad failed"]
    assert released(ship) == {"good", "other"}
    for name in ("good", "other"):
        assert f"{ship.image}-{name}:" in failed.out
    assert f"{ship.image}-bad" not in failed.out
    said = ship.invoke("release", "--json", code=1).json["error"]
    assert set(said["failed"]) == {"bad"}
    assert said["failed"]["bad"]["kind"] == "BuildFailed"
    assert said["stopped"] == {"above": ["bad"], "higher": ["bad"]}
    assert said["done"] == ["good", "other"]
    assert said["cancelled"] == []


def test_logs_of_several_images(fleet: Fleet) -> None:
    """Each line of a log says which image it is about."""
    ship = fleet({name: f"FROM BASE\nRUN echo words of {name}; echo {name}-$$ > /x\n" for name in "ab"})
    lines = ship.invoke("release", "--no-cache").err.splitlines()
    for name in "ab":
        (line,) = [line for line in lines if line.endswith(f" words of {name}")]
        assert line.startswith(f"{ship.image}-{name}:local #")


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
@pytest.mark.needs("classic")
def test_fail_fast(fleet: Fleet, engine: Engine, builder: str) -> None:
    """The first failure ends what runs, and nothing else is begun; the build that ran is gone from the engine."""
    mark = sleeping()
    ship = fleet(
        {
            "slow": f"FROM BASE\nRUN touch /begun; {mark}\n",
            "bad": "FROM BASE\nRUN exit 3\n",
            "later": "FROM BASE\n",
        },
        builder=builder,
    )
    begun = threading.Event()

    def told(event: Event) -> None:
        if isinstance(event, StageStarted) and "-slow:" in event.image:
            begun.set()
        if isinstance(event, StageStarted) and "-bad:" in event.image:
            assert begun.wait(SOON)
            _until(lambda: _processes(mark))

    with pytest.raises(ImagesFailed) as caught:
        Project.load(ship.root, events=told).release(fail_fast=True, jobs=2)
    assert list(caught.value.failed) == ["bad"]
    assert isinstance(caught.value.failed["bad"], BuildFailed)
    assert caught.value.cancelled == ("slow", "later")
    _until(lambda: not _processes(mark))
    assert not images.find(engine, f"{ship.image}-slow:local")
    assert not images.find(engine, f"{ship.image}-later:local")


def test_fail_fast_ends_a_compile(fleet: Fleet, engine: Engine) -> None:
    """A container that compiles is ended and removed."""
    mark = sleeping()
    compile_ = {
        "build": {"dockerfile": "good.Dockerfile", "command": ["sh", "-c", mark], "artifacts": ["x"]},
    }
    ship = fleet({"good": "FROM BASE\n", "bad": "FROM BASE\nRUN exit 3\n"}, {"good": compile_})

    def told(event: Event) -> None:
        if isinstance(event, StageStarted) and "-bad:" in event.image:
            _until(lambda: _processes(mark))

    with pytest.raises(ImagesFailed) as caught:
        Project.load(ship.root, events=told).release(fail_fast=True, jobs=2)
    assert caught.value.cancelled == ("good",)
    assert containers.listing(engine, project=f"{ship.image}-good") == ()
    assert not _processes(mark)


@pytest.mark.parametrize("slow", ["RUN", "compile"])
def test_ctrl_c(fleet: Fleet, engine: Engine, slow: str) -> None:
    """An interrupt ends all at once, with the word and the exit code for it, and leaves nothing behind."""
    from test_interrupts import nothing_left, running

    marks = [sleeping(), sleeping()]
    if slow == "RUN":
        ship = fleet({name: f"FROM BASE\nRUN {mark}\n" for name, mark in zip("ab", marks, strict=True)})
    else:
        builds = {
            name: {"build": {"dockerfile": "a.Dockerfile", "command": ["sh", "-c", mark], "artifacts": [f"x{name}"]}}
            for name, mark in zip("ab", marks, strict=True)
        }
        ship = fleet(dict.fromkeys("ab", "FROM BASE\n"), builds)
    with running(ship, "release", "--jobs", "2") as run:
        run.until(lambda: all(_processes(mark) for mark in marks), SOON)
        os.killpg(run.process.pid, signal.SIGINT)
        run.ends_as_interrupted()
    _until(lambda: not any(_processes(mark) for mark in marks))
    for name in "ab":
        nothing_left(replace(ship, image=f"{ship.image}-{name}"), engine)


def test_choosing(fleet: Fleet, registry: str) -> None:
    """What is named is released with what it stands on, and pushed without; globs and names may be mixed."""
    ship = fleet({**DIAMOND, "other": "FROM BASE\n"})
    outcome = ship.invoke("release", "--push", "--image", "lef*", "--image", "other", "--json").json
    assert outcome["outcome"] == "released"
    assert outcome["released"] == [f"{ship.image}-{name}" for name in ("low", "left", "other")]
    assert released(ship) == {"low", "left", "other"}
    pushed = {entry["image"].rpartition("-")[2]: len(entry["pushed"]) for entry in outcome["images"]}
    assert pushed["low"] == 0
    assert pushed["left"] > 0 < pushed["other"]
    ship.invoke("push", "--image", "low")
    assert Project.load(ship.root, images=["low"]).push().find(f"{ship.image}-low").pushed  # type: ignore[union-attr]
    wrong = ship.invoke("release", "--image", "lefd", code=2)
    assert "no entry of `tinyship.images` is named `lefd`; the nearest is `left`" in wrong.err
    plans = Project.load(ship.root).plan(images=["right"])
    assert [plan.image for plan in plans] == [f"{ship.image}-low", f"{ship.image}-right"]


def test_nothing_to_release(fleet: Fleet) -> None:
    """That is no failure, and a script can tell: nothing is in `released`."""
    ship = fleet({"a": "FROM BASE\n", "b": "FROM BASE\n"})
    project = replace(Project.load(ship.root), images=())
    outcome = project.release(push=True)
    assert outcome.released == ()
    assert outcome.as_json() == {"schema": 1, "outcome": "nothing to release", "released": [], "images": []}


def test_a_shared_base_is_made_once(fleet: Fleet, engine: Engine) -> None:
    """Three images that stand on one base image: it is made once, for the first one; a failure of it is told once."""
    ship = fleet(dict.fromkeys("abc", "FROM OURS-base:latest\n"))
    ship.configure(base=[{"name": f"{ship.image}-base:latest", "dockerfile": "docker/Dockerfile.base"}])
    events: list[Event] = []
    Project.load(ship.root, events=events.append).release(jobs=3)
    assert len([event for event in events if isinstance(event, StageStarted) and event.stage == "base"]) == 1
    base = images.find(engine, f"{ship.image}-base:latest")
    assert base
    assert base.labels["tinyship.project"] == f"{ship.image}-a"
    assert len(ship.invoke("base", "--json").json["images"]) == 1
    (ship.root / "docker" / "Dockerfile.base").write_text("FROM tinyship-test-busybox\nRUN exit 4\n")
    failed = ship.invoke("release", code=1).err
    assert "error: 3 of 3 images failed\n" in failed
    names, found = failed.partition("images failed\n")[2].strip().split(": base ")
    assert set(names.split(", ")) == set("abc")
    assert found.startswith(f"{ship.image}-base:latest: ")
    ship.configure(
        images=[
            {"name": "a", "image": f"{ship.image}-a"},
            {
                "name": "b",
                "image": f"{ship.image}-b",
                "base": [{"name": f"{ship.image}-base:latest", "dockerfile": "a.Dockerfile"}],
            },
        ]
    )
    with pytest.raises(ConfigError, match="has another `dockerfile` in `b` than in `a`"):
        Project.load(ship.root)


def test_versions_of_their_own(fleet: Fleet) -> None:
    """Two images of one repository with tags of different prefixes on HEAD: each has its own version, and its tags."""
    ship = fleet(
        {"api": "FROM BASE\nARG VERSION\nLABEL v=$VERSION\n", "web": "FROM BASE\nARG VERSION\nLABEL v=$VERSION\n"},
        {"api": {"version": {"tag": "api/v*"}}, "web": {"version": {"tag": "web/v*"}}},
        push={"to": [], "tags": ["{version}", "{major}", "latest"]},
    )
    ship.configure(push={"to": [ship.registry]})
    ship.git("tag", "api/v1.2.0")
    ship.git("tag", "web/v3.0.1")
    ship.invoke("release", "--push")
    record = {entry.image.rpartition("-")[2]: entry for entry in Project.load(ship.root).push().images}
    assert {name: entry.version for name, entry in record.items()} == {"api": "1.2.0", "web": "3.0.1"}
    tags = {name: {one.reference.rpartition(":")[2] for one in entry.pushed} for name, entry in record.items()}
    assert tags == {"api": {"1.2.0", "1", "latest"}, "web": {"3.0.1", "3", "latest"}}
    ship.commit("more")
    ship.git("tag", "web/v3.1.0")
    ship.invoke("release", "--image", "web", "--push")
    versions = [plan.version for plan in Project.load(ship.root).plan()]
    assert versions[0].startswith("1.2.0")
    assert versions[0] != "1.2.0"
    assert versions[1] == "3.1.0"


def test_an_image_made_for_another_by_its_build(fleet: Fleet) -> None:
    """`needs` orders what no Dockerfile says: the file that the other's build leaves is there, and is the new one."""
    build = {"dockerfile": "maker.Dockerfile", "command": ["sh", "-c", "mkdir -p out; echo $VERSION > out/file"]}
    ship = fleet(
        {"user": "FROM BASE\nCOPY out/file /file\n", "maker": "FROM BASE\n"},
        {"user": {"needs": ["maker"]}, "maker": {"build": {**build, "artifacts": ["out/file"]}}},
    )
    outcome = Project.load(ship.root).release()
    assert outcome.released == (f"{ship.image}-maker", f"{ship.image}-user")


def test_no_engine(fleet: Fleet, tmp_path: Path) -> None:
    """Where no engine is, it is told once, as with one image."""
    failed = fleet({"a": "FROM BASE\n", "b": "FROM BASE\n"}).invoke(
        "release", code=1, DOCKER_HOST=f"unix://{tmp_path}/none"
    )
    (error,) = (line for line in failed.err.splitlines() if line.startswith("error: "))
    assert "no such socket" in error
    assert "images failed" not in failed.err
    assert "there is no engine at" in failed.err.splitlines()[-2]


@contextmanager
def cut_off(engine: Engine, path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A way to the engine through a socket of ours; gives what cuts it off, with all that is on its way, for good."""
    if not engine.address.startswith("unix://"):
        pytest.skip("the engine does not listen on a socket of this machine")
    target = engine.address.removeprefix("unix://")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(100)
    ends: list[socket.socket] = []
    gone = threading.Event()

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                ours, _ = server.accept()
                if gone.is_set():
                    ours.close()
                    continue
                theirs = socket.socket(socket.AF_UNIX)
                ends.extend((ours, theirs))
                theirs.connect(target)
                for pair in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    def cut() -> None:
        gone.set()
        for end in list(ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    threading.Thread(target=accept, daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    yield cut
    cut()
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)
    server.close()


def test_an_engine_that_is_lost(fleet: Fleet, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the connection breaks in mid-graph, it is told once; what was made is recorded."""
    ship = fleet({name: f"FROM BASE\nRUN echo {name}\n" for name in "abcdef"}, {n: {"needs": ["a"]} for n in "bcdef"})
    with cut_off(engine, tmp_path / "s", monkeypatch) as cut:

        def told(event: Event) -> None:
            if isinstance(event, StageStarted) and event.stage == "release" and "-a:" not in event.image:
                cut()

        with pytest.raises(ImagesFailed) as caught:
            Project.load(ship.root, events=told).release(jobs=2)
    error = caught.value
    assert len(error.failed) == 1
    assert len(error.cancelled) == 4
    assert list(error.done) == ["a"]
    assert released(ship) == {"a"}
    monkeypatch.undo()
    Project.load(ship.root).release()
    assert released(ship) == set("abcdef")


@pytest.mark.slow
def test_fifty_images(fleet: Fleet) -> None:
    """Fifty images, a failing one among them with two above it; then all; then nothing is to do."""
    names = [f"n{number:02}" for number in range(50)]
    files = {name: f"FROM BASE\nRUN echo {name} > /name\n" for name in names}
    files |= {"n10": "FROM BASE\nRUN exit 5\n", "n20": "FROM OURS-n10:local\n", "n30": "FROM OURS-n20:local\n"}
    ship = fleet(files)
    failed = ship.invoke("release", "--json", code=1).json["error"]
    assert list(failed["failed"]) == ["n10"]
    assert failed["stopped"] == {"n20": ["n10"], "n30": ["n10"]}
    assert released(ship) == set(names) - {"n10", "n20", "n30"}
    (ship.root / "n10.Dockerfile").write_text((ship.root / "n11.Dockerfile").read_text())
    assert len(ship.invoke("release", "--json").json["released"]) == 50
    assert released(ship) == set(names)
    again = ship.invoke("release").err
    assert len([line for line in again.splitlines() if ": up to date (" in line]) == 50


def sleeping() -> str:
    """A command that takes long, and is no other one."""
    return f"sleep 1{secrets.randbelow(10**7):07}"


def _until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.05)


def _processes(mark: str) -> list[str]:
    """The processes of this machine whose command line has this in it, but for shells that are about to run it."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if mark.replace(" ", "\0") in file.read_bytes().decode(errors="replace"):
                found.append(file.parent.name)
    return found
