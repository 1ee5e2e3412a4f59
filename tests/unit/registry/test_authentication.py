"""Registries that want tokens, over TLS: who is told what, and what is said when they refuse."""

from __future__ import annotations

import json
import socket
import ssl
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme
from registries import OCI, Answer, Answers, Asked, Server, digest_of, greeting, serving

from tinyship.credentials import Credential
from tinyship.errors import RegistryError
from tinyship.registry import uploads
from tinyship.registry.client import Repository
from tinyship.registry.manifest import Manifest
from tinyship.registry.retry import Patience
from tinyship.registry.transport import Network

SECRET = "s3cret-word"
CAPTAIN = Credential("captain", SECRET, identity_token=False, source="a file")
IDENTITY = Credential("", SECRET, identity_token=True, source="credential helper test")
RAW = b"{}"
QUICK = Patience(tries=2, pause=0.01)

Start = Callable[..., Server]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that signs for the hosts of these tests."""
    return trustme.CA()


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all names below `.test` lead to this machine."""
    real: Callable[..., Any] = socket.getaddrinfo

    def here(host: Any, *args: Any, **more: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".test") else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust that authority, as a user does who has one."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))


@pytest.fixture
def start(authority: trustme.CA) -> Iterator[Start]:
    """Starts servers that speak TLS under a name of their own."""
    with ExitStack() as running:

        def one(name: str, answers: Answers, certified: str = "") -> Server:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(certified or name).configure_cert(tls)
            return running.enter_context(serving(answers, name=name, tls=tls))

        yield one


def manifest(registry: Server, credential: Credential | None) -> Manifest:
    """A manifest of `foo`."""
    with Repository(f"{registry.host}/foo", credential=credential, timeout=5, patience=QUICK) as repository:
        return repository.manifest("1.0")


def guarded(realm: Callable[[], str]) -> Answers:
    """A registry that takes the token `good` only."""

    def answers(asked: Asked) -> Answer:
        if asked.headers.get("Authorization") == "Bearer good":
            return Answer(200, {"Content-Type": OCI}, RAW)
        challenge = f'Bearer realm="{realm()}",service="registry.test",scope="repository:foo:pull"'
        return Answer(401, {"WWW-Authenticate": challenge})

    return answers


def pair(start: Start, token: Answers) -> tuple[Server, Server]:
    """A registry, and the service that makes its tokens."""
    service = start("auth.test", token)
    return start("registry.test", guarded(lambda: f"https://{service.host}/token")), service


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_token_for_a_password(trusted: None, start: Start, key: str) -> None:
    """The service gets the password, the registry the token; and one token does for many questions."""
    registry, service = pair(start, lambda _: Answer(200, {}, json.dumps({key: "good"}).encode()))
    with Repository(f"{registry.host}/foo", credential=CAPTAIN, timeout=5) as repository:
        assert repository.manifest("1.0").raw == RAW
        assert repository.manifest("1.1").raw == RAW
    (asked,) = service.asked
    scheme, _, sent = asked.headers["Authorization"].partition(" ")
    assert (scheme, b64decode(sent).decode()) == ("Basic", f"captain:{SECRET}")
    assert parse_qs(urlsplit(asked.path).query) == {"service": ["registry.test"], "scope": ["repository:foo:pull"]}
    assert [each.headers.get("Authorization") for each in registry.asked] == [None, "Bearer good", "Bearer good"]


def test_anonymous_token(trusted: None, start: Start) -> None:
    """Public images want a token as well, and no credentials for it."""
    registry, service = pair(start, lambda _: Answer(200, {}, b'{"token": "good"}'))
    assert manifest(registry, None).raw == RAW
    assert "Authorization" not in service.asked[0].headers


