"""The examples of programs that people ship, each released, run and pushed through its own `tasks.py`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from ships import Ship
from tests.pages import ROOT
from tests.playing import Player
from web import get

from tinyship.credentials import find, host_of
from tinyship.engine import containers, images
from tinyship.engine.connect import Engine
from tinyship.engine.containers import ContainerRequest
from tinyship.events import ignore

pytestmark = pytest.mark.engine


def copied(example: str, name: str, root: Path, namespace: str, registry: str) -> Ship:
    """A copy of an example whose images have names of the test's own, released as its README says."""
    shutil.copytree(ROOT / "examples" / example, root, ignore=shutil.ignore_patterns(".tinyship", "__pycache__", name))
    for file in (path for path in root.rglob("*") if path.is_file()):
        file.write_text(file.read_text().replace("lacion/", f"{namespace}/"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "TINYSHIP_PUSH_TO": registry, "TINYSHIP_PUSH_SMOKE": "false", "PATH": path}
    page = ROOT / "examples" / example / "README.md"
    Player(root, root.parent / "reader", {"lacion/": f"{namespace}/"}, TINYSHIP_PUSH_TO=registry).play(page)
    return Ship(root, f"{namespace}/{name}", registry, environment)


def shipped(ship: Ship, engine: Engine, pages: dict[str, bytes]) -> dict[str, Any]:
    """Push what was released: it has no dead byte, and answers; returns what it holds."""
    ship.invoke("push")
    (found,) = ship.invoke("size.explain", "release", "--json", "--top", "0").json["images"]
    assert (found["dead"], found["dead_files"], found["advice"]) == (0, [], [])
    pushed = ship.record["pushed"][0]
    repository = pushed["reference"].rpartition(":")[0]
    name = f"{repository}:pulled-by-digest"
    image_id = images.pull(engine, name, pushed["digest"], credential=find(host_of(repository)), events=ignore)
    try:
        with containers.container(engine, ContainerRequest(image=image_id, ports=("127.0.0.1::8080",))) as container:
            containers.start(engine, container)
            address = containers.published(engine, container)["8080/tcp"]
            assert {path: get(f"http://{address}{path}") for path in pages} == pages
    finally:
        images.untag(engine, name)
    assert isinstance(found, dict)
    return found


@pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("apt-get")), reason="no gcc, or no apt-get to fetch musl")
def test_c_program(tmp_path: Path, namespace: str, registry: str, engine: Engine) -> None:
    """One file on an empty base, of less than 100 kB."""
    ship = copied("c-program", "pong", tmp_path / "pong", namespace, registry)
    found = shipped(ship, engine, {"/": b"pong\n", "/version": b"1.0.0\n", "/healthz": b"ok\n"})
    size = (ship.root / "pong").stat().st_size
    assert [(file["path"], file["size"]) for file in found["files"]] == [("pong", size)]
    assert 10_000 < size < 100_000


def test_python_service(tmp_path: Path, namespace: str, registry: str, engine: Engine) -> None:
    """Interpreter, packages and service, without caches, tests, pip and what only pip needs."""
    ship = copied("python-service", "greeter", tmp_path / "greeter", namespace, registry)
    found = shipped(ship, engine, {"/": b"Hello, world.\n", "/?name=foo": b"Hello, foo.\n", "/healthz": b"ok\n"})
    names = {file["path"] for file in found["files"]}
    assert {"srv/greeter.py", "usr/bin/python"} < names
    assert "srv/site-packages/bottle.py" in names
    unwanted = {"__pycache__", "test", "tests", "pip", "setuptools", "ensurepip", "idlelib"}
    assert not [name for name in names if unwanted & set(Path(name).parts) or name.endswith(".pyc")]
    assert {package["name"] for package in found["packages"]} >= {"bottle", "waitress"}
