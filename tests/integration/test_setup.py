"""The set-up of a development machine: private engine and registry, mended whatever state they are found in."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools import bridge, daemon
from tools.engine import PrivateEngine
from tools.packages import find
from tools.registry import PrivateRegistry

from conftest import unavailable
from tinyship.engine import images
from tinyship.engine.connect import connect
from tinyship.events import ignore

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateEngine]:
    """An engine beside the one of the other tests."""
    if os.geteuid() != 0 or not find("dockerd"):
        unavailable("a private engine needs root and dockerd")
    private = PrivateEngine(tmp_path_factory.mktemp("engine") / "with" / ("a-long-path-" * 8))
    yield private
    private.down()


@pytest.fixture
def running(own: PrivateEngine) -> PrivateEngine:
    """That engine, running."""
    own.up()
    return own


@pytest.fixture
def registry_of_ours(tmp_path: Path) -> Iterator[PrivateRegistry]:
    """A registry beside the one of the other tests."""
    if not find("docker-registry"):
        unavailable("there is no docker-registry")
    private = PrivateRegistry(tmp_path)
    yield private
    private.down()


def test_engine_starts_once(running: PrivateEngine) -> None:
    """The second call finds it running and starts nothing; its sockets have short paths."""
    before = daemon.find(str(running.runtime))
    running.up()
    assert daemon.find(str(running.runtime)) == before
    assert len(str(running.socket).encode()) < 108


def test_containerd_is_its_own(running: PrivateEngine) -> None:
    """Beside the engine runs a containerd of its own, so that it does not take the machine's."""
    assert (running.runtime / "containerd.sock").is_socket()
    assert (running.state / "containerd").is_dir()
    pid = daemon.find(f"{running.runtime}/docker.pid")[0]
    assert f"--containerd\0{running.runtime}/containerd.sock\0" in Path(f"/proc/{pid}/cmdline").read_text()


def test_killed_engine_is_mended(running: PrivateEngine) -> None:
    """After a kill, with its socket, pid file, bridge and containerd left behind, it starts again."""
    for pid in daemon.find(f"{running.runtime}/docker.pid"):
        os.kill(pid, signal.SIGKILL)
    await_(lambda: not daemon.find(f"{running.runtime}/docker.pid"))
    assert not running.answers()
    assert running.socket.exists()
    running.up()
    assert running.answers()


def test_containers_of_a_killed_engine_end(running: PrivateEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ran in a container of an engine that was killed with all that belongs to it does not run on."""
    monkeypatch.setenv("DOCKER_HOST", running.host)
    engine = connect()
    program = find("busybox") or ""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(program, "busybox")
    name = images.import_rootfs(engine, iter([packed.getvalue()]), name="sleeps:1", changes=[], events=ignore)
    made = engine.api.create_container(name, command=["/busybox", "sleep", "600"])["Id"]
    engine.api.start(made)
    pid = int(engine.api.inspect_container(made)["State"]["Pid"])
    engine.close()
    assert daemon.contained(running.state) == (pid,)
    daemon.kill(daemon.find(str(running.runtime)))
    await_(lambda: not daemon.find(str(running.runtime)))
    assert Path(f"/proc/{pid}").exists()
    running.up()
    await_(lambda: not daemon.contained(running.state))


def test_stale_pid_file_is_mended(running: PrivateEngine) -> None:
    """A pid file that names a process of another program keeps nothing from starting."""
    running.down()
    running.runtime.mkdir()
    (running.runtime / "docker.pid").write_text(f"{os.getpid()}\n")
    running.up()
    assert running.answers()


def test_left_over_bridge_is_used(running: PrivateEngine) -> None:
    """A bridge that is there already serves again, with or without an address."""
    running.down()
    subprocess.run(["ip", "link", "add", running.bridge, "type", "bridge"], check=True)
    running.up()
    assert running.answers()


def test_down_leaves_nothing(running: PrivateEngine) -> None:
    """After `down` there is no process, no socket and no device; a second `down` is no error."""
    assert running.down()
    assert not running.runtime.exists()
    assert str(running.state) not in Path("/proc/self/mounts").read_text()
    assert not daemon.find(str(running.runtime))
    assert subprocess.run(["ip", "link", "show", running.bridge], capture_output=True).returncode != 0
    assert not running.down()


def test_bridges_do_not_overlap() -> None:
    """Two bridges get two networks."""
    if os.geteuid() != 0 or not find("ip"):
        unavailable("a bridge needs root")
    names = ("tshiptest1", "tshiptest2")
    try:
        for name in names:
            bridge.up(name)
        shown = [
            subprocess.run(["ip", "-4", "-o", "address", "show", name], capture_output=True, text=True, check=True)
            for name in names
        ]
        assert len({done.stdout.split()[3] for done in shown}) == 2
    finally:
        for name in names:
            bridge.down(name)


def test_registry_keeps_its_port(registry_of_ours: PrivateRegistry) -> None:
    """Stopped and started again, it listens where it did before."""
    registry_of_ours.up()
    port = registry_of_ours.port
    assert registry_of_ours.answers()
    registry_of_ours.up()
    assert registry_of_ours.down()
    registry_of_ours.up()
    assert registry_of_ours.port == port


def test_taken_port_is_left_to_its_owner(registry_of_ours: PrivateRegistry) -> None:
    """Where a stranger listens at its port meanwhile, it takes another."""
    registry_of_ours.up()
    port = registry_of_ours.port
    registry_of_ours.down()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", port))
        stranger.listen()
        assert not registry_of_ours.answers()
        registry_of_ours.up()
        assert registry_of_ours.port != port
        assert registry_of_ours.answers()


def test_elsewhere_it_says_what_to_install(tmp_path: Path) -> None:
    """Without apt and without the programs there are two lines with what to do, and no traceback."""
    (tmp_path / "python").symlink_to(sys.executable)
    script = "from tools import packages; packages.find = lambda _: None; packages.ensure('dockerd')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2
    assert "DOCKER_HOST" in done.stderr


def await_(condition: object, seconds: float = 60.0) -> None:
    """Wait until a condition holds."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
