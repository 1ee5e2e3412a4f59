"""What goes wrong outside of tinyship: one clear message, the right exit code, and nothing lost."""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from faulty_registry import BLOBS, MANIFESTS, answered, faulty
from guarded import SECRET, USER, refusing
from ships import COMPILE, Ran, Ship
from small_disk import small_disk

from tinyship.engine import containers, images
from tinyship.engine.connect import Engine

pytestmark = pytest.mark.engine
both = pytest.mark.parametrize("builder", ["buildkit", "classic"])

Answer = tuple[int, Mapping[str, str], bytes]
Serve = Callable[[Callable[[str], Answer]], str]


@pytest.fixture
def built(ship: Ship) -> Ship:
    """A project with its base, its build image and its artifact made."""
    ship.invoke("build")
    return ship


@pytest.fixture
def released(ship: Ship) -> Ship:
    """A project that is released, and not pushed."""
    ship.invoke("release")
    return ship


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts HTTP servers on the loopback address; each answers what a function says of the path."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[str], Answer]) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            default_request_version = "HTTP/1.1"  # what is no HTTP, like TLS, gets a status line as well

            def _answer(self) -> None:
                code, headers, body = answer(self.path)
                self.send_response(code)
                for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that leave are no news
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def silent() -> Iterator[str]:
    """Host and port of something that lets everyone connect, and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def _failed(ran: Ran, *words: str) -> None:
    """One error, which says all of these words, and nothing of Python."""
    assert "Traceback" not in ran.out + ran.err
    assert ran.err.count("error: ") == 1, ran.err
    assert "\x1b" not in ran.err
    assert "Warning" not in ran.err
    message = ran.err[ran.err.index("error: ") :]
    for word in words:
        assert word in message, f"{word!r} is not in:\n{ran.err}"


def _no_containers(ship: Ship, engine: Engine) -> None:
    assert containers.listing(engine, project=ship.image) == ()


def _nothing_incoming(ship: Ship) -> None:
    assert list((ship.root / ".tinyship").glob("incoming-*")) == []


def _pushes_to(ship: Ship, host: str) -> None:
    """Push to another registry, without a change that the tree would show."""
    ship.environment["TINYSHIP_PUSH_TO"] = host


def _docker_config(ship: Ship, folder: Path, config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    ship.environment["DOCKER_CONFIG"] = str(folder)
    return folder / "config.json"


def _login(host: str, secret: str) -> object:
    return {"auths": {host: {"auth": base64.b64encode(f"{USER}:{secret}".encode()).decode()}}}


def _names_for(ship: Ship, engine: Engine, host: str) -> list[str]:
    """The names that an image has for this registry."""
    tags = [tag for image in images.listing(engine, project=ship.image) for tag in image.tags]
    return [tag for tag in tags if tag.startswith(host)]


# --- No engine ---------------------------------------------------------------------------------------------------


def test_no_socket(ship: Ship, tmp_path: Path) -> None:
    """A socket that is not there is named, with what led to it."""
    failed = ship.invoke("release", code=1, DOCKER_HOST=f"unix://{tmp_path}/none.sock")
    _failed(failed, f"{tmp_path}/none.sock", "DOCKER_HOST", "no such socket", "Start Docker")


def test_nothing_listens(ship: Ship) -> None:
    """A port that refuses is named."""
    with refusing() as host:
        failed = ship.invoke("release", code=1, DOCKER_HOST=f"tcp://{host}")
    _failed(failed, host, "nothing listens", "Start Docker")


def test_file_in_place_of_a_socket(ship: Ship, tmp_path: Path) -> None:
    """What is no socket does not listen."""
    (tmp_path / "file").write_text("")
    failed = ship.invoke("release", code=1, DOCKER_HOST=f"unix://{tmp_path}/file")
    _failed(failed, f"{tmp_path}/file", "nothing listens")


@pytest.mark.parametrize(
    ("code", "kind", "body"),
    [(200, "text/html", b"<html>hello</html>"), (404, "text/plain", b"no such page"), (200, "application/json", b"[]")],
)
def test_no_engine_answers(ship: Ship, serve: Serve, code: int, kind: str, body: bytes) -> None:
    """A web server is no engine."""
    host = serve(lambda path: (code, {"Content-Type": kind}, body))
    failed = ship.invoke("release", code=1, DOCKER_HOST=f"tcp://{host}")
    _failed(failed, host, "no Docker engine", "Set DOCKER_HOST")


def test_no_http_answers(ship: Ship) -> None:
    """Something that does not even speak HTTP is no engine."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            with suppress(OSError):
                while True:
                    with server.accept()[0] as peer:
                        peer.sendall(b"220 mail.example.com ESMTP\r\n")

        threading.Thread(target=greet, daemon=True).start()
        host = f"127.0.0.1:{server.getsockname()[1]}"
        _failed(ship.invoke("release", code=1, DOCKER_HOST=f"tcp://{host}"), host, "no Docker engine")
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("address", ["nonsense://x", "tcp://", "127.0.0.1:notaport"])
def test_no_address(ship: Ship, address: str) -> None:
    """What is no address is said to be none."""
    _failed(ship.invoke("release", code=1, DOCKER_HOST=address), address, "DOCKER_HOST", "no address of an engine")


