"""The fault-making proxy does what it says: a real push goes through it, and each fault is what a client sees."""

from __future__ import annotations

import hashlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests
import trustme
from faulty_registry import MANIFESTS, UPLOADS, Fault, FaultyRegistry, Seen, answered, faulty
from uploads import OCI, Uploads

from tinyship.context.source import Context
from tinyship.engine import images
from tinyship.engine.classic import ClassicBuilder
from tinyship.engine.connect import Engine
from tinyship.engine.push import push
from tinyship.engine.request import BuildRequest
from tinyship.events import ignore

pytestmark = pytest.mark.engine

_BLOB = bytes(range(256)) * 4096  # 1 MiB
_DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def proxy(registry: str) -> Iterator[FaultyRegistry]:
    """A proxy before the registry."""
    with faulty(registry) as proxy:
        yield proxy


@pytest.fixture
def uploads(proxy: FaultyRegistry, namespace: str) -> Uploads:
    """Puts content into a repository, through the proxy."""
    return Uploads(proxy.host, f"{namespace}/proxied")


@pytest.fixture
def manifest(proxy: FaultyRegistry, uploads: Uploads) -> str:
    """The URL of a manifest of an image that is there; what its upload took is not in the log."""
    uploads.image(_BLOB, tag="1.0")
    proxy.heal()
    return f"{uploads.url}/manifests/1.0"


def _get(url: str, method: str = "GET") -> requests.Response:
    return requests.request(method, url, headers={"Accept": f"{OCI}, {_DOCKER}"}, timeout=60)


@pytest.mark.needs("classic")
def _mounts(proxy: FaultyRegistry) -> list[str]:
    """The paths of the requests by which layers were taken from another repository."""
    return [seen.path for seen in proxy.requests("POST", r"mount=") if seen.status == 201]


def test_proxy_lets_a_push_through(
    engine: Engine, registry: str, proxy: FaultyRegistry, namespace: str, busybox: str, tmp_path: Path
) -> None:
    """An engine's push comes through it whole, uploads included, and is seen; it arrives in the registry behind."""
    name = f"{proxy.host}/{namespace}/foo:1.0"
    (tmp_path / "file").write_bytes(_BLOB)
    (tmp_path / "Dockerfile").write_text(f"FROM {busybox}\nCOPY file /\nLABEL here={namespace}\n")
    request = BuildRequest(context=Context.open(tmp_path, tmp_path / "Dockerfile"), tags=(name,))
    ClassicBuilder(engine).build(request, ignore)
    pushed = push(engine, name, credential=None, timeout=60, events=ignore)
    assert [one.status for one in proxy.requests("PUT", MANIFESTS)] == [201]
    found = _get(f"http://{registry}/v2/{namespace}/foo/manifests/1.0")
    assert found.headers["Docker-Content-Digest"] == pushed.digest
    layers = found.json()["layers"]
    # An engine may have the registry take a layer that it shares with another repository from there.
    mounted = [layer for layer in layers if f"mount={layer['digest']}" in unquote(" ".join(_mounts(proxy)))]
    sent = [layer for layer in layers if layer not in mounted]
    assert proxy.uploaded() == found.json()["config"]["size"] + sum(layer["size"] for layer in sent)
    assert len(pushed.sent) >= len(sent) > 0
    proxy.heal()
    push(engine, name, credential=None, timeout=60, events=ignore)
    assert proxy.uploaded() == 0
    images.untag(engine, name)


def test_proxy_answers(proxy: FaultyRegistry, manifest: str) -> None:
    """An answer in place of the registry's, with headers, for as many requests as it was told to, and no others."""
    proxy.on("GET", MANIFESTS, answered(429, "TOOMANYREQUESTS", Retry_After="7"), first=2, times=2)
    answers = [_get(manifest) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 429, 429, 200]
    assert answers[1].headers["Retry-After"] == "7"
    assert answers[1].json()["errors"][0]["code"] == "TOOMANYREQUESTS"
    assert _get(manifest, "HEAD").status_code == 200
    assert [one.status for one in proxy.requests("GET", MANIFESTS)] == [200, 429, 429, 200]


def test_proxy_answers_always(proxy: FaultyRegistry, manifest: str) -> None:
    """Without a number of times it does not end, until all is well again; a HEAD's answer has no body."""
    proxy.on("GET|HEAD", "", answered(503), times=0)
    assert [_get(manifest, method).status_code for method in ("GET", "HEAD", "HEAD", "GET")] == [503] * 4
    proxy.heal()
    assert _get(manifest).status_code == 200


