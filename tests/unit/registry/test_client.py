"""The registry client on registries that misbehave: each fault is one clear error, and no secret goes astray."""

from __future__ import annotations

import gzip
import json
import re
import socket
import threading
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from registries import INDEX, OCI, Answer, Answers, Asked, Server, Store, digest_of, greeting, serving

from tinyship.credentials import Credential
from tinyship.errors import ConfigError, RegistryError
from tinyship.registry import connection
from tinyship.registry.client import Repository
from tinyship.registry.connection import SMALL_LIMIT
from tinyship.registry.manifest import Manifest
from tinyship.registry.retry import Patience

SECRET = "s3cret-word"
CAPTAIN = Credential("captain", SECRET, identity_token=False, source="/home/captain/.docker/config.json")
RAW = b'{"schemaVersion": 2,  "config": {}, "layers": [] }\n'
ONCE = Patience(tries=1)
OTHER = f"sha256:{'0' * 64}"
FAR = "Fri, 31 Dec 2199 23:59:59 GMT"


def manifest(
    host: str, reference: str = "1.0", *, credential: Credential | None = None, timeout: float = 5
) -> Manifest:
    """A manifest of `foo`, asked for in a repository of its own."""
    with Repository(f"{host}/foo", credential=credential, timeout=timeout, patience=ONCE) as repository:
        return repository.manifest(reference)


def blob(host: str, digest: str, *, size: int | None = None, timeout: float = 5) -> list[bytes]:
    """The pieces of a blob of `foo`."""
    with Repository(f"{host}/foo", credential=None, timeout=timeout, patience=ONCE) as repository:
        return list(repository.blob(digest, size=size))


def always(status: int = 200, body: bytes = b"", **headers: str) -> Answers:
    """Answers that are all the same; `_` in the headers' names stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Answer(status, named, body)


# --- Manifests ---------------------------------------------------------------------------------------------------


def test_manifest_is_kept_byte_by_byte() -> None:
    """White space and all: the digest is of the bytes, by a tag and by a digest."""
    with serving(always(body=RAW, Content_Type=OCI)) as registry:
        by_tag = manifest(registry.host)
        assert by_tag == Manifest(RAW, digest_of(RAW), OCI)
        assert manifest(registry.host, by_tag.digest) == by_tag
    assert by_tag.parsed() == json.loads(RAW)
    assert not by_tag.is_index
    assert [asked.path for asked in registry.asked] == ["/v2/foo/manifests/1.0", f"/v2/foo/manifests/{by_tag.digest}"]
    accept = registry.asked[0].headers["Accept"]
    assert accept.count("application/vnd.") == 4
    assert "Authorization" not in registry.asked[0].headers


def test_altered_manifest_is_none() -> None:
    """Both digests are named: the one that was asked for, and the one that came."""
    with serving(always(body=RAW, Content_Type=OCI)) as registry, pytest.raises(RegistryError) as caught:
        manifest(registry.host, OTHER)
    assert OTHER in str(caught.value)
    assert digest_of(RAW) in str(caught.value)
    assert caught.value.host == registry.host


def test_manifest_that_its_header_denies() -> None:
    """By a tag, the digest that the registry tells is what its bytes must have."""
    answers = always(body=RAW, Content_Type=OCI, Docker_Content_Digest=OTHER)
    with serving(answers) as registry, pytest.raises(RegistryError, match=f"{OTHER}"):
        manifest(registry.host)


@pytest.mark.parametrize("told", ["application/json", "text/plain; charset=utf-8", ""])
def test_kind_that_only_the_manifest_tells(told: str) -> None:
    """Plain file servers tell no kind; the manifest's own word is taken."""
    raw = json.dumps({"mediaType": INDEX, "manifests": []}).encode()
    with serving(always(body=raw, Content_Type=told)) as registry:
        assert manifest(registry.host).is_index


