"""Pushes that no registry can be made to do at will: the silence of engines that go on talking."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests

from tinyship.engine import push
from tinyship.engine.connect import Engine
from tinyship.errors import RegistryError
from tinyship.events import ignore

_DIGEST = "sha256:" + "0" * 64


class Talker(requests.Response):
    """An answer that says these objects, ten times a second."""

    def __init__(self, objects: Iterator[dict[str, Any]]) -> None:
        super().__init__()
        self.status_code = 200
        self.objects = objects
        self.closed = False

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        for each in self.objects:
            time.sleep(0.1)
            yield json.dumps(each).encode() + b"\n"

    def close(self) -> None:
        self.closed = True


def _push(answer: Talker, timeout: float) -> push.Pushed:
    api = SimpleNamespace(_post=lambda *_, **__: answer, _url=lambda *_, **__: "")
    engine = cast(Engine, SimpleNamespace(api=api))
    return push.push(engine, "host:5000/foo:1", credential=None, timeout=timeout, events=ignore)


def test_the_same_again_and_again_is_silence() -> None:
    """An engine with the containerd store says `Waiting` for as long as a registry hangs."""

    def objects() -> Iterator[dict[str, Any]]:
        for _ in range(100):
            yield {"id": "a", "status": "Waiting", "progressDetail": {}}
            yield {"id": "b", "status": "Waiting", "progressDetail": {}}

    answer = Talker(objects())
    with pytest.raises(RegistryError, match=r"host:5000 does not answer: nothing happened for 0\.5 s"):
        _push(answer, 0.5)
    assert answer.closed


def test_slow_is_not_silent() -> None:
    """Where one layer moves while the other waits, there is no hurry."""

    def objects() -> Iterator[dict[str, Any]]:
        for number in range(10):
            yield {"id": "a", "status": "Waiting", "progressDetail": {}}
            yield {"id": "b", "status": "Pushing", "progressDetail": {"current": number + 1, "total": 10}}
        yield {"id": "b", "status": "Pushed"}
        yield {"id": "a", "status": "Layer already exists"}
        yield {"status": f"1: digest: {_DIGEST} size: 405"}

    done = _push(Talker(objects()), 0.5)
    assert done == push.Pushed("host:5000/foo:1", _DIGEST, sent=frozenset("b"), present=frozenset("a"))


@pytest.mark.parametrize("words", ["net/http: TLS handshake timeout", "dial tcp 10.0.0.1:443: i/o timeout"])
def test_the_engine_gave_up_waiting(words: str) -> None:
    """Where the engine's patience ends first, it is the same silence."""
    answer = Talker(iter([{"errorDetail": {"message": words}}]))
    with pytest.raises(RegistryError, match="host:5000 does not answer") as caught:
        _push(answer, 5)
    assert "Push again" in caught.value.hint


@pytest.mark.parametrize(("tries", "temporary"), [(1, True), (4, False)])
def test_the_engine_tried_again_itself(tries: int, temporary: bool) -> None:
    """After the engine's own tries with a layer nobody else tries: they took long enough."""
    waits = [seconds for number in range(1, tries + 1) for seconds in (2 * number, 1)]
    said = [{"id": "a", "status": f"Retrying in {seconds} second{'s' * (seconds > 1)}"} for seconds in waits]
    answer = Talker(iter([*said, {"errorDetail": {"message": "received unexpected HTTP status: 500"}}]))
    with pytest.raises(RegistryError, match="500") as caught:
        _push(answer, 5)
    assert caught.value.temporary is temporary
    assert ("the registry's log" in caught.value.hint) is not temporary


def test_the_engine_does_not_trust_the_registry() -> None:
    """Whose certificates an engine looks at is said, and where they lie; to try again is no use."""
    words = 'Get "https://host:5000/v2/": x509: certificate signed by unknown authority'
    with pytest.raises(
        RegistryError, match="does not trust the certificate of host:5000: certificate signed"
    ) as caught:
        _push(Talker(iter([{"errorDetail": {"message": words}}])), 5)
    assert "/etc/docker/certs.d/host:5000/ca.crt" in caught.value.hint
    assert not caught.value.temporary


@pytest.mark.parametrize("kind", ["oauth", "anonymous"])
def test_the_engine_does_not_trust_the_token_service(kind: str) -> None:
    """Where the certificate is that of another host, that one is named, and not the registry's folder."""
    words = (
        f'failed to authorize: failed to fetch {kind} token: Post "https://tokens.example.com/token?scope=x": '
        "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    )
    with pytest.raises(RegistryError, match=r"certificate of tokens\.example\.com, where host:5000 has its") as caught:
        _push(Talker(iter([{"errorDetail": {"message": words}}])), 5)
    assert "update-ca-certificates" in caught.value.hint
    assert not caught.value.temporary


def test_a_scope_that_is_too_small_is_a_refusal() -> None:
    """As engines with the containerd store tell of it."""
    words = "server message: insufficient_scope: authorization failed"
    with pytest.raises(RegistryError, match="host:5000 refused the push with no credentials") as caught:
        _push(Talker(iter([{"errorDetail": {"message": words}}])), 5)
    assert not caught.value.temporary
