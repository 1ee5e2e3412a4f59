"""A real engine and a real registry; in CI their absence is a failure, elsewhere the tests are skipped."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import outside
import pytest
from docker.errors import APIError
from faulty_registry import faulty
from guarded import program, running
from outside import Authority
from pushing import Pushing, bulk
from ships import Ship, launch
from token_server import Guarded, with_tokens
from tools.locks import alone

from tinyship.engine import images
from tinyship.engine.connect import Engine, connect
from tinyship.errors import EngineUnreachable
from tinyship.kept import record

_APPLETS = (
    "sh",
    "cat",
    "echo",
    "sleep",
    "true",
    "false",
    "test",
    "mkdir",
    "chmod",
    "ls",
    "rm",
    "id",
    "env",
    "dd",
    "ln",
)
_IN_CI = bool(os.environ.get("CI"))


def offers(engine: Engine) -> dict[str, bool]:
    """Whether an engine has what not every engine has: the words of the marker ``needs``."""
    docker = engine.has_buildkit  # Docker's engines have both builders, Podman has one of its own
    speaks = tuple(int(part) for part in engine.api_version.split("."))
    since_23, since_24 = speaks >= (1, 42), speaks >= (1, 43)
    return {
        "buildkit": docker,
        "classic": docker,
        "podman": not docker,
        "buildkit of 20.10": docker and not since_23,
        "buildkit of 23": docker and since_23,
        "buildkit of 24": docker and since_24,
        "heredocs": docker and since_23,
        "copy --link": docker and since_23,
        "containerd": docker and engine.containerd_store,
        "graph-driver": docker and not engine.containerd_store,
    }


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show why tests were run once more, which pytest-rerunfailures keeps to itself."""
    if again := terminalreporter.stats.get("rerun"):
        terminalreporter.section("failures of the tests that were run once more")
        for report in again:
            terminalreporter.section(f"{report.nodeid} ({report.when})", sep="_")
            terminalreporter.write_line(report.longreprtext)


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """Skip what this engine cannot do, in CI as well: the matrix has other engines that can."""
    needed = {word for marker in request.node.iter_markers("needs") for word in marker.args}
    if needed:
        there = offers(request.getfixturevalue("engine"))
        if missing := sorted(word for word in needed if not there[word]):
            pytest.skip(f"this engine has no {' and no '.join(missing)}")


def unavailable(why: str) -> None:
    """Skip a test that this machine has not the means for; fail it in CI."""
    if _IN_CI:
        pytest.fail(f"{why} (in CI it must be there)")
    pytest.skip(why)


@pytest.fixture(scope="session")
def engine(environment: Path) -> Iterator[Engine]:
    """The engine that docker-py finds."""
    try:
        found = connect()
    except EngineUnreachable as error:
        unavailable(str(error))
        raise
    yield found
    found.close()


@pytest.fixture(scope="session")
def registry() -> str:
    """Host and port of a registry that takes plain HTTP, and pushes from anyone."""
    host = os.environ.get("DEV_REGISTRY", "")
    if not host:
        unavailable("no registry: DEV_REGISTRY is not set, `./dev test` sets it")
    return host


@pytest.fixture
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of a registry that wants credentials."""
    if not program():
        unavailable("no docker-registry on PATH")
    with running(tmp_path_factory.mktemp("guarded")) as host:
        yield host


@pytest.fixture
def address() -> str:
    """An address of this machine where engines want certificates to be right, as of any other host."""
    found = outside.address()
    if not found or os.geteuid() != 0:
        unavailable("no address beside loopback, or no right to have engines trust what listens there")
    return found


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority of the test's own."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tokened(engine: Engine, authority: Authority, address: str, tmp_path: Path) -> Iterator[Guarded]:
    """A registry behind TLS that wants tokens; engines trust it."""
    with with_tokens(authority, address, tmp_path, containerd=engine.containerd_store) as guarded:
        yield guarded


@pytest.fixture
def namespace(engine: Engine) -> Iterator[str]:
    """The first part of the names of all images that a test makes; they and their containers go with it."""
    with named(engine) as name:
        yield name


@pytest.fixture(scope="session")
def prepared(engine: Engine, busybox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ship]:
    """A project that is released and not pushed, with a layer that does not compress; tests work on copies of it."""
    with named(engine) as name:
        ship = launch(tmp_path_factory.mktemp("prepared"), f"{name}/foo", "registry.example.com", busybox)
        bulk(ship, "some")
        ship.invoke("release")
        yield ship


@pytest.fixture
def pushing(prepared: Ship, tmp_path: Path) -> Iterator[Pushing]:
    """A released project of the test's own, whose registry is empty, and fails as it is told to."""
    if not program():
        unavailable("no docker-registry on PATH")
    folder = tmp_path / "registry"
    folder.mkdir()
    with running(folder, auth="") as backend, faulty(backend) as proxy:
        yield Pushing(prepared, proxy, backend).clone(tmp_path / "ship")


