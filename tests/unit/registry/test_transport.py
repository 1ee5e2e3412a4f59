"""The ways to registries: a CA of one's own, proxies and what needs none, plain HTTP where it is allowed."""

from __future__ import annotations

import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from forwarder import Forwarder, forwarding
from registries import OCI, Answer, Answers, Asked, Server, greeting, serving

from tinyship.credentials import Credential
from tinyship.errors import RegistryError
from tinyship.registry.client import Repository
from tinyship.registry.retry import Patience
from tinyship.registry.transport import Network, passes_by

RAW = b"{}"
SECRET = "s3cret-word"
CAPTAIN = Credential("captain", SECRET, identity_token=False, source="a file")

Start = Callable[..., Server]


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all names below `.test` lead to this machine, and the environment say nothing of proxies."""
    real: Callable[..., Any] = socket.getaddrinfo

    def here(host: Any, *args: Any, **more: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".test") else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    for name in ("https_proxy", "http_proxy", "all_proxy", "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that no system knows."""
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> str:
    """Its certificate, in a file."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def start(authority: trustme.CA) -> Iterator[Start]:
    """Starts servers that speak TLS under a name of their own."""
    with ExitStack() as running:

        def one(name: str, answers: Answers = lambda _: Answer(200, {"Content-Type": OCI}, RAW)) -> Server:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(name).configure_cert(tls)
            return running.enter_context(serving(answers, name=name, tls=tls))

        yield one


@pytest.fixture
def proxy() -> Iterator[Forwarder]:
    """A proxy that nothing was asked of yet."""
    with forwarding() as found:
        yield found


def raw(host: str, network: Network, credential: Credential | None = None) -> bytes:
    """The manifest of `foo:1.0`, asked for by this way."""
    more: dict[str, Any] = {"credential": credential, "timeout": 5, "patience": Patience(tries=1)}
    with Repository(f"{host}/foo", network=network, **more) as repository:
        return repository.manifest("1.0").raw


# --- Certificates ------------------------------------------------------------------------------------------------


def test_ca_of_ones_own(start: Start, ca: str) -> None:
    """It is trusted where it is named, and not elsewhere; the error says how."""
    registry = start("registry.test")
    assert raw(registry.host, Network(ca=ca)) == RAW
    with pytest.raises(RegistryError, match="is not trusted") as caught:
        raw(registry.host, Network())
    assert "`ca`" in str(caught.value)


def test_ca_beside_that_of_the_environment(
    start: Start, ca: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE goes on being trusted, alone and with `ca`: each knows one of two authorities."""
    other = trustme.CA()
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.issue_cert("other.test").configure_cert(tls)
    mine = start("registry.test")
    with serving(lambda _: Answer(200, {"Content-Type": OCI}, RAW), name="other.test", tls=tls) as theirs:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "other.pem"))
        assert raw(theirs.host, Network()) == RAW
        assert raw(theirs.host, Network(ca=ca)) == RAW
        assert raw(mine.host, Network(ca=ca)) == RAW


@pytest.mark.parametrize("content", [None, b"no certificate\n"])
def test_ca_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    """A file that is away, or holds no certificate, is named before anything is asked."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(RegistryError, match=r"the certificates in .*ca\.pem cannot be read"):
        raw("registry.test:1", Network(ca=str(file)))


def test_bundle_of_the_environment_that_is_away(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is named, and nothing is tried again."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "away.pem"))
    with pytest.raises(RegistryError, match="REQUESTS_CA_BUNDLE") as caught:
        raw(start("registry.test").host, Network())
    assert not caught.value.temporary


def test_ca_through_a_proxy(start: Start, ca: str, proxy: Forwarder) -> None:
    """The proxy only carries what is encrypted: the certificate is the registry's."""
    registry = start("registry.test")
    assert raw(registry.host, Network(ca=ca, proxy=f"http://{proxy.host}")) == RAW
    with pytest.raises(RegistryError, match="is not trusted"):
        raw(registry.host, Network(proxy=f"http://{proxy.host}"))
    assert proxy.asked == [("CONNECT", registry.host)] * 2


# --- Proxies -----------------------------------------------------------------------------------------------------


def test_proxy_with_a_password(start: Start, ca: str, proxy: Forwarder) -> None:
    """The proxy gets its password, the registry does not, and ours goes to the registry alone."""
    registry = start("registry.test")
    raw(registry.host, Network(ca=ca, proxy=f"http://mate:{SECRET}@{proxy.host}"))
    assert proxy.authorized == [f"Basic {b64encode(f'mate:{SECRET}'.encode()).decode()}"]
    assert not any("proxy" in name.lower() for name in registry.asked[0].headers)


def test_proxy_that_is_away_tells_no_password(ca: str) -> None:
    """The error says which setting names it, and not what is in it; nothing is tried again."""
    network = Network(ca=ca, proxy=f"http://mate:{SECRET}@127.0.0.1:1")
    with pytest.raises(RegistryError, match=r"the proxy on the way to registry\.test") as caught:
        raw("registry.test:1", network)
    assert "`proxy`" in str(caught.value)
    assert not caught.value.temporary
    told: BaseException | None = caught.value
    while told:
        assert SECRET not in repr(told)
        told = told.__cause__ or told.__context__
    assert SECRET not in repr(network)


@pytest.mark.parametrize(("status", "temporary"), [("503", True), ("502", True), ("403", False), ("407", False)])
def test_proxy_that_refuses(status: str, temporary: bool) -> None:
    """What it answers is told, and what may be over in a moment is tried again."""
    with (
        greeting(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()) as proxy,
        pytest.raises(RegistryError, match=rf"does not work \(status {status}\)") as caught,
    ):
        raw("registry.test:1", Network(proxy=f"http://{proxy}"))
    assert caught.value.temporary is temporary


