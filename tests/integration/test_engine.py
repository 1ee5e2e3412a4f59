"""The engine layer by itself, on a real engine."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinyship.engine import archive, containers, images, push
from tinyship.engine.connect import MINIMUM_API, Engine, connect
from tinyship.engine.containers import ContainerRequest
from tinyship.errors import ArtifactError, ConfigError, EngineError, RegistryError
from tinyship.events import Event, Log, ignore

pytestmark = pytest.mark.engine


def _request(image: str, namespace: str, script: str, *, ports: tuple[str, ...] = ()) -> ContainerRequest:
    return ContainerRequest(
        image=image,
        command=("sh", "-c", script),
        labels={"tinyship.project": f"{namespace}/foo"},
        ports=ports,
    )


@pytest.fixture
def container(engine: Engine, busybox: str, namespace: str) -> Iterator[str]:
    """A container that runs for a minute."""
    with containers.container(engine, _request(busybox, namespace, "mkdir -p /ship; sleep 60")) as made:
        containers.start(engine, made)
        yield made


def _tar(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def test_connect(engine: Engine) -> None:
    """What is known of an engine."""
    assert engine.address
    assert tuple(int(part) for part in engine.api_version.split(".")) >= MINIMUM_API
    assert engine.chosen_by
    assert engine.containerd_store in {True, False}
    other = connect()
    other.close()


def test_connect_by_a_context(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_CONTEXT leads to the engine, also where the Docker CLI never wrote a config.json."""
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"there").hexdigest()
    meta.mkdir(parents=True)
    endpoints = {"docker": {"Host": engine.address, "SkipTLSVerify": False}}
    (meta / "meta.json").write_text(json.dumps({"Name": "there", "Metadata": {}, "Endpoints": endpoints}))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONTEXT", "there")
    found = connect()
    assert (found.address, found.chosen_by) == (engine.address, "context there")
    assert found.version == engine.version
    found.close()


@pytest.mark.smoke
def test_output_in_order(engine: Engine, busybox: str, namespace: str) -> None:
    """Every line arrives, in the order of its stream, and the last 20 are kept."""
    events: list[Event] = []
    script = "i=0; while test $i -lt 5000; do echo line $i; i=$((i + 1)); done; echo oops >&2; echo -n no end; exit 3"
    with containers.container(engine, _request(busybox, namespace, script)) as made:
        done = containers.run(engine, made, events.append, source="test")
    logs = [event for event in events if isinstance(event, Log)]
    assert [log.line for log in logs if log.stream == "stdout"] == [*(f"line {i}" for i in range(5000)), "no end"]
    assert [log.line for log in logs if log.stream == "stderr"] == ["oops"]
    assert done.exit_code == 3
    assert len(done.tail) == 20


def test_signal_is_128_and_its_number(engine: Engine, busybox: str, namespace: str) -> None:
    """A command that a signal ends."""
    with containers.container(engine, _request(busybox, namespace, "kill -9 $$; sleep 5")) as made:
        containers.start(engine, made)
        timer = threading.Timer(0.5, lambda: engine.api.kill(made))
        timer.start()
        assert containers.logs(engine, made, ignore, source="test").exit_code == 137
        timer.join()


def test_log_of_nothing(engine: Engine, busybox: str, namespace: str) -> None:
    """The log of a container that writes nothing ends with it."""
    with containers.container(engine, _request(busybox, namespace, "sleep 1; exit 4")) as made:
        containers.start(engine, made)
        done = containers.logs(engine, made, ignore, source="test")
    assert (done.exit_code, done.tail) == (4, ())


def test_command_that_is_missing(engine: Engine, busybox: str, namespace: str) -> None:
    """A container whose program does not exist is an error, and leaves no container."""
    request = ContainerRequest(
        image=busybox, command=("no-such-program",), labels={"tinyship.project": f"{namespace}/foo"}
    )
    with (
        pytest.raises(EngineError, match="no-such-program"),
        containers.container(engine, request) as made,
    ):
        containers.run(engine, made, ignore, source="test")
    assert containers.listing(engine, project=f"{namespace}/foo") == ()