@contextmanager
def named(engine: Engine, name: str = "") -> Iterator[str]:
    """A name for what is made, which goes at the end."""
    name = name or f"test-{secrets.token_hex(4)}"
    yield name
    api = engine.api
    for container in api.containers(all=True):
        labels = container.get("Labels") or {}
        if str(labels.get("tinyship.project", "")).startswith(name) or f"{name}/" in container.get("Image", ""):
            with _already_going():
                api.remove_container(container["Id"], force=True, v=True)
    for image in _listed(engine, name):
        for tag in image.get("RepoTags") or ():
            if f"{name}/" in tag or f"{name}-" in tag:
                with _already_going():
                    api.remove_image(tag, force=True)


def _listed(engine: Engine, name: str) -> list[dict[str, Any]]:
    """The images of an engine, or at least those with names that begin so.

    With the containerd store an engine looks into each image that it lists, which takes a second for fifty of them, and
    fails where one goes meanwhile: there only those are asked for.
    """
    patterns = [f"{host}{name}{rest}" for host in ("", "*/") for rest in ("*", "*/*", "*/*/*")]
    filters = {"reference": patterns} if engine.containerd_store else {}
    for _ in range(10):
        with _already_going():
            return list(engine.api.images(filters=filters))
    return []


@contextmanager
def _already_going() -> Iterator[None]:
    """Let a removal fail where what is to be removed is gone, or on its way."""
    try:
        yield
    except APIError as error:
        if error.response is None or error.response.status_code not in {404, 409}:
            raise


@pytest.fixture
def ship(tmp_path: Path, namespace: str, registry: str, busybox: str) -> Iterator[Ship]:
    """A project that can be released; what it leaves as its record, in every clone, is what the schema says."""
    root = tmp_path / "ship"
    root.mkdir()
    yield launch(root, f"{namespace}/foo", registry, busybox)
    schema = json.loads(record.schema())
    for file in tmp_path.rglob(".tinyship/release.json"):
        jsonschema.validate(json.loads(file.read_text()), schema, jsonschema.Draft202012Validator)


@pytest.fixture(scope="session")
def busybox(engine: Engine) -> str:
    """A base image of one static program, with a shell, made here."""
    return import_busybox(engine)


def import_busybox(engine: Engine) -> str:
    """Have that image in an engine, and return its name.

    Two that import it at once would take the name of what is not yet whole from each other.
    """
    with alone(Path(tempfile.gettempdir()) / f"tinyship-test-busybox-{os.getuid()}.lock"):
        return _import_busybox(engine)


def _import_busybox(engine: Engine) -> str:
    name = "tinyship-test-busybox:latest"
    if images.find(engine, name):
        return name
    program = shutil.which("busybox")
    if not program:
        unavailable("no busybox on PATH")
        raise AssertionError
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in ("bin", "etc", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        users = b"root:x:0:0::/:/bin/sh\nship:x:1234:2345::/:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(users)
        tar.addfile(entry, io.BytesIO(users))
        entry = tarfile.TarInfo("bin/busybox")
        entry.mode = stat.S_IMODE(Path(program).stat().st_mode)
        entry.size = Path(program).stat().st_size
        with Path(program).open("rb") as file:
            tar.addfile(entry, file)
        for applet in _APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    # Named by the engine itself: what has no name yet, another test may remove.
    repository, tag = name.split(":")
    changes = ["ENV PATH=/bin", 'CMD ["sh"]']
    engine.api.import_image_from_data(packed.getvalue(), repository=repository, tag=tag, changes=changes)
    return name