@pytest.mark.parametrize(
    ("told", "own", "words"),
    [
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", None, "manifest.v1"),
        ("text/html", None, "text/html"),
        (OCI, INDEX, "index.v1"),
        ("", None, "nothing says what it is"),
        ("", 7, "no image"),
        (OCI, ["x"], "says"),
    ],
)
def test_kinds_that_are_no_image(told: str, own: object, words: str) -> None:
    """Old kinds, other kinds, and two that contradict each other."""
    raw = json.dumps({"mediaType": own} if own else {}).encode()
    with serving(always(body=raw, Content_Type=told)) as registry, pytest.raises(RegistryError, match=words):
        manifest(registry.host)


@pytest.mark.parametrize(
    "body", [b"", b"<html>hello</html>", b"[]", b"null", b"\xff\xfe\xff", b"[" * 100_000, b"9" * 9000, b'{"a": ']
)
def test_no_json(body: bytes) -> None:
    """What is no JSON object is said to be none, however deep or long it is."""
    with serving(always(body=body, Content_Type=OCI)) as registry, pytest.raises(RegistryError, match="than JSON"):
        manifest(registry.host)


def test_largest_manifest() -> None:
    """4 MiB are read, and not a byte more, whether the registry tells the length or packs it."""
    body = b"{" + b" " * (SMALL_LIMIT - 2) + b"}"
    with serving(always(body=body, Content_Type=OCI)) as registry:
        assert manifest(registry.host).raw == body
    with (
        serving(always(body=body + b" ", Content_Type=OCI)) as registry,
        pytest.raises(RegistryError, match="more than"),
    ):
        manifest(registry.host)
    bomb = always(body=gzip.compress(b" " * (64 << 20)), Content_Type=OCI, Content_Encoding="gzip")
    with serving(bomb) as registry, pytest.raises(RegistryError, match="more than"):
        manifest(registry.host)


@pytest.mark.parametrize(
    "reference", ["", "../../../etc/passwd", "a b", "ä", "sha256:abc", "x" * 129, "1.0?x=y", "a/b"]
)
def test_what_is_neither_tag_nor_digest(reference: str) -> None:
    """Nothing is asked of the registry."""
    with serving(always()) as registry:
        with pytest.raises(ConfigError, match="neither a tag nor a digest"):
            manifest(registry.host, reference)
        with pytest.raises(ConfigError, match="no digest"):
            blob(registry.host, reference)
        assert registry.asked == []


# --- Blobs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 256 << 10, (5 << 20) + 7])
def test_blob_comes_in_pieces(size: int) -> None:
    """Of 256 kB at most, and all of them."""
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    with serving(always(body=content)) as registry:
        pieces = blob(registry.host, digest_of(content), size=size)
    assert b"".join(pieces) == content
    assert max(map(len, pieces), default=0) <= 256 << 10


def test_blob_is_not_unpacked() -> None:
    """Stores that say of a compressed layer that HTTP has compressed it do not change its bytes."""
    layer = gzip.compress(b"x" * 1000)
    with serving(always(body=layer, Content_Encoding="gzip")) as registry:
        assert b"".join(blob(registry.host, digest_of(layer))) == layer
    assert registry.asked[0].headers["Accept-Encoding"] == "identity"


def test_altered_blob() -> None:
    """Its digest is named."""
    with serving(always(body=b"something else")) as registry, pytest.raises(RegistryError, match=f"{OTHER}.*, not"):
        blob(registry.host, OTHER)


@pytest.mark.parametrize("headers", [{"Content-Length": "100"}, {"Content-Length": "", "Transfer-Encoding": "chunked"}])
def test_blob_that_breaks_off(headers: dict[str, str]) -> None:
    """A connection that ends too early is an error that names the blob."""
    body = b"40\r\nfour" if "Transfer-Encoding" in headers else b"four"
    with (
        serving(lambda _: Answer(200, headers, body)) as registry,
        pytest.raises(RegistryError, match="broke") as caught,
    ):
        blob(registry.host, digest_of(b"four of a hundred"))
    assert digest_of(b"four of a hundred") in str(caught.value)


@pytest.mark.parametrize(("size", "words"), [(3, "gave more bytes"), (5, "gave 4 bytes"), (0, "gave more bytes")])
def test_blob_of_another_size(size: int, words: str) -> None:
    """The manifest's word on the size holds, and what is above it is not handed on."""
    with serving(always(body=b"four")) as registry, pytest.raises(RegistryError, match=words):
        blob(registry.host, digest_of(b"four"), size=size)