def test_unknown_context(ship: Ship) -> None:
    """A context that nobody made is not replaced with the default engine."""
    environment = {name: value for name, value in ship.environment.items() if name != "DOCKER_HOST"}
    ship.environment.clear()
    ship.environment.update(environment)
    failed = ship.invoke("release", code=1, DOCKER_CONTEXT="no-such-context")
    _failed(failed, "no-such-context", "docker context ls")


@pytest.mark.parametrize("api", ["1.24", "1.12", "1.40"])
def test_engine_too_old(ship: Ship, serve: Serve, api: str) -> None:
    """An old engine is told from none: its version, and the one that is needed."""
    version = json.dumps({"Version": "1.12.6", "ApiVersion": api, "MinAPIVersion": "1.12"}).encode()
    host = serve(lambda path: (200, {"Content-Type": "application/json"}, version if "version" in path else b"{}"))
    _failed(ship.invoke("release", code=1, DOCKER_HOST=f"tcp://{host}"), host, "too old", "1.41", "20.10")


def test_no_permission() -> None:
    """A socket that this user may not use is not the same as none."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    script = (
        "import os, sys, docker, docker.context, docker.utils.config, docker.errors, requests, encodings.idna\n"
        "from tinyship.engine import connect\nfrom tinyship.errors import EngineUnreachable\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n    connect.connect()\nexcept EngineUnreachable as error:\n    sys.exit(f'error: {error}')\n"
    )
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        Path(folder).chmod(0o755)
        address = f"{folder}/docker.sock"
        server.bind(address)
        server.listen()
        Path(address).chmod(0o660)
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "DOCKER_HOST": f"unix://{address}"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 1
    _failed(Ran(done.returncode, done.stdout, done.stderr), address, "no permission", "group `docker`")


# --- What is missing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["Dockerfile", "Dockerfile.build", "docker/Dockerfile.base"])
def test_missing_dockerfile(ship: Ship, engine: Engine, file: str) -> None:
    """A missing Dockerfile is found before anything is made."""
    (ship.root / file).unlink()
    _failed(ship.invoke("release", code=1), file, "missing", "Dockerfile")
    assert images.listing(engine, project=ship.image) == ()


@pytest.mark.parametrize("stage", ["base", "build", "release"])
def test_missing_context(ship: Ship, engine: Engine, stage: str) -> None:
    """A missing context folder is found before anything is made."""
    entry = {"name": ship.base, "dockerfile": "docker/Dockerfile.base", "context": "nowhere"}
    ship.configure(**{stage: [entry] if stage == "base" else {"context": "nowhere"}})
    _failed(ship.invoke("release", code=1), stage, "nowhere", "missing", "relative to the project")
    assert images.listing(engine, project=ship.image) == ()


def test_missing_artifact(built: Ship, engine: Engine) -> None:
    """An artifact that the compile did not make: its name, and what there is instead; the old one stays."""
    before = (built.root / "bin" / "foo").read_text()
    (built.root / "compile.sh").write_text("mkdir -p bin\n: > bin/fooo\n")
    _failed(built.invoke("build", code=1), "bin/foo", "did not make", "fooo")
    assert (built.root / "bin" / "foo").read_text() == before
    _no_containers(built, engine)


@pytest.mark.parametrize("artifact", ["../evil", "/etc/passwd", "bin/../../evil", "."])
def test_artifact_outside(ship: Ship, engine: Engine, artifact: str) -> None:
    """A path that leaves the project is a wrong setting."""
    ship.configure(build={"artifacts": [artifact]})
    _failed(ship.invoke("build", code=2), "artifacts", artifact)
    assert images.listing(engine, project=ship.image) == ()


def test_artifact_through_a_link(ship: Ship, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A folder that is a link out of the project is not written through."""
    outside = tmp_path_factory.mktemp("outside")
    (ship.root / "bin").symlink_to(outside)
    (ship.root / ".dockerignore").write_text(".git\n.tinyship\nbin\n")
    _failed(ship.invoke("build", code=1), "bin/foo", str(outside), "outside of the project")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("compile_", ["ln -s /etc/passwd bin/foo", "ln -s ../../etc/passwd bin/foo"])
