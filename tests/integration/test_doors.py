"""The ways to BuildKit: a buildkitd behind TCP and TLS, a unix socket, an engine behind TLS, one without upgrades."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
import trustme
from listeners import listening, to_buildkit, to_engine
from paramiko.common import AUTH_SUCCESSFUL, OPEN_SUCCEEDED

from tinyship.context.source import Context
from tinyship.engine import builder, images
from tinyship.engine.buildkit import door
from tinyship.engine.buildkit.pipe import Pipe, connection, through
from tinyship.engine.buildkit.solve import BuildKitBuilder
from tinyship.engine.connect import Engine, connect
from tinyship.engine.request import BuildRequest, Secret, Tls
from tinyship.errors import ConfigError, EngineError
from tinyship.events import ignore

pytestmark = [pytest.mark.engine, pytest.mark.needs("buildkit")]


@pytest.fixture
def asked(tmp_path: Path, namespace: str) -> BuildRequest:
    """A build of a small context."""
    (tmp_path / "a.txt").write_text(namespace)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY a.txt /\n")
    return BuildRequest(context=Context.open(tmp_path, tmp_path / "Dockerfile"), tags=(f"{namespace}/door:1",))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whom both sides of a TLS connection trust."""
    return trustme.CA()


@pytest.fixture
def certificates(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """The client's certificates, in files."""
    folder = tmp_path_factory.mktemp("certificates")
    ours = authority.issue_cert("client.example.com")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    ours.private_key_pem.write_to_path(str(folder / "key.pem"))
    ours.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    return Tls(ca=folder / "ca.pem", cert=folder / "cert.pem", key=folder / "key.pem")


def server_side(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """A server that wants to know its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert(name).configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_over_tcp(engine: Engine, asked: BuildRequest) -> None:
    """BuildKit's real API behind a plain TCP listener: the session is one of its calls."""
    with listening(to_buildkit(engine)) as port:
        way = door.of_daemon(f"tcp://127.0.0.1:{port}")
        result = BuildKitBuilder(engine, way).build(asked, ignore)
    found = images.find(engine, asked.tags[0])
    assert found
    assert found.id == result.image_id


@pytest.mark.needs("containerd")
def test_image_comes_back(engine: Engine, asked: BuildRequest) -> None:
    """What a buildkitd built is loaded into the engine, under all its names."""
    tags = (asked.tags[0], f"{asked.tags[0]}-too")
    request = BuildRequest(context=asked.context, tags=tags, labels={"a": "b"})
    with listening(to_buildkit(engine)) as port:
        chosen = builder.choose(engine, f"tcp://127.0.0.1:{port}")
        result = chosen.build(request, ignore)
    found = images.find(engine, tags[1])
    assert found
    assert (found.id, found.labels["a"]) == (result.image_id, "b")


@pytest.mark.needs("containerd")
def test_large_image_comes_back_in_little_memory(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """300 MB pass through, and are not held."""
    block = os.urandom(1 << 20)
    with (tmp_path / "large").open("wb") as file:
        for _ in range(300):
            file.write(block)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY large /\n")
    asked = BuildRequest(context=Context.open(tmp_path, tmp_path / "Dockerfile"), tags=(f"{namespace}/large:1",))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with listening(to_buildkit(engine)) as port:
        builder.choose(engine, f"tcp://127.0.0.1:{port}").build(asked, ignore)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000


def test_over_mutual_tls(engine: Engine, asked: BuildRequest, authority: trustme.CA, certificates: Tls) -> None:
    """A buildkitd that wants to know its clients; files go over it in both directions at once."""
    (asked.context.root / "large").write_bytes(os.urandom(20_000_000))
    (asked.context.root / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    with listening(to_buildkit(engine), server_side(authority)) as port:
        BuildKitBuilder(engine, door.of_daemon(f"tcp://127.0.0.1:{port}", certificates)).build(asked, ignore)
        with pytest.raises(EngineError, match=r"TLS|connection"):
            BuildKitBuilder(engine, door.of_daemon(f"tcp://127.0.0.1:{port}", Tls(ca=certificates.ca))).build(
                asked, ignore
            )
    assert images.find(engine, asked.tags[0])


def test_server_that_is_not_trusted(engine: Engine, asked: BuildRequest, authority: trustme.CA) -> None:
    """A certificate of another authority, or for another name, is an error that says so."""
    with listening(to_buildkit(engine), server_side(authority, "other.example.com")) as port:
        way = door.of_daemon(f"tcp://127.0.0.1:{port}", Tls())
        with pytest.raises(EngineError, match="certificate verify failed") as caught:
            BuildKitBuilder(engine, way).build(asked, ignore)
    assert "builder_tls" in caught.value.hint


def test_name_in_the_certificate(engine: Engine, asked: BuildRequest, authority: trustme.CA, certificates: Tls) -> None:
    """`server_name` is what the certificate is for, where that is not the address."""
    named = Tls(certificates.ca, certificates.cert, certificates.key, "build.example.com")
    with listening(to_buildkit(engine), server_side(authority, "build.example.com")) as port:
        BuildKitBuilder(engine, door.of_daemon(f"tcp://127.0.0.1:{port}", named)).build(asked, ignore)


def test_certificates_that_are_not_there(engine: Engine, asked: BuildRequest, tmp_path: Path) -> None:
    """A missing certificate is a wrong setting."""
    with listening(to_buildkit(engine)) as port:
        way = door.of_daemon(f"tcp://127.0.0.1:{port}", Tls(ca=tmp_path / "none.pem"))
        with pytest.raises(ConfigError, match="cannot be used"):
            BuildKitBuilder(engine, way).build(asked, ignore)


@pytest.mark.parametrize(
    "address",
    ["tcp://", "tcp://host", "tcp://host:port", "tcp://:1", "unix://x", "http://h:1", "x://y", "tcp://h:99999"],
)
def test_addresses_that_are_none(address: str) -> None:
    """What is no address of a buildkitd is a wrong setting."""
    with pytest.raises(ConfigError, match="no address"):
        door.of_daemon(address)


def test_nobody_there(engine: Engine, tmp_path: Path) -> None:
    """Where nothing listens, the error names the address."""
    for address in ("tcp://127.0.0.1:1", f"unix://{tmp_path}/none.sock"):
        with pytest.raises(EngineError, match="no buildkitd at"):
            door.of_daemon(address).control()


def test_over_a_unix_socket(engine: Engine, asked: BuildRequest, tmp_path: Path) -> None:
    """A buildkitd at a unix socket."""
    path = tmp_path / "b.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        stop = threading.Thread(target=_splice_one, args=(server, through(engine)("/grpc")), daemon=True)
        stop.start()
        BuildKitBuilder(engine, door.of_daemon(f"unix://{path}")).build(asked, ignore)
    assert images.find(engine, asked.tags[0])


def _splice_one(server: socket.socket, far: Pipe) -> None:
    from listeners import _carry

    near, _ = server.accept()
    _carry(near, lambda _: far, None, [])


def test_secrets_through_a_daemon(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """The session's other services work inside of the call too."""
    (tmp_path / "Dockerfile").write_text(
        f'FROM {busybox}\nRUN --mount=type=secret,id=s test "$(cat /run/secrets/s)" = word-{namespace}\n'
    )
    (tmp_path / "s").write_text(f"word-{namespace}")
    asked = BuildRequest(
        context=Context.open(tmp_path, tmp_path / "Dockerfile"),
        tags=(f"{namespace}/door:2",),
        secrets={"s": Secret(file=tmp_path / "s")},
    )
    with listening(to_buildkit(engine)) as port:
        BuildKitBuilder(engine, door.of_daemon(f"tcp://127.0.0.1:{port}")).build(asked, ignore)


@pytest.fixture
def over_tls(
    engine: Engine, authority: trustme.CA, certificates: Tls, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    """The engine, as docker-py reaches it by TCP and TLS."""
    with listening(to_engine(engine), server_side(authority)) as port:
        assert certificates.ca
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)  # which would win over docker-py's own setting
        monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates.ca.parent))
        found = connect()
        yield found
        found.close()


def test_engine_behind_tls(over_tls: Engine, asked: BuildRequest) -> None:
    """docker-py's own TLS connections carry BuildKit, in both directions at once."""
    (asked.context.root / "large").write_bytes(os.urandom(20_000_000))
    (asked.context.root / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    BuildKitBuilder(over_tls).build(asked, ignore)
    assert images.find(over_tls, asked.tags[0])


def test_engine_behind_tcp(engine: Engine, asked: BuildRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does plain TCP."""
    with listening(to_engine(engine)) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        with contextlib.closing(connect()) as found:
            BuildKitBuilder(found).build(asked, ignore)


def test_engine_without_upgrades(engine: Engine, asked: BuildRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the engine itself speaks gRPC, as newer ones do, nothing has to be upgraded."""

    def way(near: socket.socket) -> Pipe:
        near.settimeout(20)
        first = near.recv(4, socket.MSG_PEEK)
        near.settimeout(None)
        if first == b"PRI ":
            return through(engine)("/grpc")
        if first == b"POST" and b"/grpc" in near.recv(20, socket.MSG_PEEK):
            near.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            raise OSError("gone")
        return to_engine(engine)(near)

    with listening(way) as port:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{port}")
        with contextlib.closing(connect()) as found:
            chosen = builder.choose(found, "auto")
            assert chosen.name == "buildkit"
            chosen.build(asked, ignore)
    assert images.find(engine, asked.tags[0])


class _SshServer(paramiko.ServerInterface):
    """Lets one key in, and runs one command: the engine's socket on its standard input and output."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        assert command == b"docker system dial-stdio"
        far: Any = connection(self.engine)
        for source, target in ((channel, far), (far, channel)):
            threading.Thread(target=_carry_one_way, args=(source, target), daemon=True).start()
        return True


def _carry_one_way(source: Any, target: Any) -> None:
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException), source, target:
        while data := source.recv(1 << 16):
            target.sendall(data)


def test_engine_behind_ssh(
    engine: Engine, asked: BuildRequest, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docker-py's own SSH connections carry BuildKit too."""
    folder = environment / ".ssh"
    folder.mkdir(exist_ok=True)
    host_key = paramiko.RSAKey.generate(2048)
    paramiko.RSAKey.generate(2048).write_private_key_file(str(folder / "id_rsa"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} ssh-rsa {host_key.get_base64()}\n")

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    transport = paramiko.Transport(server.accept()[0])
                    transport.add_server_key(host_key)
                    transport.start_server(server=_SshServer(engine))

        threading.Thread(target=accept, daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"ssh://someone@127.0.0.1:{port}")
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        with contextlib.closing(connect()) as found:
            BuildKitBuilder(found).build(asked, ignore)
    assert images.find(engine, asked.tags[0])