def test_blob_that_nobody_reads_to_its_end() -> None:
    """The connection is given back, and the repository goes on."""
    content = b"x" * (4 << 20)
    with serving(always(body=content)) as registry, Repository(f"{registry.host}/foo", credential=None) as foo:
        pieces = foo.blob(digest_of(content))
        next(pieces)
        pieces.close()  # type: ignore[attr-defined]
        assert len(b"".join(foo.blob(digest_of(content)))) == len(content)


# --- Elsewhere ---------------------------------------------------------------------------------------------------


def test_storage_elsewhere_gets_no_credentials() -> None:
    """A blob may lie at another host, which learns nothing of who we are."""
    with serving(always(body=b"four")) as storage:

        def answers(asked: Asked) -> Answer:
            if "Authorization" not in asked.headers:
                return Answer(401, {"WWW-Authenticate": 'Basic realm="test"'})
            return Answer(307, {"Location": f"http://localhost:{storage.host.partition(':')[2]}/four?signed=1"})

        with serving(answers) as registry, Repository(f"{registry.host}/foo", credential=CAPTAIN) as foo:
            assert b"".join(foo.blob(digest_of(b"four"))) == b"four"
            assert b"".join(foo.blob(digest_of(b"four"))) == b"four"
        assert [asked.path for asked in storage.asked] == ["/four?signed=1"] * 2
        assert all("Authorization" not in asked.headers for asked in storage.asked)
        assert SECRET not in repr(storage.asked)
    assert len(registry.asked) == 3


def test_storage_elsewhere_asks_for_no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where it asks, it gets none: neither the registry's nor those of other programs."""
    (tmp_path / "netrc").write_text("default login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    realm = 'Bearer realm="https://127.0.0.1:1/token",service="x"'
    with serving(always(401, WWW_Authenticate=realm)) as storage:
        answers = always(307, Location=f"http://{storage.host}/four")
        with serving(answers) as registry, pytest.raises(RegistryError, match=r"where .* leads. refused .* no cred"):
            manifest(registry.host, credential=CAPTAIN)
        assert len(storage.asked) == 1
        assert "Authorization" not in storage.asked[0].headers


def test_credentials_stay_within_the_registry() -> None:
    """A registry that leads to another of its own pages is told there as well who we are."""

    def answers(asked: Asked) -> Answer:
        if "Authorization" not in asked.headers:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="test"'})
        if asked.path.startswith("/v2/"):
            return Answer(307, {"Location": "/elsewhere"})
        return Answer(200, {"Content-Type": OCI}, RAW)

    with serving(answers) as registry:
        assert manifest(registry.host, credential=CAPTAIN).raw == RAW


@pytest.mark.parametrize("location", ["http://example.com/x", "ftp://example.com/x", "http://127.0.0.1.example.com/x"])
def test_plain_http_stays_here(location: str) -> None:
    """No registry leads us to plain HTTP somewhere else."""
    answers = always(307, Location=location)
    with serving(answers) as registry, pytest.raises(RegistryError, match="is not followed"):
        blob(registry.host, OTHER)


def test_leading_in_circles() -> None:
    """A redirect to itself ends."""
    answers: Answers = lambda asked: Answer(307, {"Location": asked.path})  # noqa: E731
    with serving(answers) as registry, pytest.raises(RegistryError, match="in circles"):
        blob(registry.host, OTHER)


# --- What registries answer --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, ["refused foo:1.0 with no credentials", "403", "docker login"]),
        (401, ["refused foo:1.0 with no credentials", "401"]),
        (404, ["does not have foo:1.0\n", "Was it pushed"]),
        (418, ["status 418", "Is this a registry?"]),
        (204, ["status 204"]),
        (302, ["status 302"]),
        (429, ["status 429", "Try again later.", "may raise the limit"]),
        (500, ["status 500", "The fault is the registry's"]),
        (503, ["status 503"]),
    ],
)
def test_statuses(status: int, words: list[str]) -> None:
    """Each says what it is, and what to do."""
    answers = always(status, WWW_Authenticate='Basic realm="test"' if status == 401 else "")
    with serving(answers) as registry, pytest.raises(RegistryError) as caught:
        manifest(registry.host)
    for word in [registry.host, *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"errors": [{"code": "NAME_UNKNOWN", "message": "x"}]}', "there is no such repository"),
        (b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}', "does not have foo:1.0$"),
        (b'{"errors": []}', "does not have foo:1.0$"),
        (b'{"errors": ["x"]}', "does not have foo:1.0$"),
        (b'{"errors": {"0": "x"}}', "does not have foo:1.0$"),
        (b"[" * 50_000, "does not have foo:1.0$"),
        (b"\xff\x00", "does not have foo:1.0$"),
    ],
)
def test_what_is_not_there(body: bytes, words: str) -> None:
    """Registries say which of the two is missing, if they say anything that can be read."""
    with serving(always(404, body)) as registry, pytest.raises(RegistryError) as caught:
        manifest(registry.host)
    assert re.search(words, caught.value.message)