def test_netrc_is_of_other_programs(
    trusted: None, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `~/.netrc` has for these hosts is sent to neither of them."""
    (tmp_path / "netrc").write_text("default login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    registry, service = pair(start, lambda _: Answer(200, {}, b'{"token": "good"}'))
    assert manifest(registry, None).raw == RAW
    assert "Authorization" not in service.asked[0].headers


def test_identity_token(trusted: None, start: Start) -> None:
    """It is exchanged as OAuth has it, and is in no address and no header."""
    registry, service = pair(start, lambda _: Answer(200, {}, b'{"access_token": "good"}'))
    assert manifest(registry, IDENTITY).raw == RAW
    (asked,) = service.asked
    form = {name: value for name, (value,) in parse_qs(asked.body.decode()).items()}
    assert form.pop("client_id")
    assert form == {
        "grant_type": "refresh_token",
        "service": "registry.test",
        "scope": "repository:foo:pull",
        "refresh_token": SECRET,
    }
    assert asked.method == "POST"
    assert SECRET not in asked.path + repr(asked.headers)


@pytest.mark.parametrize("credential", [CAPTAIN, IDENTITY], ids=["password", "identity"])
def test_token_to_delete(trusted: None, start: Start, credential: Credential) -> None:
    """A registry wants leave to delete alone; leave to read is asked for with it, or each would cost the other one."""
    service = start("auth.test", lambda _: Answer(200, {}, b'{"token": "good"}'))

    def answers(asked: Asked) -> Answer:
        if asked.headers.get("Authorization") == "Bearer good":
            return Answer(202)
        scope = "repository:foo:delete"
        return Answer(401, {"WWW-Authenticate": f'Bearer realm="https://{service.host}/t",service="s",scope="{scope}"'})

    registry = start("registry.test", answers)
    with Repository(f"{registry.host}/foo", credential=credential, timeout=5, patience=QUICK) as repository:
        repository.delete("1.0")
    (asked,) = service.asked
    (scope,) = parse_qs(asked.body.decode() or urlsplit(asked.path).query)["scope"]
    kind, name, actions = scope.split(":")
    assert (kind, name, set(actions.split(","))) == ("repository", "foo", {"pull", "delete"})


def test_identity_token_stays_with_its_service(trusted: None, start: Start) -> None:
    """A service that leads elsewhere does not have it sent on."""
    other = start("other.test", lambda _: Answer(200, {}, b'{"access_token": "good"}'))
    registry, _ = pair(start, lambda _: Answer(307, {"Location": f"https://{other.host}/token"}))
    with pytest.raises(RegistryError):
        manifest(registry, IDENTITY)
    assert other.asked == []


def test_identity_token_is_not_sent_in_the_clear(trusted: None, start: Start) -> None:
    """Nor to a service that does not speak TLS."""
    with serving(lambda _: Answer(200, {}, b'{"access_token": "good"}')) as service:
        registry = start("registry.test", guarded(lambda: f"http://{service.host}/token"))
        with pytest.raises(RegistryError, match="plain HTTP, which others could read"):
            manifest(registry, IDENTITY)
        assert service.asked == []


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"", "refused to give a token"),
        (403, b"", "refused"),
        (400, b'{"error": "invalid_grant"}', "refused|status 400"),
        (429, b"", "status 429"),
        (500, b"", "status 500"),
        (200, b"hello", "cannot be understood"),
        (200, b"[]", "cannot be understood"),
        (200, b"{}", "cannot be understood"),
        (200, b'{"token": "bad"}', "refused foo:1.0"),
    ],
)
@pytest.mark.parametrize("credential", [CAPTAIN, IDENTITY, None], ids=["password", "identity", "anonymous"])
def test_token_service_that_gives_none(
    trusted: None, start: Start, status: int, body: bytes, words: str, credential: Credential | None
) -> None:
    """Each is one error that names the registry, and no secret."""
    registry, _ = pair(start, lambda _: Answer(status, {}, body))
    with pytest.raises(RegistryError, match=words) as caught:
        manifest(registry, credential)
    assert registry.host in str(caught.value)
    assert SECRET not in str(caught.value)


def test_token_that_expires(trusted: None, start: Start) -> None:
    """Another is asked for."""
    tokens = iter(["old", "good"])

    def token(_: Asked) -> Answer:
        return Answer(200, {}, json.dumps({"token": next(tokens)}).encode())

    service = start("auth.test", token)
    taken = ["Bearer old"]

    def answers(asked: Asked) -> Answer:
        if asked.headers.get("Authorization") in taken:
            return Answer(200, {"Content-Type": OCI}, RAW)
        return Answer(401, {"WWW-Authenticate": f'Bearer realm="https://{service.host}/token",service="x"'})

    registry = start("registry.test", answers)
    with Repository(f"{registry.host}/foo", credential=None, timeout=5) as repository:
        repository.manifest("1.0")
        taken[0] = "Bearer good"
        repository.manifest("1.0")
    assert len(service.asked) == 2


def test_token_that_another_thread_got_for_less(trusted: None, start: Start) -> None:
    """What may read is no answer to a challenge to write: it is answered itself, where the token of another fails."""

    def token(asked: Asked) -> Answer:
        (scope,) = parse_qs(urlsplit(asked.path).query)["scope"]
        return Answer(200, {}, json.dumps({"token": "write" if "push" in scope else "read"}).encode())

    service = start("auth.test", token)

    def answers(asked: Asked) -> Answer:
        given = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        scope = "pull" if asked.method == "GET" else "pull,push"
        if given == "write" or (given and asked.method == "GET"):
            return Answer(200 if asked.method == "GET" else 201, {"Content-Type": OCI}, RAW)
        if asked.method == "PUT" and not given:
            assert repository.manifest("1.0").raw == RAW  # as another thread would, while this challenge is on its way
        realm = f"https://{service.host}/token"
        return Answer(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="x",scope="repository:foo:{scope}"'})

    registry = start("registry.test", answers)
    with Repository(f"{registry.host}/foo", credential=CAPTAIN, timeout=5, patience=QUICK) as repository:
        assert repository.put(Manifest(RAW, digest_of(RAW), OCI), "1.0") == digest_of(RAW)
    sent = [asked.headers.get("Authorization") for asked in registry.asked if asked.method == "PUT"]
    assert sent == [None, "Bearer read", "Bearer write"]
    assert len(service.asked) == 2


@pytest.mark.parametrize("credential", [CAPTAIN, IDENTITY])
@pytest.mark.parametrize("reads_only", [False, True])
def test_one_token_for_all_of_a_push(trusted: None, start: Start, credential: Credential, reads_only: bool) -> None:
    """Who is to push asks for leave to do so when it reads; where that is denied, for what the registry wants."""

    def service(asked: Asked) -> Answer:
        (scope,) = parse_qs(asked.body.decode() or urlsplit(asked.path).query)["scope"]
        scopes.append(scope.rpartition(":")[2])
        denied = reads_only and "push" in scope
        return Answer(403, {}, b"{}") if denied else Answer(200, {}, b'{"token": "all"}')

    def answers(asked: Asked) -> Answer:
        if asked.headers.get("Authorization") == "Bearer all":
            status = {"GET": 200, "PUT": 201}[asked.method]
            return Answer(status, {"Content-Type": OCI}, RAW if status == 200 else b"")
        realm = f"https://{tokens.host}/t"
        return Answer(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="x",scope="repository:foo:pull"'})

    scopes: list[str] = []
    tokens = start("tokens.test", service)
    server = start("registry.test", answers)
    with Repository(f"{server.host}/foo", credential=credential, patience=QUICK, writing=True) as repository:
        if reads_only and credential is IDENTITY:  # OAuth services answer 403 for credentials as well
            with pytest.raises(RegistryError, match="refused to give a token"):
                repository.manifest("1.0")
        else:
            repository.put(repository.manifest("1.0"), "2.0")
    denied = [] if credential is IDENTITY else ["pull"]
    assert scopes == ["pull,push", *(denied if reads_only else [])]
    assert all(asked.method != "PUT" or "Authorization" in asked.headers for asked in server.asked)


def test_tokens_that_expire_in_mid_push(trusted: None, start: Start) -> None:
    """Every third question needs another token: an upload is sent again where it met the end of one, and completes."""
    given = 0
    left = 0

    def token(_: Asked) -> Answer:
        nonlocal given, left
        given, left = given + 1, 3
        return Answer(200, {}, json.dumps({"token": f"t{given}"}).encode())

    service = start("auth.test", token)

    def answers(asked: Asked) -> Answer:
        nonlocal left
        if not left or asked.headers.get("Authorization") != f"Bearer t{given}":
            left = 0
            return Answer(401, {"WWW-Authenticate": f'Bearer realm="https://{service.host}/token",service="x"'})
        left -= 1
        if asked.method == "PUT" and "/uploads/" in asked.path:
            arrived.append(asked.body)
        return Answer({"POST": 202, "PUT": 201, "HEAD": 404}[asked.method], {"Location": "/v2/foo/blobs/uploads/1"})

    arrived: list[bytes] = []
    registry = start("registry.test", answers)
    blobs = [f"blob {number}".encode() for number in range(8)]
    with Repository(f"{registry.host}/foo", credential=CAPTAIN, timeout=5, patience=QUICK) as repository:
        for blob in blobs:
            assert not uploads.has_blob(repository, digest_of(blob))
            assert uploads.upload(repository, digest_of(blob), len(blob), lambda blob=blob: [blob])  # type: ignore[misc]
    assert arrived == blobs
    assert len(service.asked) == 8


def test_token_stays_with_its_registry(
    trusted: None, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Storage at another host gets no token, and nothing of `~/.netrc` in its place."""
    (tmp_path / "netrc").write_text("default login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    storage = start("storage.test", lambda _: Answer(200, {"Content-Type": OCI}, RAW))

    def answers(asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != "Bearer good":
            return Answer(401, {"WWW-Authenticate": f'Bearer realm="https://{service.host}/token",service="x"'})
        return Answer(307, {"Location": f"https://{storage.host}/x"})

    service = start("auth.test", lambda _: Answer(200, {}, b'{"token": "good"}'))
    registry = start("registry.test", answers)
    assert manifest(registry, CAPTAIN).raw == RAW
    assert "Authorization" not in storage.asked[0].headers


def test_basic_over_tls(trusted: None, start: Start) -> None:
    """A password goes to a registry that asks for it, once TLS hides it."""

    def answers(asked: Asked) -> Answer:
        if "Authorization" in asked.headers:
            return Answer(200, {"Content-Type": OCI}, RAW)
        return Answer(401, {"WWW-Authenticate": 'Basic realm="test"'})

    registry = start("registry.test", answers)
    assert manifest(registry, CAPTAIN).raw == RAW
    assert b64decode(registry.asked[1].headers["Authorization"].partition(" ")[2]).decode() == f"captain:{SECRET}"


@pytest.mark.parametrize("credential", [CAPTAIN, IDENTITY], ids=["password", "identity"])
@pytest.mark.parametrize("name", ["127.0.0.1", "registry.test"], ids=["here", "insecure"])
def test_tokens_over_plain_http(trusted: None, start: Start, name: str, credential: Credential) -> None:
    """What asks for tokens over plain HTTP gets no secret for one: anybody on the way may say where it would go."""
    service = start("auth.test", lambda _: Answer(200, {}, b'{"token": "good"}'))
    challenge = {"WWW-Authenticate": f'Bearer realm="https://{service.host}/token",service="x"'}
    with serving(lambda _: Answer(401, challenge), name=name) as registry:
        network = Network(insecure=(registry.host,))
        with (
            Repository(f"{registry.host}/foo", credential=credential, network=network) as repository,
            pytest.raises(RegistryError, match="tokens over plain HTTP"),
        ):
            repository.manifest("1.0")
    assert service.asked == []


def test_host_in_capitals(trusted: None, start: Start) -> None:
    """Names of hosts have no case: such a registry is told who we are as well."""
    registry, _ = pair(start, lambda _: Answer(200, {}, b'{"token": "good"}'))
    assert manifest(Server(registry.host.upper()), CAPTAIN).raw == RAW


# --- TLS itself --------------------------------------------------------------------------------------------------


def test_certificate_of_nobody_known(start: Start) -> None:
    """The reason is told, and how to trust it."""
    registry = start("registry.test", lambda _: Answer(200))
    with pytest.raises(RegistryError, match=r"the certificate of registry\.test") as caught:
        manifest(registry, None)
    assert "is not trusted" in str(caught.value)
    assert "REQUESTS_CA_BUNDLE" in str(caught.value)


def test_certificate_of_another(trusted: None, start: Start) -> None:
    """A name that the certificate does not have is no TLS either."""
    registry = start("registry.test", lambda _: Answer(200), certified="other.test")
    with pytest.raises(RegistryError, match=r"is not trusted: .*registry\.test"):
        manifest(registry, CAPTAIN)
    assert registry.asked == []


def test_hang_up_in_the_handshake() -> None:
    """A registry that ends the connection there may be beginning itself: it is asked again."""
    with greeting(b"") as host, pytest.raises(RegistryError, match=r"broke.*; it was tried 2 times") as caught:
        manifest(Server(f"registry.test:{host.partition(':')[2]}"), None)
    assert caught.value.temporary
    assert "certificate" not in str(caught.value)


def test_no_tls_away_from_here() -> None:
    """A registry with another name than this machine's must speak TLS."""
    with serving(lambda _: Answer(200), name="registry.test") as registry:
        with pytest.raises(RegistryError, match="does not speak TLS") as caught:
            manifest(registry, CAPTAIN)
        assert "`insecure`" in str(caught.value)
        assert registry.asked == []


def test_proxy_that_does_not_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is named as what failed, not the registry."""
    with serving(lambda _: Answer(407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.host}")
        with pytest.raises(RegistryError, match=r"the proxy on the way to registry\.test:1") as caught:
            manifest(Server("registry.test:1"), None)
    assert "NO_PROXY" in str(caught.value)
