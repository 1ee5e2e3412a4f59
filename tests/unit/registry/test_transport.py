"""The way to a registry as the settings have it: certificates of one's own, proxies, plain HTTP on request."""

from __future__ import annotations

import socket
import ssl
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from registries import OCI, Answer, Answers, Asked, Server, digest_of, serving

from tinyship.credentials import Credential
from tinyship.errors import RegistryError
from tinyship.registry.client import Repository
from tinyship.registry.retry import Patience
from tinyship.registry.transport import DIRECT, Network, is_loopback

RAW = b"{}"
TOLD = {"Docker-Content-Digest": digest_of(RAW)}
CAPTAIN = Credential("captain", "s3cret-word", identity_token=False, source="a file")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all names below `.test` lead to this machine, and no proxy or certificate come from outside."""
    real: Callable[..., Any] = socket.getaddrinfo

    def here(host: Any, *args: Any, **more: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".test") else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    for name in (*_PROXIES, *map(str.lower, _PROXIES), "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority of these tests."""
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> str:
    """The file of its certificate."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[Server]:
    """A registry with a certificate of that authority."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("registry.test").configure_cert(tls)
    with serving(guarded, name="registry.test", tls=tls) as server:
        yield server


def guarded(asked: Asked) -> Answer:
    """A registry that wants a name and a password."""
    if "Authorization" not in asked.headers:
        return Answer(401, {"WWW-Authenticate": 'Basic realm="test"'})
    return Answer(201 if asked.method == "PUT" else 200, {"Content-Type": OCI, **TOLD}, RAW)


def read(host: str, network: Network) -> bytes:
    """A manifest of `foo`, asked for with a password."""
    once = Patience(tries=1)
    with Repository.open(f"{host}/foo", credential=CAPTAIN, timeout=5, network=network, patience=once) as repository:
        return repository.manifest("1.0").raw


@contextmanager
def proxying() -> Iterator[tuple[str, list[str]]]:
    """The address of a proxy that tunnels to names below `.test`, and where it was asked to."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def pump(one: socket.socket, other: socket.socket) -> None:
            try:
                while piece := one.recv(1 << 16):
                    other.sendall(piece)
            except OSError:
                pass
            finally:
                other.close()

        def tunnel(peer: socket.socket) -> None:
            head = b""
            while b"\r\n\r\n" not in head:
                head += peer.recv(1 << 16)
            method, where, _ = head.decode().split(" ", 2)
            asked.append(f"{method} {where}")
            there = socket.create_connection((where.partition(":")[0], int(where.partition(":")[2])))
            peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            threading.Thread(target=pump, args=(there, peer), daemon=True).start()
            pump(peer, there)

        def accept() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=tunnel, args=(peer,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        server.shutdown(socket.SHUT_RDWR)


# --- Connections -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [True, False])
def test_one_connection(secure: Server, ca: str, tls: bool) -> None:
    """All questions go over the one that is open, whatever they are answered with."""

    def answers(asked: Asked) -> Answer:
        return guarded(asked) if asked.method == "GET" else Answer({"HEAD": 404, "PUT": 201}.get(asked.method, 400))

    with serving(answers) as plain:
        server, network = (secure, Network(ca=ca)) if tls else (plain, DIRECT)
        with Repository.open(f"{server.host}/foo", credential=CAPTAIN, network=network) as repository:
            for _ in range(3):
                manifest = repository.manifest("1.0")
                repository.digest("1.0")
                repository.put(manifest, "1.0")
                if not tls:
                    with pytest.raises(RegistryError, match="status 400"):
                        repository.delete("1.0")
        assert len(server.asked) == (10 if tls else 13)
        assert server.connections == 1


# --- Certificates ------------------------------------------------------------------------------------------------


def test_certificates_of_ones_own(secure: Server, ca: str) -> None:
    """They are trusted where the settings name them, and only there."""
    assert read(secure.host, Network(ca=ca)) == RAW
    with pytest.raises(RegistryError, match="is not trusted"):
        read(secure.host, DIRECT)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    """The file is named, before anything is asked."""
    file = tmp_path / "mine.pem"
    if content:
        file.write_text(content)
    with pytest.raises(RegistryError, match=r"mine\.pem cannot be read") as caught:
        read("registry.test:1", Network(ca=str(file)))
    assert "PEM" in caught.value.hint


# --- Proxies -----------------------------------------------------------------------------------------------------


def test_proxy_of_the_settings(secure: Server, ca: str) -> None:
    """The way leads through it, with TLS from end to end: it sees a name, and no password."""
    with proxying() as (proxy, asked):
        assert read(secure.host, Network(ca=ca, proxy=proxy)) == RAW
    assert asked == [f"CONNECT {secure.host}"]


def test_proxy_of_the_environment(secure: Server, ca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting it is the environment's, which the setting takes the place of."""
    with proxying() as (one, one_asked), proxying() as (two, two_asked):
        monkeypatch.setenv("HTTPS_PROXY", one)
        assert read(secure.host, Network(ca=ca)) == RAW
        assert (len(one_asked), len(two_asked)) == (1, 0)
        assert read(secure.host, Network(ca=ca, proxy=two)) == RAW
        assert (len(one_asked), len(two_asked)) == (1, 1)