def test_container_goes_whatever_happens(engine: Engine, busybox: str, namespace: str) -> None:
    """A running container is gone after an exception."""
    ids: list[str] = []

    def fail() -> None:
        with containers.container(engine, _request(busybox, namespace, "sleep 60")) as made:
            ids.append(made)
            containers.start(engine, made)
            assert containers.ended(engine, made) is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert containers.listing(engine, project=f"{namespace}/foo") == ()
    assert not containers.remove(engine, ids[0])


def test_image_that_is_missing(engine: Engine) -> None:
    """A container of no image names it."""
    with (
        pytest.raises(EngineError, match="no-such-image"),
        containers.container(engine, ContainerRequest(image="no-such-image:1")),
    ):
        pass


def test_execute(engine: Engine, container: str) -> None:
    """Exit codes of commands in a running container."""
    assert containers.execute(engine, container, ("sh", "-c", "echo hello; exit 5")).exit_code == 5
    # A command that ends at once may have ended before a busy engine listens to it.
    assert containers.execute(engine, container, ("sh", "-c", "echo hello; sleep 1")).tail == ("hello",)
    assert containers.execute(engine, container, ("no-such-program",)).exit_code in {126, 127}


@pytest.mark.smoke
def test_ports(engine: Engine, busybox: str, namespace: str) -> None:
    """A port is published on the loopback address; what is none is refused."""
    request = _request(busybox, namespace, "sleep 60", ports=("127.0.0.1::8080",))
    with containers.container(engine, request) as made:
        containers.start(engine, made)
        address = containers.published(engine, made)["8080/tcp"]
    assert address.startswith("127.0.0.1:")
    with (
        pytest.raises(ConfigError, match="`http` is no port"),
        containers.container(engine, _request(busybox, namespace, "true", ports=("http",))),
    ):
        pass


@pytest.mark.smoke
def test_copy_in_and_out(engine: Engine, container: str, tmp_path: Path) -> None:
    """Megabytes in, the same megabytes out."""
    content = bytes(range(256)) * 20_000
    containers.copy_in(engine, container, iter([_tar(**{"ship/file": content})]))
    assert archive.copy_out(engine, container, {"/ship/file": "here/file"}, tmp_path) == (tmp_path / "here" / "file",)
    assert (tmp_path / "here" / "file").read_bytes() == content


def test_copy_in_of_what_is_no_tar(engine: Engine, container: str) -> None:
    """The engine's refusal is an error."""
    with pytest.raises(EngineError, match="copying the source"):
        containers.copy_in(engine, container, iter([b"this is no tar" * 100]))