def test_proxy_that_hangs_up() -> None:
    """It may have been restarted: that is tried again."""
    with greeting(b"") as proxy, pytest.raises(RegistryError, match=r"registry\.test:1") as caught:
        raw("registry.test:1", Network(proxy=f"http://{proxy}"))
    assert caught.value.temporary


def test_setting_before_the_environment(
    start: Start, ca: str, proxy: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the two settings stands in place of its variable; without them the variables hold."""
    registry = start("registry.test")
    with forwarding() as other:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{other.host}")
        raw(registry.host, Network(ca=ca))
        assert len(other.asked) == 1
        raw(registry.host, Network(ca=ca, proxy=f"http://{proxy.host}"))
        assert (len(other.asked), len(proxy.asked)) == (1, 1)
        monkeypatch.setenv("NO_PROXY", ".test")
        raw(registry.host, Network(ca=ca))
        raw(registry.host, Network(ca=ca, proxy=f"http://{proxy.host}"))
        assert (len(other.asked), len(proxy.asked)) == (1, 1)
        raw(registry.host, Network(ca=ca, no_proxy=("registry.example.com",)))
        assert (len(other.asked), len(proxy.asked)) == (2, 1)
        monkeypatch.delenv("NO_PROXY")
        raw(registry.host, Network(ca=ca, no_proxy=("registry.test",)))
        assert (len(other.asked), len(proxy.asked)) == (2, 1)


def test_each_address_has_its_own_way(start: Start, ca: str, proxy: Forwarder) -> None:
    """A registry that needs no proxy leads to a store that does, and the other way round."""
    store = start("store.test")

    def leads(asked: Asked) -> Answer:
        return Answer(307, {"Location": f"https://{store.host}{asked.path}"})

    registry = start("registry.test", leads)
    assert raw(registry.host, Network(ca=ca, proxy=f"http://{proxy.host}", no_proxy=("registry.test",))) == RAW
    assert proxy.asked == [("CONNECT", store.host)]
    assert raw(registry.host, Network(ca=ca, proxy=f"http://{proxy.host}", no_proxy=("store.test",))) == RAW
    assert proxy.asked[1:] == [("CONNECT", registry.host)]


def test_this_machine_needs_no_proxy(proxy: Forwarder) -> None:
    """Loopback addresses are asked directly, whatever the setting says."""
    with serving(lambda _: Answer(200, {"Content-Type": OCI}, RAW)) as registry:
        assert raw(registry.host, Network(proxy=f"http://{proxy.host}")) == RAW
    assert proxy.asked == []


@pytest.mark.parametrize(
    ("host", "entries", "direct"),
    [
        ("registry.example.com", ["example.com"], True),
        ("registry.example.com:5000", [".example.com"], True),
        ("registry.example.com", ["*.example.com"], True),
        ("registry.example.com", [" Registry.Example.com "], True),
        ("registry.example.com:5000", ["registry.example.com:5000"], True),
        ("registry.example.com:5001", ["registry.example.com:5000"], False),
        ("notexample.com", ["example.com"], False),
        ("example.com", ["registry.example.com"], False),
        ("10.1.2.3:5000", ["10.0.0.0/8"], True),
        ("11.1.2.3", ["10.0.0.0/8"], False),
        ("10.1.2.3", ["10.1.2.3"], True),
        ("[fd00::1]:5000", ["fd00::/8"], True),
        ("[fd00::1]:5000", ["fd00::1"], True),
        ("registry.example.com", ["10.0.0.0/8", "not/a/network", ""], False),
        ("anything.example.com", ["*"], True),
        ("anything.example.com", [], False),
    ],
)
def test_what_needs_no_proxy(host: str, entries: list[str], direct: bool) -> None:
    """Hosts with all below them, ports, addresses and networks."""
    assert passes_by(host, entries) is direct


# --- Plain HTTP --------------------------------------------------------------------------------------------------


def test_insecure(proxy: Forwarder) -> None:
    """A host that the setting names is spoken with in plain HTTP, by a proxy as well, and is told who we are."""

    def answers(asked: Asked) -> Answer:
        if "Authorization" not in asked.headers:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="x"'})
        return Answer(200, {"Content-Type": OCI}, RAW)

    with serving(answers, name="registry.test") as registry:
        network = Network(insecure=(registry.host.upper(),))
        assert raw(registry.host, network, CAPTAIN) == RAW
        assert raw(registry.host, Network(insecure=(registry.host,), proxy=f"http://{proxy.host}"), CAPTAIN) == RAW
        assert ("GET", f"http://{registry.host}/v2/foo/manifests/1.0") in proxy.asked
        with pytest.raises(RegistryError, match="does not speak TLS"):
            raw(registry.host, Network(insecure=("other.test",)), CAPTAIN)


def test_insecure_leads_nowhere_else() -> None:
    """Plain HTTP is followed to no host that the registry names."""
    with serving(lambda _: Answer(200, {}, RAW), name="store.test") as store:
        leads = Answer(307, {"Location": f"http://{store.host}/"})
        with (
            serving(lambda _: leads, name="registry.test") as registry,
            pytest.raises(RegistryError, match="not followed"),
        ):
            raw(registry.host, Network(insecure=(registry.host,)))
        assert store.asked == []


def test_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network nothing is tried again: it fails at once."""

    def unreachable(*_: Any, **__: Any) -> Any:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    with pytest.raises(RegistryError, match="there is no way to") as caught:
        raw("registry.test:1", Network())
    assert not caught.value.temporary
