"""Hooks and stages of a project's own on a real engine and registry."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import contents
import pytest
from ships import Ship

from tinyship import Project
from tinyship.engine.connect import Engine
from tinyship.errors import CommandFailed
from tinyship.events import Event, Log
from tinyship.stages import push
from tinyship.stages.scope import Scope

pytestmark = pytest.mark.engine

ALL = [
    {when: stage, "run": f"echo {when} {stage}; cp $HOOK_{kind} .tinyship/{when}-{stage}.json"}
    for stage in ("base", "build", "release", "push")
    for when, kind in (("before", "PLAN"), ("after", "RECORD"))
]


def order(err: str) -> list[str]:
    """The hooks that ran, in their order."""
    return re.findall(r"\b(?:before|after) \w+ \| (.*)", err)


def told(ship: Ship, name: str) -> Any:
    """What a hook got to know."""
    return json.loads((ship.root / ".tinyship" / f"{name}.json").read_text())


@pytest.mark.smoke
def test_around_all_stages(ship: Ship) -> None:
    """Each once and in its order; what is up to date has none but those of release and push, which are asked for."""
    (ship.root / ".gitignore").write_text("bin/\n.tinyship/\n")
    ship.configure(hooks=ALL)
    ship.git("tag", "-f", "v1.0.0")
    first = ship.invoke("release", "push")
    stages = ("base", "build", "release", "push")
    assert order(first.err) == [f"{when} {stage}" for stage in stages for when in ("before", "after")]
    assert told(ship, "before-build")["actions"][0]["target"] == f"{ship.image}:build"
    assert [made["image"] for made in told(ship, "after-base")["images"]] == [ship.base]
    assert told(ship, "after-release")["images"][0]["id"] == ship.record["id"]
    assert told(ship, "before-push")["version"] == "1.0.0"
    assert told(ship, "after-push")["images"][0]["pushed"][0]["digest"].startswith("sha256:")
    again = ship.invoke("release", "push")
    assert order(again.err) == [f"{when} {stage}" for stage in stages[2:] for when in ("before", "after")]
    assert order(ship.invoke("--dry", "release", "push").err) == []


def test_what_a_hook_makes_is_built(ship: Ship) -> None:
    """A command before a stage may write what the stage takes; afterwards it is up to date."""
    (ship.root / "compile.sh").write_text("mkdir -p bin; cp made.txt bin/foo; chmod 755 bin/foo\n")
    (ship.root / ".gitignore").write_text("bin/\n.tinyship/\nmade.txt\n")
    ship.configure(hooks=[{"before": "build", "run": "cp src/main.txt made.txt"}])
    ship.invoke("build")
    assert (ship.root / "bin" / "foo").read_text() == "source\n"
    (ship.root / "src" / "main.txt").write_text("other\n")
    ship.invoke("build")
    assert (ship.root / "bin" / "foo").read_text() == "other\n"
    assert "up to date" in ship.invoke("build").err


def test_what_a_hook_before_release_changes_is_built(ship: Ship, engine: Engine) -> None:
    """Also where base and build have nothing to do, and have looked at the same files before it ran."""
    (ship.root / "Dockerfile").write_text((ship.root / "Dockerfile").read_text() + "COPY src /src\n")
    (ship.root / ".gitignore").write_text("bin/\n.tinyship/\nmore.txt\n")
    ship.configure(hooks=[{"before": "release", "run": "test ! -e more.txt || cat more.txt >> src/main.txt"}])
    ship.invoke("release")
    assert "up to date" in ship.invoke("build").err
    (ship.root / "more.txt").write_text("more\n")
    ship.invoke("build")
    ship.invoke("release")
    assert contents.text(engine, f"{ship.image}:local", "src/main.txt") == "source\nmore\n"


def test_hook_that_fails(ship: Ship) -> None:
    """Nothing is pushed; the exit code is 1, and the error says which hook it was."""
    (ship.root / ".gitignore").write_text("bin/\n.tinyship/\n")
    ship.configure(hooks=[{"before": "push", "run": "echo it is not well; exit 9"}])
    failed = ship.invoke("release", "push", code=1)
    where = f"error: push {ship.image}: the hook before push failed: `echo it is not well; exit 9`"
    assert f"{where} ended with exit code 9\n  | it is not well\n" in failed.err
    assert not ship.record["pushed"]


def test_host_replaces_build(ship: Ship) -> None:
    """A build of the host's own makes the artifact; the release takes it."""
    (ship.root / "tasks.py").write_text(
        '"""Ship it."""\n'
        "import tinyship\n"
        "from tinyship.stages.scope import Made, Scope\n\n\n"
        "def my_build(scope: Scope) -> Made:\n"
        '    with scope.stage("build", scope.settings.image, "writing a script"):\n'
        '        (scope.root / "bin").mkdir(exist_ok=True)\n'
        '        (scope.root / "bin" / "foo").write_text("#!/bin/sh\\necho mine\\n")\n'
        '        (scope.root / "bin" / "foo").chmod(0o755)\n'
        '    return Made("build", scope.settings.image, "", "written", 0.0)\n\n\n'
        'ns = tinyship.collection(stages={"build": my_build})\n'
    )
    (ship.root / "Dockerfile.build").unlink()
    ship.configure(build=None)
    assert "writing a script" in ship.invoke("release").err
    assert "mine" in ship.invoke("release.run").err
    assert "in place of build" in ship.invoke("--dry", "release").out


def test_host_wraps_push(ship: Ship) -> None:
    """A check before the push stops it or lets it through, and has the options that it was called with."""
    (ship.root / ".gitignore").write_text("bin/\n.tinyship/\n")
    ship.configure(hooks=[{"after": "push", "run": "echo pushed"}])
    fine: list[bool] = []
    heard: list[Event] = []

    def checked(scope: Scope, **options: bool) -> push.Delivery:
        if not fine:
            raise CommandFailed("it is not fine", exit_code_of_command=1)
        assert options == {"allow_dirty": True, "force": False}
        return push.send(scope, **options)

    project = Project.load(ship.root, events=heard.append, stages={"push": checked})
    project.release()
    with pytest.raises(CommandFailed, match="it is not fine") as caught:
        project.push()
    assert caught.value.stage == "push"
    fine.append(True)
    record = project.push(allow_dirty=True)
    assert record.images[0].pushed
    assert [event.line for event in heard if isinstance(event, Log) and event.source == "after push"] == ["pushed"]


def test_once_for_each_image(ship: Ship, busybox: str, tmp_path: Path) -> None:
    """Of several images each has the hooks once, and its own plan."""
    (ship.root / "Dockerfile").write_text(f"FROM {busybox}\n")
    log = tmp_path / "log"
    images = [{"name": name, "image": f"{ship.image}-{name}"} for name in ("a", "b")]
    said = f'echo "$HOOK_STAGE $HOOK_IMAGE $(grep -c $HOOK_IMAGE: $HOOK_PLAN)" >> {log}'
    ship.configure(base=[], build=None, images=images, hooks=[{"before": "release", "run": said}])
    ship.invoke("release")
    ran = sorted(line.rpartition(" ") for line in log.read_text().splitlines())
    assert [line[0] for line in ran] == [f"release {ship.image}-{name}" for name in ("a", "b")]
    assert all(int(line[2]) for line in ran)
