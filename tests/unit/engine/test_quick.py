"""Small questions to an engine: asked quickly where that is simple, and otherwise in the usual way."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinyship.engine import images, quick
from tinyship.engine.connect import Engine
from tinyship.errors import EngineError

VERSION = b'{"ApiVersion": "1.41"}'


def answer(body: bytes, status: str = "200 OK", length: int | None = None) -> bytes:
    """A whole answer."""
    head = f"HTTP/1.0 {status}\r\nContent-Length: {len(body) if length is None else length}\r\n\r\n"
    return head.encode() + body


class Server:
    """Answers whatever is asked by path, at a unix socket."""

    def __init__(self, path: Path) -> None:
        self.answers: dict[str, bytes] = {"/version": answer(VERSION)}
        self.asked: list[str] = []
        self.methods: list[str] = []
        self.path = path
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                method, asked = connection.recv(1 << 16).decode().split(" ")[:2]
                self.methods.append(method)
                self.asked.append(asked)
                connection.sendall(self.answers.get(asked, answer(b"{}", "404 Not Found")))


@pytest.fixture
def server() -> Iterator[Server]:
    """One that knows no image."""
    with tempfile.TemporaryDirectory() as folder:  # whose name is short enough for a socket
        made = Server(Path(folder, "engine.sock"))
        yield made
        made.close()


def client(server: Server) -> quick.Client:
    """A client of it, whose docker-py is a word."""
    return quick.connect(f"unix://{server.path}", 10, lambda version: version)


def test_an_image(server: Server) -> None:
    """What the engine says is what comes out; None where it has none."""
    found = client(server)
    assert found.api_version == "1.41"
    server.answers["/v1.41/images/a/b:1/json"] = answer(b'{"Id": "sha256:1"}')
    assert found.inspect_image("a/b:1") == {"Id": "sha256:1"}
    assert found.inspect_image("a/b:2") is None
    assert server.asked == ["/version", "/v1.41/images/a/b:1/json", "/v1.41/images/a/b:2/json"]


def test_other_questions(server: Server) -> None:
    """What the API answers, with what is asked beside; and what comes with the answer to a ping."""
    found = client(server)
    server.answers["/v1.41/containers/json?all=1"] = answer(b"[1]")
    assert found.get("/containers/json", {"all": "1"}) == [1]
    with pytest.raises(quick.Unanswered):
        found.get("/info")
    server.answers["/_ping"] = b"HTTP/1.0 200 OK\r\nOstype: linux\r\nLibpod-API-Version: 4.3.1\r\n\r\nOK"
    assert found.headers() == {"ostype": "linux", "libpod-api-version": "4.3.1"}


def test_a_removal(server: Server) -> None:
    """What is gone is told; an engine that refuses is asked in the usual way; a lost answer is told from no answer."""
    found = client(server)
    server.answers["/v1.41/images/a:1"] = answer(b'[{"Untagged": "a:1"}]')
    assert found.remove_image("a:1") == [{"Untagged": "a:1"}]
    assert server.methods[-1] == "DELETE"
    assert found.remove_image("a:2") is None
    server.answers["/v1.41/images/a:1"] = answer(b'{"message": "a container uses it"}', "409 Conflict")
    with pytest.raises(quick.Unanswered) as refused:
        found.remove_image("a:1")
    assert not isinstance(refused.value, quick.Lost)
    server.answers["/v1.41/images/a:1"] = answer(b"[", length=20)
    with pytest.raises(quick.Lost):
        found.remove_image("a:1")
    with pytest.raises(quick.Unanswered):
        found.remove_image("")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.0 200 OK",
        b"nothing of the kind\r\n\r\n",
        answer(b'{"Id": "sha', length=100),
        answer(b"{}", "500 Internal Server Error"),
        answer(b"[]"),
        answer(b"no JSON"),
    ],
)
def test_what_is_no_answer(server: Server, said: bytes) -> None:
    """Errors and damage are left to the usual way."""
    found = client(server)
    server.answers["/v1.41/images/a/json"] = said
    with pytest.raises(quick.Unanswered):
        found.inspect_image("a")


def test_no_name(server: Server) -> None:
    """The engine would take a question without a name for another one."""
    with pytest.raises(quick.Unanswered):
        client(server).inspect_image("")


@pytest.mark.parametrize("version", [b"{}", b'{"ApiVersion": null}', b'{"ApiVersion": "new"}'])
def test_no_engine(server: Server, version: bytes) -> None:
    """What does not say its version is no engine."""
    server.answers["/version"] = answer(version)
    with pytest.raises(quick.Unanswered):
        client(server)


def test_nobody_there(tmp_path: Path) -> None:
    """Neither is a socket that is not there, or too long a path for one."""
    for path in [tmp_path / "none.sock", tmp_path / ("long" * 60)]:
        with pytest.raises(quick.Unanswered):
            quick.connect(f"unix://{path}", 10, lambda version: version)


def test_the_usual_way(server: Server) -> None:
    """docker-py's client is made once, for the version that is spoken, and only when something of it is asked for."""
    made: list[str] = []

    class Usual:
        """A client."""

        api = "its api"

        def close(self) -> None:
            """Be closed."""
            made.append("closed")

    def make(version: str) -> Usual:
        made.append(version)
        return Usual()

    found = quick.connect(f"unix://{server.path}", 10, make)
    found.close()
    assert made == []
    assert found.api == found.api == "its api"
    found.close()
    assert made == ["1.41", "closed"]