def test_artifact_links_out(built: Ship, engine: Engine, compile_: str) -> None:
    """An artifact that is a link to a file of this machine is refused, and the old one stays."""
    before = (built.root / "bin" / "foo").read_text()
    (built.root / "compile.sh").write_text(f"mkdir -p bin\n{compile_}\n")
    _failed(built.invoke("build", code=1), "passwd", "leads out", "Nothing was written")
    assert not (built.root / "bin" / "foo").is_symlink()
    assert (built.root / "bin" / "foo").read_text() == before
    _nothing_incoming(built)
    _no_containers(built, engine)


def test_artifact_folder_with_a_link_out(ship: Ship) -> None:
    """One bad link in a folder, and none of it, nor of the other artifacts, is written."""
    ship.configure(build={"artifacts": ["bin/foo", "out"]})
    (ship.root / "compile.sh").write_text(f"{COMPILE}mkdir -p out/deep\n: > out/good\nln -s /etc out/deep/etc\n")
    _failed(ship.invoke("build", code=1), "out/deep/etc", "leads out", "Nothing was written")
    assert not (ship.root / "out").exists()
    assert not (ship.root / "bin").exists()


@both
def test_failing_step(ship: Ship, engine: Engine, builder: str) -> None:
    """A step that fails: which one, its last lines, its exit code; no image, and the stages before it stay."""
    step = "RUN echo first; echo main.c:7: no such thing >&2; exit 9"
    (ship.root / "Dockerfile").write_text(f"FROM {ship.base}\n{step}\n")
    failed = ship.invoke("release", code=1, TINYSHIP_BUILDER=builder)
    _failed(failed, f"release {ship.image}:local", f"`{step}`", "exit code 9", "  | main.c:7: no such thing")
    assert images.find(engine, f"{ship.image}:local") is None
    assert images.find(engine, ship.base)
    assert not (ship.root / ".tinyship" / "release.json").exists()


@both
def test_base_that_is_not_there(ship: Ship, builder: str) -> None:
    """A FROM that cannot be pulled names the image."""
    with refusing() as host:
        missing = f"{host}/nowhere:1"
        (ship.root / "docker" / "Dockerfile.base").write_text(f"FROM {missing}\n")
        failed = ship.invoke("base", code=1, TINYSHIP_BUILDER=builder)
    _failed(failed, missing, "refused", "invoke base")