@pytest.mark.parametrize(
    "script",
    [
        "ln -s /etc/passwd /ship/out/link",
        "ln -s ../../etc /ship/out/link",
        "ln -s ../x /ship/out/link",
        "mkfifo /ship/out/pipe",
    ],
)
def test_copy_out_refuses(engine: Engine, container: str, tmp_path: Path, script: str) -> None:
    """What leads out, or is no file, is refused whole, and what was there stays."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    made = f"mkdir -p /ship/out; {script.replace('mkfifo', '/bin/busybox mkfifo')}"
    assert containers.execute(engine, container, ("sh", "-c", made)).exit_code == 0
    with pytest.raises(ArtifactError, match="Nothing was written"):
        archive.copy_out(engine, container, {"/ship/out": "out"}, tmp_path)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"]
    assert list((tmp_path / ".tinyship").glob("incoming-*")) == []


def test_copy_out_is_all_or_nothing(engine: Engine, container: str, tmp_path: Path) -> None:
    """One artifact that is missing, and the other is not written either."""
    assert containers.execute(engine, container, ("sh", "-c", "echo a > /ship/a")).exit_code == 0
    with pytest.raises(ArtifactError, match="did not make b"):
        archive.copy_out(engine, container, {"/ship/a": "a", "/ship/b": "b"}, tmp_path)
    assert not (tmp_path / "a").exists()


def test_copy_out_puts_back(engine: Engine, container: str, tmp_path: Path) -> None:
    """Where the second cannot be moved into its place, the first goes back."""
    script = "echo new > /ship/a; echo new > /ship/b"
    assert containers.execute(engine, container, ("sh", "-c", script)).exit_code == 0
    (tmp_path / "a").write_text("old")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ArtifactError, match="Nothing was replaced"):
        archive.copy_out(engine, container, {"/ship/a": "a", "/ship/b": "file/b"}, tmp_path)
    assert (tmp_path / "a").read_text() == "old"
    assert (tmp_path / "file").read_text() == "not a folder"


def test_images(engine: Engine, busybox: str, namespace: str) -> None:
    """Found, named, and unnamed again."""
    name = f"{namespace}/named:1"
    found = images.find(engine, busybox)
    assert found
    assert images.find(engine, name) is None
    images.tag(engine, found.id, name)
    tagged = images.find(engine, name)
    assert tagged
    assert tagged.id == found.id
    assert images.untag(engine, name)
    assert images.untag(engine, name)
    assert images.find(engine, name) is None


@pytest.mark.smoke
def test_import_of_what_is_no_tar(engine: Engine, namespace: str) -> None:
    """What is no tar makes no image."""
    name = f"{namespace}/rootfs:1"
    with pytest.raises(EngineError, match="importing"):
        images.import_rootfs(engine, iter([b"this is no tar" * 100]), name=name, changes=[], events=ignore)
    assert images.find(engine, name) is None


def test_import_that_breaks_off(engine: Engine, namespace: str) -> None:
    """What the chunks raise comes out, and there is no image of their half."""
    name = f"{namespace}/rootfs:1"

    def chunks() -> Iterator[bytes]:
        yield _tar(a=b"a" * 10_000)[:5000]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        images.import_rootfs(engine, chunks(), name=name, changes=[], events=ignore)
    assert images.find(engine, name) is None


def test_what_is_no_tar_takes_no_name(engine: Engine, namespace: str) -> None:
    """An import that fails leaves the image that had the name before it, and none of its own."""
    name = f"{namespace}/rootfs:1"
    image_id = images.import_rootfs(engine, iter([_tar(a=b"a")]), name=name, changes=[], events=ignore)
    with pytest.raises(EngineError, match="importing"):
        images.import_rootfs(engine, iter([b"this is no tar" * 100]), name=name, changes=[], events=ignore)
    found = images.find(engine, name)
    assert found
    assert (found.id, found.tags) == (image_id, (name,))


@pytest.mark.smoke
def test_push_and_pull_by_digest(engine: Engine, registry: str, busybox: str, namespace: str) -> None:
    """What was pushed comes back by its digest, under the name that was asked for: the same layers, as heavy."""
    before = images.find(engine, busybox)
    assert before
    there, here = f"{registry}/{namespace}/foo:1", f"{registry}/{namespace}/foo:back"
    images.tag(engine, before.id, there)
    pushed = push.push(engine, there, credential=None, timeout=30, events=ignore)
    assert len(pushed.sent | pushed.present) in {len(before.layers), 0}  # Podman does not say
    images.untag(engine, there)
    image_id = images.pull(engine, here, pushed.digest, credential=None, events=ignore)
    found = images.find(engine, here)
    assert found
    assert found.id == image_id
    assert found.layers == before.layers
    assert any(digest.endswith(pushed.digest) for digest in found.digests)


def test_push_of_no_image(engine: Engine, registry: str, namespace: str) -> None:
    """A name that the engine does not have."""
    with pytest.raises(RegistryError, match=r"does not exist|image not known"):
        push.push(engine, f"{registry}/{namespace}/none:1", credential=None, timeout=10, events=ignore)