@pytest.mark.parametrize("name", ["registry.test", ".test", "other.example.com,registry.test"])
def test_hosts_that_need_no_proxy(secure: Server, ca: str, name: str) -> None:
    """Hosts and domains are told by their names."""
    with proxying() as (proxy, asked):
        assert read(secure.host, Network(ca=ca, proxy=proxy, no_proxy=tuple(name.split(",")))) == RAW
    assert asked == []


def test_other_hosts_that_need_no_proxy(secure: Server, ca: str) -> None:
    """What is said of others is not said of this one."""
    with proxying() as (proxy, asked):
        assert read(secure.host, Network(ca=ca, proxy=proxy, no_proxy=("other.test",))) == RAW
    assert len(asked) == 1


def test_no_proxy_to_this_machine() -> None:
    """What stays here goes through none, whatever the settings say."""
    with proxying() as (proxy, asked), serving(guarded) as registry:
        assert read(registry.host, Network(proxy=proxy)) == RAW
    assert asked == []


# --- Plain HTTP --------------------------------------------------------------------------------------------------


def test_plain_http_on_request() -> None:
    """A host that the settings name is asked so, and told who we are; its name has no case."""
    with serving(guarded, name="registry.test") as registry:
        with pytest.raises(RegistryError, match="does not speak TLS"):
            read(registry.host, DIRECT)
        assert registry.asked == []
        assert read(registry.host, Network(insecure=(registry.host.upper(),))) == RAW
        assert b64decode(registry.asked[-1].headers["Authorization"].partition(" ")[2]) == b"captain:s3cret-word"


def test_plain_http_with_nobody_else() -> None:
    """A request for one host is none for another one, nor for another port of it."""
    with serving(guarded, name="registry.test") as registry:
        for other in ("other.test", "registry.test:1", "registry.test"):
            with pytest.raises(RegistryError):
                read(registry.host, Network(insecure=(other,)))
        assert registry.asked == []


def redirecting(host: Callable[[], str]) -> Answers:
    """A registry whose blobs and manifests lie elsewhere."""
    return lambda _: Answer(307, {"Location": f"http://{host()}/x"})


def test_plain_http_is_not_led_elsewhere() -> None:
    """Nor to where such a registry leads."""
    with (
        serving(guarded, name="store.test") as store,
        serving(redirecting(lambda: store.host), name="registry.test") as registry,
    ):
        with pytest.raises(RegistryError, match="an address that is not followed"):
            read(registry.host, Network(insecure=(registry.host,)))
        assert store.asked == []


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("[::1]:5000", True),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com:5000", False),
        ("registry.example.com", False),
        ("10.0.0.1:5000", False),
    ],
)
def test_loopback(host: str, here: bool) -> None:
    """This machine by its names, and nobody who begins like it."""
    assert is_loopback(host) is here