def test_images_are_found_in_either_way(server: Server) -> None:
    """Where the quick question has no answer, the usual way says what is wrong."""
    import docker

    def make(version: str) -> docker.DockerClient:
        return docker.DockerClient(base_url=f"unix://{server.path}", version=version)

    engine = Engine(quick.connect(f"unix://{server.path}", 10, make), "unix://", "the default", "1.41")  # type: ignore[arg-type]
    server.answers["/v1.41/images/a/json"] = answer(b'{"Id": "sha256:1", "RepoTags": ["docker.io/a/b:1"]}')
    image = images.find(engine, "a")
    assert image
    assert image.tags == ("a/b:1",)
    server.answers["/v1.41/images/a/json"] = answer(b'{"message": "the disk is full"}', "500 Internal Server Error")
    with pytest.raises(EngineError, match="looking at a: the disk is full"):
        images.find(engine, "a")
    engine.close()


@pytest.mark.parametrize(
    ("variables", "config", "expected"),
    [
        ({}, None, "unix:///var/run/docker.sock"),
        ({"DOCKER_HOST": "unix:///a.sock"}, None, "unix:///a.sock"),
        ({"DOCKER_HOST": "tcp://a:2375"}, None, ""),
        ({"DOCKER_HOST": "ssh://a"}, None, ""),
        ({"DOCKER_HOST": "unix:///a.sock", "DOCKER_TLS_VERIFY": "1"}, None, ""),
        ({"DOCKER_HOST": "unix:///a.sock", "DOCKER_CERT_PATH": "/a"}, None, ""),
        ({"DOCKER_CONTEXT": "other"}, None, ""),
        ({"DOCKER_CONTEXT": "default"}, None, "unix:///var/run/docker.sock"),
        ({}, {"currentContext": "other"}, ""),
        ({"DOCKER_CONTEXT": "default"}, {"currentContext": "other"}, "unix:///var/run/docker.sock"),
        ({}, {"currentContext": "default"}, "unix:///var/run/docker.sock"),
        ({}, {"auths": {}}, "unix:///var/run/docker.sock"),
        ({"DOCKER_HOST": "unix:///a.sock"}, {"currentContext": "other"}, "unix:///a.sock"),
        ({"DOCKER_HOST": "unix:///a.sock"}, {"HttpHeaders": {"X-Meta": "1"}}, ""),
        ({}, [], ""),
    ],
)
@pytest.mark.parametrize("place", ["config", "home"])
def test_where_it_is_simple(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    config: object,
    expected: str,
    place: str,
) -> None:
    """A unix socket that no context and no certificates lead away from."""
    for name in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONFIG"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if place == "config":
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    file = tmp_path / ("config" if place == "config" else ".docker") / "config.json"
    file.parent.mkdir()
    if config is not None:
        file.write_text(json.dumps(config))
    assert quick.address() == expected


def test_a_damaged_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docker-py says what it makes of it."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "unix:///a.sock")
    (tmp_path / "config.json").write_text("{")
    assert quick.address() == ""