@pytest.mark.parametrize(
    ("media_type", "body", "words"),
    [
        (
            "text/plain; charset=utf-8",
            b"\nwrite /data: no space left on device\nat x.go",
            ": write /data: no space left",
        ),
        ("text/html", b"<h1>500</h1><p>No space left on device</p>", ": no space left"),
        ("", b"no space left on device", ": no space left"),
    ],
)
def test_full_disk_in_plain_text(media_type: str, body: bytes, words: str) -> None:
    """It is no fault that passes, however the registry words it: it is told, and not tried again."""
    with serving(always(500, body, Content_Type=media_type)) as registry, pytest.raises(RegistryError) as caught:
        manifest(registry.host)
    assert re.search(rf"has no room left \(status 500\), asking for foo:1\.0{words}", caught.value.message)
    assert "x.go" not in caught.value.message
    assert not caught.value.temporary


def test_plain_text() -> None:
    """What a proxy on the way says is shown, where it is a text, and no page."""
    with serving(always(502, b"upstream is away\n", Content_Type="text/plain")) as registry:
        with pytest.raises(RegistryError, match=r"status 502, asking for foo:1\.0: upstream is away\n") as caught:
            manifest(registry.host)
        assert caught.value.temporary
    with serving(always(502, b"<h1>upstream is away</h1>", Content_Type="text/html")) as registry:
        with pytest.raises(RegistryError) as caught:
            manifest(registry.host)
        assert "away" not in caught.value.message


def test_words_of_a_registry_are_words() -> None:
    """What it says is shown, in one line, without what would move a cursor, and not all of it."""
    body = json.dumps({"errors": [{"code": "X", "message": "\x1b[31mno\nway\x1b[0m ä " + "x" * 5000}]}).encode()
    with serving(always(500, body)) as registry, pytest.raises(RegistryError) as caught:
        manifest(registry.host)
    assert "no way ä xxx" in caught.value.message
    assert "\x1b" not in str(caught.value)
    assert len(caught.value.message) < 400


def test_when_to_try_again() -> None:
    """A registry's word on it is passed on, where it is a number of seconds."""
    with serving(always(429, Retry_After="30")) as registry, pytest.raises(RegistryError, match=r"again in 30 s\."):
        manifest(registry.host)
    for told, words in (("soon", "later"), ("90000", "in 25 hours"), ("864000", "in 10 days"), (FAR, "later")):
        with serving(always(429, Retry_After=told)) as registry, pytest.raises(RegistryError, match=f"again {words}"):
            manifest(registry.host)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "NAME_UNKNOWN", ["has no such repository (status 404)", "made there before the first push"]),
        (400, "NAME_INVALID", ["status 400", "rules of its own", "`image` and `push.to`"]),
        (413, "", ["status 413", "client_max_body_size"]),
        (404, "", ["status 404", "Is this a registry?"]),
    ],
)
def test_refusals_of_what_is_written(status: int, code: str, words: list[str]) -> None:
    """Names that a registry does not know or take, and what is too large for it, are no riddles."""
    body = json.dumps({"errors": [{"code": code, "message": "no"}]}).encode()
    with (
        serving(always(status, body)) as registry,
        Repository(f"{registry.host}/foo", credential=None, patience=ONCE) as repository,
        pytest.raises(RegistryError) as caught,
    ):
        repository.put(Manifest(b"{}", digest_of(b"{}"), OCI), "1.0")
    for word in words:
        assert word in str(caught.value)


