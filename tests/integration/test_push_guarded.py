"""Pushes to registries that want to know who comes, behind TLS that is checked: what is refused is not tried again."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_registry import MANIFESTS, UPLOADS, Fault, answered, faulty
from guarded import SECRET, USER, running
from outside import Authority
from pushing import Pushing
from ships import Ran
from test_push_faults import failed, survives
from token_server import Guarded

pytestmark = pytest.mark.engine


def login(pushing: Pushing, folder: Path, secret: str = SECRET) -> None:
    """Have credentials for the registry in a Docker config."""
    folder.mkdir(exist_ok=True)
    known = {pushing.proxy.host: {"auth": base64.b64encode(f"{USER}:{secret}".encode()).decode()}}
    (folder / "config.json").write_text(json.dumps({"auths": known}))
    pushing.ship.environment["DOCKER_CONFIG"] = str(folder)


def _discreet(ran: Ran, *secrets: str) -> None:
    for secret in secrets:
        for shape in (secret, base64.b64encode(f"{USER}:{secret}".encode()).decode()):
            assert shape not in ran.out + ran.err


@pytest.fixture
def tls(pushing: Pushing, authority: Authority, address: str, tmp_path: Path) -> Iterator[Pushing]:
    """A push to a registry with TLS and a password, which nobody trusts yet."""
    folder = tmp_path / "tls"
    folder.mkdir()
    with (
        running(folder) as backend,
        faulty(backend, address=address, tls=authority.context(address)) as proxy,
    ):
        found = Pushing(pushing.ship, proxy, backend, (USER, SECRET))
        login(found, tmp_path / "docker")
        yield found


def test_push_with_tls_that_does_not_verify(tls: Pushing) -> None:
    """A certificate that nobody vouches for: said so, nothing pushed, not tried again."""
    failed(tls.push(code=1), tls.proxy.host, "certificate", "not trusted")
    assert tls.proxy.seen == []
    assert tls.proxy.failed_handshakes == 1
    assert tls.tags() == {}
    assert tls.ship.record["pushed"] == []


def test_push_with_tls_that_only_the_client_trusts(tls: Pushing, authority: Authority) -> None:
    """The engine looks at certificates of its own: its refusal says so, and is not tried again."""
    tls.ship.environment["REQUESTS_CA_BUNDLE"] = str(authority.file)
    failed(tls.push(code=1), tls.proxy.host, "certificate", "certs.d")
    assert tls.proxy.requests("PUT|PATCH", UPLOADS) == []
    assert tls.proxy.failed_handshakes <= 6, "the engine's own tries, and not three times as many"
    assert tls.tags() == {}
    assert tls.ship.record["pushed"] == []


def test_push_with_tls_and_a_password(tls: Pushing, authority: Authority) -> None:
    """With a certificate that both trust, and the right password, all is as without."""
    tls.ship.environment["REQUESTS_CA_BUNDLE"] = str(authority.file)
    with authority.trusted_by_engines(tls.proxy.host):
        survives(tls, tls.push())


def test_push_with_a_wrong_password(tls: Pushing, authority: Authority, tmp_path: Path) -> None:
    """A wrong password is not tried again, and not shown."""
    tls.ship.environment["REQUESTS_CA_BUNDLE"] = str(authority.file)
    login(tls, tmp_path / "docker", "wr0ng-word")
    with authority.trusted_by_engines(tls.proxy.host):
        ran = tls.push(code=1)
    failed(ran, tls.proxy.host, "refused", "docker login")
    _discreet(ran, "wr0ng-word")
    assert len(tls.proxy.seen) <= 3
    assert tls.tags() == {}


@pytest.mark.parametrize(
    ("status", "method", "path"),
    [
        (401, "HEAD|GET", MANIFESTS),
        (403, "POST", UPLOADS),
        (403, "PUT", f"{MANIFESTS}1.0.0"),
        pytest.param(403, "HEAD|GET", MANIFESTS, marks=pytest.mark.slow),
        pytest.param(401, "POST", UPLOADS, marks=pytest.mark.slow),
        pytest.param(401, "PUT", f"{MANIFESTS}1.0.0", marks=pytest.mark.slow),
    ],
)
def test_push_that_is_forbidden(pushing: Pushing, status: int, method: str, path: str) -> None:
    """What a registry forbids, to look, to send or to give a tag, is never tried again."""
    code = "UNAUTHORIZED" if status == 401 else "DENIED"
    refusal = answered(status, code, "not for you", WWW_Authenticate='Basic realm="test"')
    pushing.proxy.on(method, path, refusal, times=0)
    failed(pushing.push(code=1), pushing.proxy.host, "refused")
    assert len(pushing.proxy.requests(method, path)) <= (4 if method == "POST" else 2)
    assert "1.0.0" not in pushing.holds()
    pushing.completes()


@pytest.fixture
def scoped(pushing: Pushing, tokened: Guarded, tmp_path: Path) -> Pushing:
    """A push to a registry that wants tokens."""
    may = tokened.tokens.bearer(f"repository:{pushing.ship.image}:pull")
    found = Pushing(pushing.ship, tokened.proxy, tokened.backend, may)
    login(found, tmp_path / "docker")
    found.ship.environment["REQUESTS_CA_BUNDLE"] = str(tokened.tokens.authority.file)
    return found


# UNMARKED
def test_push_with_tokens(scoped: Pushing) -> None:
    """Where a token service stands beside the registry, all is as without."""
    survives(scoped, scoped.push())


@pytest.mark.slow
# UNMARKED
def test_push_with_token_that_ends(scoped: Pushing, tokened: Guarded) -> None:
    """Tokens that end while a blob is on its way, and while a tag is given, are replaced with new ones."""
    tokened.tokens.lifetime = 2
    scoped.proxy.on("PATCH", UPLOADS, Fault(stalls_for=2.1))
    scoped.proxy.on("PUT", f"{MANIFESTS}1.0.0", Fault(before=lambda _: time.sleep(2.1)))
    ran = scoped.push()
    assert [one.status for one in scoped.proxy.requests("PUT", f"{MANIFESTS}1.0.0")] == [401, 201]
    tokened.tokens.lifetime = 300
    survives(scoped, ran)


# UNMARKED
def test_push_with_token_of_a_smaller_scope(scoped: Pushing, tokened: Guarded) -> None:
    """Who may only pull is refused, and is not tried again."""
    tokened.tokens.granted = ("pull",)
    failed(scoped.push(code=1), scoped.proxy.host, "refused")
    assert scoped.proxy.uploaded() == 0
    assert len(tokened.tokens.asked) <= 12
    assert scoped.tags() == {}
    tokened.tokens.granted = ("pull", "push")
    scoped.completes()


# UNMARKED
def test_push_with_a_wrong_password_for_tokens(scoped: Pushing, tokened: Guarded, tmp_path: Path) -> None:
    """A token service that does not know us is asked once."""
    login(scoped, tmp_path / "docker", "wr0ng-word")
    ran = scoped.push(code=1)
    failed(ran, scoped.proxy.host, "refused", "docker login")
    _discreet(ran, "wr0ng-word")
    assert tokened.tokens.asked == []
    assert scoped.tags() == {}