def test_proxy_resets_a_request(proxy: FaultyRegistry, uploads: Uploads, namespace: str) -> None:
    """A reset in the middle of a body: the client sees an RST, the registry got half of a blob and keeps none."""
    proxy.on("PUT", UPLOADS, Fault(resets_at=500_000))
    with pytest.raises(requests.ConnectionError, match=r"reset by peer|Broken pipe"):
        uploads.blob(_BLOB, "application/octet-stream")
    (seen,) = proxy.requests("PUT")
    assert (seen.received, seen.status) == (500_000, 0)
    digest = hashlib.sha256(_BLOB).hexdigest()
    assert _get(f"{uploads.url}/blobs/sha256:{digest}", "HEAD").status_code == 404
    assert uploads.blob(_BLOB, "application/octet-stream")["size"] == len(_BLOB)
    assert _get(f"{uploads.url}/blobs/sha256:{digest}", "HEAD").status_code == 200


def test_proxy_resets_at_once(proxy: FaultyRegistry, manifest: str) -> None:
    """A reset before the registry hears of the request."""
    proxy.on("GET", "", Fault(resets_at=0))
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        _get(manifest)
    assert _get(manifest).status_code == 200


def test_proxy_stalls(proxy: FaultyRegistry, uploads: Uploads) -> None:
    """A body stands still in its middle, and goes on."""
    proxy.on("PUT", UPLOADS, Fault(stalls_at=300_000, stalls_for=0.6))
    begun = time.monotonic()
    uploads.blob(_BLOB, "application/octet-stream")
    assert time.monotonic() - begun > 0.6
    (seen,) = proxy.requests("PUT")
    assert (seen.received, seen.status) == (len(_BLOB), 201)


def test_proxy_ends_early(proxy: FaultyRegistry, manifest: str) -> None:
    """An answer that breaks off before the length that it promised."""
    proxy.on("GET", MANIFESTS, Fault(ends_at=40))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        _get(manifest)
    assert proxy.requests("GET")[0].sent == 40


def test_proxy_lies(proxy: FaultyRegistry, manifest: str) -> None:
    """Another digest, another length, another body than the registry's."""
    honest = _get(manifest)
    lie = f"sha256:{'0' * 64}"
    proxy.on("GET", MANIFESTS, Fault(headers={"Docker-Content-Digest": lie}))
    answer = _get(manifest)
    assert (answer.headers["Docker-Content-Digest"], answer.content) == (lie, honest.content)
    proxy.on("GET", MANIFESTS, Fault(headers={"Content-Length": "30"}))
    assert _get(manifest).content == honest.content[:30]
    proxy.on("GET", MANIFESTS, Fault(body=b"{}"))
    answer = _get(manifest)
    assert answer.content == b"{}"
    assert answer.headers["Docker-Content-Digest"] == honest.headers["Docker-Content-Digest"]
    assert _get(manifest).content == honest.content


def test_proxy_loses_an_answer(proxy: FaultyRegistry, uploads: Uploads, manifest: str) -> None:
    """The registry did what it was asked to, and the client does not hear of it."""
    document = _get(manifest).json()
    proxy.on("PUT", MANIFESTS, Fault(lost=True))
    with pytest.raises(requests.ConnectionError):
        uploads.manifest(document, tag="2.0")
    assert _get(f"{uploads.url}/manifests/2.0").status_code == 200


def test_proxy_calls(proxy: FaultyRegistry, manifest: str) -> None:
    """Something is done when a request has come, and when its answer has left."""
    calls: list[tuple[str, int]] = []

    def before(seen: Seen) -> None:
        calls.append(("before", seen.status))

    def after(seen: Seen) -> None:
        calls.append(("after", seen.status))

    proxy.on("GET", MANIFESTS, Fault(before=before, after=after))
    _get(manifest)
    _soon(lambda: calls == [("before", 0), ("after", 200)])


def _soon(true: Callable[[], bool]) -> None:
    """Wait until something is so, which another thread sees to."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_proxy_speaks_tls(registry: str, namespace: str, tmp_path: Path) -> None:
    """With a certificate it speaks TLS; who does not trust it gets no request through."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    with faulty(registry, tls=context) as proxy:
        url = f"https://{proxy.host}/v2/"
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(url, timeout=60)
        _soon(lambda: proxy.failed_handshakes == 1)
        assert proxy.seen == []
        begun = requests.post(f"{url}{namespace}/x/blobs/uploads/", verify=str(tmp_path / "ca.pem"), timeout=60)
        assert begun.headers["Location"].startswith(f"https://{proxy.host}/")


def test_proxy_is_gone(registry: str) -> None:
    """When it closes, its port refuses and its connections end."""
    with faulty(registry) as proxy:
        host, _, port = proxy.host.partition(":")
        peer = socket.create_connection((host, int(port)))
        peer.sendall(b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.recv(12) == b"HTTP/1.1 200"
    with peer:
        peer.settimeout(5)
        while peer.recv(1 << 16):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