def test_deletion_of_what_is_missing() -> None:
    """It says that, and not that something was asked for."""
    with (
        serving(always(404)) as registry,
        Repository(f"{registry.host}/foo", credential=None, patience=ONCE) as repository,
        pytest.raises(RegistryError, match=r"does not have foo:1\.0, so it is not deleted") as caught,
    ):
        repository.delete("1.0")
    assert caught.value.status == 404


def test_whose_credentials_were_refused() -> None:
    """Where they came from is named; what they are is not."""
    answers = always(401, WWW_Authenticate='Basic realm="test"')
    with serving(answers) as registry, pytest.raises(RegistryError) as caught:
        manifest(registry.host, credential=CAPTAIN)
    assert "the credentials from /home/captain/.docker/config.json" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert len(registry.asked) == 2


@pytest.mark.parametrize("challenge", ["", "Bearer", 'Bearer realm="', "Bearer realm", 'Negotiate "'])
def test_challenge_that_makes_no_sense(challenge: str) -> None:
    """It is an error of ours, whatever the header says."""
    for credential in (None, CAPTAIN, Credential("", SECRET, identity_token=True, source="a file")):
        with serving(always(401, WWW_Authenticate=challenge)) as registry, pytest.raises(RegistryError):
            manifest(registry.host, credential=credential)


# --- The way there -----------------------------------------------------------------------------------------------


def test_silence() -> None:
    """A registry that does not answer, and one that stops in the middle, are given up after the time-out."""
    end = threading.Event()
    slow = Answer(200, {"Content-Type": OCI, "Content-Length": "1000"}, b"{", end)
    with serving(lambda _: slow) as registry:
        with pytest.raises(RegistryError, match=r"does not answer: nothing came for 0\.3 s"):
            manifest(registry.host, timeout=0.3)
        with pytest.raises(RegistryError, match=r"does not answer: nothing came for 0\.3 s"):
            blob(registry.host, OTHER, timeout=0.3)
        end.set()


def test_nothing_listens() -> None:
    """The host and the port are named."""
    with serving(always()) as registry:
        pass
    with pytest.raises(RegistryError, match=f"nothing listens at {registry.host}"):
        manifest(registry.host)


def test_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes no connection is asked once, and not for long."""
    monkeypatch.setattr(connection, "_CONNECTING", 0.5)
    with socket.socket() as deaf, ExitStack() as waiting:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for _ in range(4):  # more than fit into its queue
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        host = f"127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(RegistryError, match=f"{host} cannot be reached") as raised:
            manifest(host)
    assert "tried" not in raised.value.message


def test_unknown_host() -> None:
    """A name that is none."""
    with pytest.raises(RegistryError, match=r"the host nowhere\.invalid:5000 is not known"):
        manifest("nowhere.invalid:5000")


def test_no_name_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody knows names, the name may be right."""

    def lookup(*words: object) -> object:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(RegistryError, match=r"the host nowhere\.invalid:5000 cannot be looked up"):
        manifest("nowhere.invalid:5000")


@pytest.mark.parametrize(
    "words", [b"", b"220 mail.example.com ESMTP\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 xx\r\n\r\n"]
)
def test_no_http(words: bytes) -> None:
    """Something else listens there, or hangs up."""
    with greeting(words) as host, pytest.raises(RegistryError) as caught:
        manifest(host)
    assert host in str(caught.value)
    assert ("does not speak HTTP" in str(caught.value)) == (b"220" in words or b"xx" in words)


def test_neither_proxy_nor_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What stays on this machine goes through no proxy, and other programs' passwords are not sent."""
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login captain password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(always()) as proxy, serving(always(body=RAW, Content_Type=OCI)) as registry:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.host}")
        manifest(registry.host)
        assert proxy.asked == []
        assert "Authorization" not in registry.asked[0].headers


