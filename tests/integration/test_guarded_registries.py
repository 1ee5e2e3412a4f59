"""The guarded registries of the tests are real ones: TLS that is checked, passwords, tokens with an end and a scope."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests
from faulty_registry import UPLOADS, Fault
from guarded import SECRET, USER, running
from outside import Authority
from pushing import KINDS
from token_server import Guarded

from tinyship.credentials import Credential
from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.engine.push import Pushed, push
from tinyship.errors import RegistryError
from tinyship.events import ignore

pytestmark = pytest.mark.engine

_CAPTAIN = Credential(USER, SECRET, identity_token=False, source="a test")


def _push(engine: Engine, busybox: str, name: str, credential: Credential | None = _CAPTAIN) -> Pushed:
    images.tag(engine, busybox, name)
    try:
        return push(engine, name, credential=credential, timeout=60, events=ignore)
    finally:
        images.untag(engine, name)


# UNMARKED
def test_tls_with_a_password(
    engine: Engine, authority: Authority, address: str, busybox: str, namespace: str, tmp_path: Path
) -> None:
    """A registry that speaks TLS itself, on an address that is not forgiven: trusted or not, with a password or not."""
    issued = authority.issued(address)
    (tmp_path / "key.pem").write_bytes(issued.private_key_pem.bytes())
    (tmp_path / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    tls = f"tls: {{certificate: {tmp_path / 'cert.pem'}, key: {tmp_path / 'key.pem'}}}"
    with running(tmp_path, address=address, more=tls) as host:
        name = f"{host}/{namespace}/foo:1.0"
        with pytest.raises(RegistryError, match="does not trust the certificate"):
            _push(engine, busybox, name)
        with authority.trusted_by_engines(host):
            with pytest.raises(RegistryError, match="no credentials"):
                _push(engine, busybox, name, None)
            pushed = _push(engine, busybox, name)
        url = f"https://{host}/v2/{namespace}/foo/manifests/1.0"
        found = requests.get(
            url, headers={"Accept": KINDS}, auth=(USER, SECRET), verify=str(authority.file), timeout=60
        )
        assert found.headers["Docker-Content-Digest"] == pushed.digest


# UNMARKED
def test_tokens(engine: Engine, tokened: Guarded, busybox: str, namespace: str) -> None:
    """An engine pushes with tokens of the service; without a password it gets one that lets it do nothing."""
    name = f"{tokened.proxy.host}/{namespace}/foo:1.0"
    with pytest.raises(RegistryError, match="refused"):
        _push(engine, busybox, name, None)
    before = len(tokened.tokens.asked)
    assert len(_push(engine, busybox, name).sent) == 1
    scopes = {f"repository:{namespace}/foo:{actions}" for actions in ("push,pull", "pull,push")}
    assert scopes & set(tokened.tokens.asked[before:])


# UNMARKED
@pytest.mark.needs("containerd")
def test_token_service_that_is_not_trusted(engine: Engine, tokened: Guarded, busybox: str, namespace: str) -> None:
    """That a registry is trusted says nothing about who makes its tokens; the error names that one, and a way out."""
    tokened.proxy.told_engines = None
    service = tokened.tokens.url.split("/")[2]
    with pytest.raises(RegistryError) as caught:
        _push(engine, busybox, f"{tokened.proxy.host}/{namespace}/foo:1.0")
    assert f"the certificate of {service}, where {tokened.proxy.host} has its tokens made" in caught.value.message
    assert "update-ca-certificates" in caught.value.hint
    assert tokened.tokens.asked == []


def test_token_of_a_smaller_scope(engine: Engine, tokened: Guarded, busybox: str, namespace: str) -> None:
    """Who may only pull gets a token, and the registry refuses the push."""
    tokened.tokens.granted = ("pull",)
    with pytest.raises(RegistryError, match="refused the push"):
        _push(engine, busybox, f"{tokened.proxy.host}/{namespace}/foo:1.0")
    assert tokened.proxy.uploaded() == 0


# UNMARKED
def test_tokens_that_end(engine: Engine, tokened: Guarded, busybox: str, namespace: str) -> None:
    """A token is refused when its time is over, to the second; who goes by what it says gets another in time."""
    tokened.tokens.lifetime = 2
    tokened.proxy.on("PATCH", UPLOADS, Fault(stalls_for=2.5))
    _push(engine, busybox, f"{tokened.proxy.host}/{namespace}/foo:1.0")
    assert len(tokened.tokens.asked) >= 2
    name = f"repository:{namespace}/foo:pull,push"
    token = {"Authorization": f"Bearer {tokened.tokens.answer([name])['token']}"}
    url = f"https://{tokened.proxy.host}/v2/{namespace}/foo/tags/list"

    def status() -> int:
        return requests.get(url, headers=token, verify=str(tokened.tokens.authority.file), timeout=60).status_code

    assert status() == 200
    time.sleep(2.1)
    assert status() == 401