@both
def test_copy_of_a_missing_file(ship: Ship, builder: str) -> None:
    """A COPY of what is not there says where to look."""
    (ship.root / "docker" / "Dockerfile.base").write_text("FROM scratch\nCOPY nothing.txt /\n")
    _failed(ship.invoke("base", code=1, TINYSHIP_BUILDER=builder), "COPY nothing.txt", ".dockerignore")


def test_dockerfile_that_cannot_be_read(ship: Ship) -> None:
    """An unknown instruction is quoted."""
    (ship.root / "docker" / "Dockerfile.base").write_text("FROM scratch\nCOPPY a b\n")
    _failed(ship.invoke("base", code=1), "COPPY")


# --- Registries --------------------------------------------------------------------------------------------------


def test_registry_refuses_connections(released: Ship, engine: Engine) -> None:
    """Nothing listens: which registry, and the release can be pushed again."""
    before = released.record
    with refusing() as host:
        _pushes_to(released, host)
        _failed(released.invoke("push", code=1), host, "nothing listens", "Is the registry running?")
    assert _names_for(released, engine, host) == []
    assert released.record == before
    _pushes_to(released, released.registry)
    released.invoke("push")


def test_registry_fails(released: Ship, engine: Engine, serve: Serve) -> None:
    """A registry that answers 500 to everything."""
    host = serve(lambda path: (200, {}, b"{}") if path == "/v2/" else (500, {}, b"out of order"))
    _pushes_to(released, host)
    _failed(
        released.invoke("push", code=1, TINYSHIP_PUSH_TIMEOUT="60"), host, "500", "tried 5 times", "try again later"
    )
    assert _names_for(released, engine, host) == []
    assert released.record["pushed"] == []


def test_registry_hangs(released: Ship, engine: Engine, silent: str) -> None:
    """A registry that never answers is given up after a few tries of `push.timeout`."""
    _pushes_to(released, silent)
    begun = time.monotonic()
    failed = released.invoke("push", code=1, TINYSHIP_PUSH_TIMEOUT="3")
    assert time.monotonic() - begun < 60
    _failed(failed, silent, "does not answer", "3 s", "Try again")
    assert _names_for(released, engine, silent) == []


def test_pushed_before_it_failed(released: Ship, registry: str) -> None:
    """What was pushed before another registry failed is in the record, and the error says what each tag names."""
    with faulty(registry) as other:
        other.on("PUT", MANIFESTS, answered(403, "DENIED"), times=0)
        other.on("HEAD", BLOBS, answered(404, "BLOB_UNKNOWN"), times=0)
        other.on("HEAD|GET", "/manifests/|/tags/", answered(404, "NAME_UNKNOWN"), times=0)
        _pushes_to(released, f"{released.registry},{other.host}")
        failed = released.invoke("push", code=1)
    _failed(failed, other.host, f"{released.registry}/{released.image}:1.0.0 names it", "latest is not there")
    references = [pushed["reference"] for pushed in released.record["pushed"]]
    assert len(references) == 2, "what moves comes last, in all registries"
    assert all(reference.startswith(released.registry) for reference in references)


def test_no_credentials(released: Ship, guarded: str) -> None:
    """A registry that wants to know who pushes."""
    _pushes_to(released, guarded)
    _failed(released.invoke("push", code=1), guarded, "no credentials", f"docker login {guarded}")