def test_several_threads_log_in_once_each_at_most() -> None:
    """All that ask at the same time are told who we are, and none is refused because another was quicker."""
    together = threading.Barrier(8)

    def answers(asked: Asked) -> Answer:
        if "Authorization" not in asked.headers:
            together.wait(5)
            return Answer(401, {"WWW-Authenticate": 'Basic realm="test"'})
        assert b64decode(asked.headers["Authorization"].partition(" ")[2]).decode() == f"captain:{SECRET}"
        return Answer(200, {"Content-Type": OCI}, RAW)

    with (
        serving(answers) as registry,
        Repository(f"{registry.host}/foo", credential=CAPTAIN) as foo,
        ThreadPoolExecutor(8) as pool,
    ):
        found = list(pool.map(foo.manifest, ["1.0"] * 8))
    assert {each.digest for each in found} == {digest_of(RAW)}
    assert len(registry.asked) == 16


# --- Tags --------------------------------------------------------------------------------------------------------


def tags(host: str) -> tuple[str, ...]:
    """The tags of `foo`."""
    with Repository(f"{host}/foo", credential=None, timeout=5, patience=ONCE) as repository:
        return repository.tags()


@pytest.mark.parametrize("form", ["/v2/foo/tags/list?{}", "http://{host}/v2/foo/tags/list?{}", "list?{}", "?{}"])
def test_tags_of_several_pages(form: str) -> None:
    """Links of every form that RFC 8288 has are followed."""

    def answers(asked: Asked) -> Answer:
        last = int(parse_qs(urlsplit(asked.path).query).get("last", ["0"])[0])
        link = form.replace("{host}", asked.headers["Host"]).format(f"last={last + 2}&n=2")
        page = json.dumps({"name": "foo", "tags": [f"1.{last}", f"1.{last + 1}"]}).encode()
        return Answer(200, {"Link": f'<{link}>; rel="next"' if last < 4 else ""}, page)

    with serving(answers) as registry:
        assert tags(registry.host) == ("1.0", "1.1", "1.2", "1.3", "1.4", "1.5")


def test_tags_that_lead_back() -> None:
    """A page that follows itself is read once."""
    answers = always(body=b'{"tags": ["1.0"]}', Link='</v2/foo/tags/list?n=9>; rel="next"')
    with serving(answers) as registry:
        assert tags(registry.host) == ("1.0",)


def test_tags_that_lead_elsewhere() -> None:
    """Another host is not asked in the registry's name."""
    with serving(always()) as other:
        answers = always(body=b'{"tags": []}', Link=f'<http://{other.host}/v2/foo/tags/list>; rel="next"')
        with serving(answers) as registry, pytest.raises(RegistryError, match="another host"):
            tags(registry.host)
        assert other.asked == []


@pytest.mark.parametrize("body", [b'{"name": "foo", "tags": null}', b'{"name": "foo"}', b'{"tags": []}'])
def test_no_tags(body: bytes) -> None:
    """Registries say so in several ways."""
    with serving(always(body=body)) as registry:
        assert tags(registry.host) == ()


@pytest.mark.parametrize("body", [b'{"tags": [1]}', b'{"tags": "1.0"}', b'{"tags": {"a": 1}}', b"[]", b"tags"])
def test_tags_that_are_none(body: bytes) -> None:
    """What is no list of names is not taken for one."""
    with serving(always(body=body)) as registry, pytest.raises(RegistryError, match=r"no list|than JSON"):
        tags(registry.host)


@pytest.fixture
def whole() -> Iterator[tuple[Server, Store]]:
    """A registry with nothing wrong."""
    store = Store()
    with serving(store) as registry:
        yield registry, store


def test_what_one_registry_has(whole: tuple[Server, Store]) -> None:
    """The fake answers as a registry does: an image goes through the client unchanged."""
    registry, store = whole
    entry = store.image(b"one", tag="1.0")
    found = manifest(registry.host)
    assert found.digest == entry["digest"]
    assert blob(registry.host, found.parsed()["layers"][0]["digest"], size=3) == [b"one"]
    with pytest.raises(RegistryError, match=f"does not have the blob {OTHER} of foo"):
        blob(registry.host, OTHER)