def test_wrong_credentials(released: Ship, guarded: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Which registry, and which file the credentials came from; never the secret."""
    _pushes_to(released, guarded)
    file = _docker_config(released, tmp_path_factory.mktemp("docker"), _login(guarded, "wr0ng-word"))
    failed = released.invoke("push", code=1)
    _failed(failed, guarded, str(file), f"docker login {guarded}")
    encoded = base64.b64encode(f"{USER}:wr0ng-word".encode()).decode()
    for secret in ("wr0ng-word", encoded):
        assert secret not in failed.out + failed.err + json.dumps(released.record)


def test_right_credentials(released: Ship, guarded: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With the right ones it works; the secret is nowhere, not even in what Invoke says for debugging."""
    _pushes_to(released, guarded)
    _docker_config(released, tmp_path_factory.mktemp("docker"), _login(guarded, SECRET))
    done = released.invoke("-d", "push")
    assert len(released.record["pushed"]) == 3
    assert SECRET not in done.out + done.err + json.dumps(released.record)


def _helper(folder: Path, name: str, script: str) -> str:
    """A credential helper; returns a PATH that leads to it."""
    folder.mkdir(exist_ok=True)
    (folder / f"docker-credential-{name}").write_text(f"#!/bin/sh\n{script}\n")
    (folder / f"docker-credential-{name}").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_credential_helper(released: Ship, guarded: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A helper's credentials are used, and only for its own registry."""
    folder = tmp_path_factory.mktemp("docker")
    answer = json.dumps({"ServerURL": guarded, "Username": USER, "Secret": SECRET})
    path = _helper(folder, "fine", f"echo \"$1 $(cat)\" >> {folder}/asked; echo '{answer}'")
    _docker_config(released, folder, {"credHelpers": {guarded: "fine", "other.example.com": "fine"}})
    _pushes_to(released, guarded)
    done = released.invoke("push", PATH=path)
    assert set((folder / "asked").read_text().splitlines()) == {f"get {guarded}"}
    assert SECRET not in done.out + done.err + json.dumps(released.record)


@pytest.mark.parametrize("script", ["echo the keyring is locked >&2; exit 1", "echo the keyring is locked; exit 1"])
def test_credential_helper_that_fails(
    released: Ship, engine: Engine, tmp_path_factory: pytest.TempPathFactory, script: str
) -> None:
    """A helper that fails is named, with its registry."""
    folder = tmp_path_factory.mktemp("docker")
    path = _helper(folder, "broken", script)
    _docker_config(released, folder, {"credHelpers": {released.registry: "broken"}})
    failed = released.invoke("push", code=1, PATH=path)
    _failed(failed, "docker-credential-broken", released.registry, "credHelpers")
    _no_names = [name for name in _names_for(released, engine, released.registry) if released.image in name]
    assert _no_names == []


def test_credential_helper_that_talks_nonsense(released: Ship, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is no JSON is the helper's failure, and is not shown: it may hold the secret."""
    folder = tmp_path_factory.mktemp("docker")
    path = _helper(folder, "broken", f"echo {SECRET}")
    _docker_config(released, folder, {"credHelpers": {released.registry: "broken"}})
    failed = released.invoke("push", code=1, PATH=path)
    _failed(failed, "docker-credential-broken", released.registry)
    assert SECRET not in failed.out + failed.err


def test_credential_helper_that_is_missing(released: Ship, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A helper that nobody installed is named."""
    _docker_config(released, tmp_path_factory.mktemp("docker"), {"credHelpers": {released.registry: "nowhere"}})
    _failed(released.invoke("push", code=1), "docker-credential-nowhere", released.registry, "credHelpers")


def test_damaged_docker_config(released: Ship, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A Docker config that is no JSON is no reason for a traceback."""
    folder = tmp_path_factory.mktemp("docker")
    (folder / "config.json").write_text("{")
    done = released.invoke("push", code=None, DOCKER_CONFIG=str(folder))
    assert "Traceback" not in done.out + done.err
    assert released.record["pushed"] or "error: " in done.err


# --- Disks -------------------------------------------------------------------------------------------------------


def test_disk_fills_during_the_copy(built: Ship, engine: Engine) -> None:
    """An artifact that does not fit: that is said, the old one stays, and nothing of the new one."""
    before = (built.root / "bin" / "foo").read_text()
    (built.root / "compile.sh").write_text("mkdir -p bin\ndd if=/dev/zero of=bin/foo bs=1024 count=400\n")
    with small_disk(built.root / ".tinyship", "64k"):
        _failed(built.invoke("build", code=1), "bin/foo", "No space left on device", "Nothing was replaced")
        _nothing_incoming(built)
    assert (built.root / "bin" / "foo").read_text() == before
    _no_containers(built, engine)


def test_disk_full_for_the_record(built: Ship) -> None:
    """A record that cannot be written is said so."""
    with small_disk(built.root / ".tinyship", "16k"):
        (built.root / ".tinyship" / ".gitignore").write_text("*\n")
        with suppress(OSError), (built.root / ".tinyship" / "filler").open("wb", buffering=0) as filler:
            while filler.write(b"0" * 4096):
                pass
        failed = built.invoke("release", "--only", code=1)
        _failed(failed, ".tinyship", "No space left on device")
        assert not (built.root / ".tinyship" / "release.json").exists()
        assert list((built.root / ".tinyship").glob("release.json.*")) == []


def test_read_only_record(built: Ship) -> None:
    """A folder that is read-only is named, and the record that was there stays."""
    state = built.root / ".tinyship"
    with small_disk(state, "1m"):
        built.invoke("release", "--only")
        before = built.record
        subprocess.run(["mount", "-o", "remount,ro", state], check=True)
        (built.root / "src" / "main.txt").write_text("changed\n")
        failed = built.invoke("release", "--only", code=1)
        assert built.record == before
    _failed(failed, ".tinyship", "Read-only file system")


def test_read_only_artifact(built: Ship) -> None:
    """A project that is read-only: no artifact is replaced, and that is said."""
    with small_disk(built.root / ".tinyship", "1m"):
        subprocess.run(["mount", "-o", "remount,ro", built.root / ".tinyship"], check=True)
        before = (built.root / "bin" / "foo").read_text()
        failed = built.invoke("build", code=1)
        assert (built.root / "bin" / "foo").read_text() == before
    _failed(failed, ".tinyship", "Read-only file system")


def test_artifact_on_another_disk(built: Ship, engine: Engine) -> None:
    """Where `.tinyship` and the artifact lie on two disks, the artifact is replaced all the same."""
    (built.root / "src" / "main.txt").write_text("changed\n")
    with small_disk(built.root / ".tinyship", "1m"):
        built.invoke("build")
        _nothing_incoming(built)
    assert "1.0.0-dirty" in (built.root / "bin" / "foo").read_text()
    assert sorted(path.name for path in (built.root / "bin").iterdir()) == ["foo"]
    _no_containers(built, engine)


# --- The build container -----------------------------------------------------------------------------------------


def _type(ship: Ship, keys: bytes, **variables: str) -> tuple[int, str, bool]:
    """Run build.shell on a terminal of its own and type; returns exit code, screen, and whether it was restored."""
    master, slave = pty.openpty()
    try:
        before = termios.tcgetattr(slave)
        process = subprocess.Popen(
            [sys.executable, "-m", "invoke", "build.shell"],
            cwd=ship.root,
            env={**ship.environment, **variables},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        screen, typed, end = b"", False, time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            if select.select([master], [], [], 0.1)[0]:
                screen += os.read(master, 4096)
            if not typed and (b"# " in screen or b"$ " in screen):
                os.write(master, keys)
                typed = True
        process.kill()
        code = process.wait()
        while select.select([master], [], [], 0.1)[0]:
            screen += os.read(master, 4096)
        return code, screen.decode(errors="replace"), termios.tcgetattr(slave) == before
    finally:
        os.close(master)
        os.close(slave)


def test_shell(built: Ship, engine: Engine) -> None:
    """A shell shows what it is told, its exit code is the task's, and the terminal is as before."""
    code, screen, restored = _type(built, b"echo h''i; test -f src/main.txt && echo sou''rce; exit 3\r")
    assert "\nhi\r" in screen, screen
    assert "\nsource\r" in screen, screen
    assert code == 3
    assert restored
    assert "Traceback" not in screen
    _no_containers(built, engine)


def test_shell_gets_ctrl_c(built: Ship, engine: Engine) -> None:
    """Ctrl-C belongs to the shell: it ends what runs there, not the task."""
    code, screen, restored = _type(built, b"\x03echo still''here; exit 4\r")
    assert "\nstillhere\r" in screen, screen
    assert code == 4
    assert restored
    _no_containers(built, engine)


def test_shell_that_is_missing(built: Ship, engine: Engine) -> None:
    """A shell that the image does not have names the setting."""
    code, screen, restored = _type(built, b"", TINYSHIP_BUILD_SHELL="/bin/no-such-shell")
    assert code == 1
    assert restored
    assert "error: " in screen
    assert "`build.shell`" in screen
    assert "Traceback" not in screen
    _no_containers(built, engine)


def test_shell_without_a_terminal(built: Ship, engine: Engine) -> None:
    """In a pipe there is no shell, and another task is offered."""
    _failed(built.invoke("build.shell", code=1), "needs a terminal", "build.test")
    _no_containers(built, engine)


@pytest.mark.parametrize("user", ["ship", "1234:2345", "1234"])
def test_user_of_the_build_image(ship: Ship, user: str) -> None:
    """The source belongs to the image's user, who can compile in it; the artifact is ours."""
    (ship.root / "Dockerfile.build").write_text(
        f'FROM {ship.base}\nWORKDIR /home/ship/src\nUSER {user}\nCMD ["sh", "compile.sh"]\n'
    )
    (ship.root / "compile.sh").write_text(
        f"{COMPILE}id -u\n: > new\n: >> src/main.txt\nls -nd . src src/main.txt bin/foo\n"
    )
    done = ship.invoke("build")
    lines = [line.split() for line in done.err.splitlines() if " 1234 " in line]
    assert len(lines) == 4, done.err
    if user != "1234":
        assert all("2345" in line for line in lines), done.err
    assert (ship.root / "bin" / "foo").stat().st_uid == os.getuid()


def test_folders_above_the_workdir_stay(ship: Ship) -> None:
    """Only the working directory becomes the user's; what is above it keeps owner and mode."""
    (ship.root / "Dockerfile.build").write_text(
        f'FROM {ship.base}\nWORKDIR /tmp/src\nUSER ship\nCMD ["sh", "compile.sh"]\n'
    )
    (ship.root / "compile.sh").write_text(f"{COMPILE}ls -nd /tmp /tmp/src\n")
    err = ship.invoke("build").err
    above = next(line for line in err.splitlines() if line.endswith(" /tmp"))
    assert "drwxrwxrwt" in above, err
    assert " 1234 " not in above, err


def test_folder_is_replaced_whole(ship: Ship) -> None:
    """A folder comes with its links, modes and any names, and nothing of the one before it stays."""
    ship.configure(build={"artifacts": ["out"]})
    (ship.root / "compile.sh").write_text("mkdir -p out/old\n: > out/old/file\n")
    ship.invoke("build")
    first = (ship.root / "out").stat().st_ino
    (ship.root / "out" / "mine").write_text("left by someone\n")
    names = ["größe.txt", "日本語/файл", "with space", "-dash"]
    (ship.root / "compile.sh").write_text(
        "set -e\nmkdir -p out/日本語 out/empty\n"
        + "".join(f"echo '{name}' > 'out/{name}'\n" for name in names)
        + "ln -s größe.txt out/link\nchmod 750 out/empty\nchmod 400 out/größe.txt\nln out/größe.txt out/hard\n"
    )
    ship.invoke("build")
    out = ship.root / "out"
    found = {path.relative_to(out).as_posix() for path in out.rglob("*")}
    assert found == {*names, "日本語", "empty", "link", "hard"}
    for name in names:
        assert (out / name).read_text() == f"{name}\n"
    assert (out / "link").readlink() == Path("größe.txt")
    assert (out / "hard").read_text() == "größe.txt\n"
    assert (out / "empty").stat().st_mode & 0o777 == 0o750
    assert (out / "größe.txt").stat().st_mode & 0o777 == 0o400
    assert out.stat().st_ino != first
    _nothing_incoming(ship)


def test_name_that_is_no_text(ship: Ship) -> None:
    """A file name may be any bytes."""
    ship.configure(build={"artifacts": ["out"]})
    (ship.root / "compile.sh").write_text("mkdir -p out\ncd out\n: > \"$(echo -e 'a\\xff')\"\n")
    ship.invoke("build")
    assert [os.fsencode(path.name) for path in (ship.root / "out").iterdir()] == [b"a\xff"]


def test_folder_there_is_never_half(ship: Ship) -> None:
    """While a folder is replaced it is, but for one moment, the old or the new one; never a mixture."""
    ship.configure(build={"artifacts": ["out"]})
    script = "mkdir -p out\ni=0; while test $i -lt 200; do echo {0} > out/$i; i=$((i + 1)); done\n"
    (ship.root / "compile.sh").write_text(script.replace("{0}", "old"))
    ship.invoke("build")
    (ship.root / "compile.sh").write_text(script.replace("{0}", "new"))
    seen: set[frozenset[str]] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            with suppress(OSError):
                folder = os.open(ship.root / "out", os.O_RDONLY)
                try:
                    names = os.listdir(folder)  # noqa: PTH208  of this folder, whatever its name is now
                    found = frozenset({str(len(names)), _content(folder, names[0]), _content(folder, names[-1])})
                    # Once another folder has the name, this one is being removed.
                    if os.path.samestat(os.fstat(folder), (ship.root / "out").stat()):
                        seen.add(found)
                finally:
                    os.close(folder)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        ship.invoke("build")
    finally:
        done.set()
        watcher.join()
    assert seen
    assert seen <= {frozenset({"200", "old"}), frozenset({"200", "new"})}
    assert (ship.root / "out" / "0").read_text() == "new\n"


def _content(folder: int, name: str) -> str:
    file = os.open(name, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(file, 100).decode().strip()
    finally:
        os.close(file)


# --- The smoke test ----------------------------------------------------------------------------------------------


def _with_healthcheck(ship: Ship, check: str) -> None:
    (ship.root / "Dockerfile").write_text(
        f"FROM {ship.base}\nCOPY bin/foo /bin/foo\n"
        f"HEALTHCHECK --interval=1s --retries=1 CMD {check}\nCMD echo at work; sleep 60\n"
    )
    ship.commit("a health check")


def test_smoke_with_a_healthcheck(ship: Ship, engine: Engine) -> None:
    """The image's own HEALTHCHECK says that it works."""
    _with_healthcheck(ship, "test -x /bin/foo")
    ship.invoke("release")
    assert "works" in ship.invoke("release.smoke").out
    assert ship.record["smoke"] is True
    _no_containers(ship, engine)


def test_smoke_with_a_healthcheck_that_fails(ship: Ship, engine: Engine) -> None:
    """An unhealthy image is an error that shows what it wrote."""
    _with_healthcheck(ship, "false")
    ship.invoke("release")
    _failed(ship.invoke("release.smoke", code=1), "health check", "  | at work", "invoke release.run")
    assert ship.record["smoke"] is False
    _no_containers(ship, engine)


def test_smoke_that_never_passes(ship: Ship, engine: Engine) -> None:
    """A check that does not pass in time is given up."""
    ship.configure(release={"run": {"command": ["sleep", "60"]}, "smoke": {"command": ["false"], "timeout": 1}})
    ship.invoke("release")
    _failed(ship.invoke("release.smoke", code=1), "did not pass within 1 s", "`false`")
    assert ship.record["smoke"] is False
    _no_containers(ship, engine)
