"""What is tried again, how often, and what is not: registries that fail for a while, or in the middle of an answer."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from registries import OCI, Answer, Answers, Asked, Server, digest_of, serving

from tinyship.credentials import Credential
from tinyship.errors import RegistryError
from tinyship.events import Event, Notice
from tinyship.registry import retry, uploads
from tinyship.registry.client import Repository
from tinyship.registry.manifest import Manifest
from tinyship.registry.retry import Patience, asked_wait

RAW = b"{}"
FOUND = Answer(200, {"Content-Type": OCI, "Docker-Content-Digest": digest_of(RAW)}, RAW)
BLOB = bytes(range(256)) * 4096
QUICK = Patience(tries=4, pause=0.01)
CAPTAIN = Credential("captain", "s3cret-word", identity_token=False, source="a file")
NOW = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)


@contextmanager
def foo(
    server: Server, *, credential: Credential | None = None, patience: Patience = QUICK, timeout: float = 5
) -> Iterator[tuple[Repository, list[str]]]:
    """The repository `foo` of a server, and the warnings that come."""
    warnings: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Notice):
            warnings.append(event.text)

    with Repository(
        f"{server.host}/foo", credential=credential, patience=patience, timeout=timeout, events=hear
    ) as repository:
        yield repository, warnings


def first(*failures: Answer, then: Answer = FOUND) -> Answers:
    """Answers that fail so, one after another, and then no more."""
    left = list(failures)
    return lambda _: left.pop(0) if left else then


# --- Answers that fail -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_burst(status: int, method: str) -> None:
    """Three answers that are temporary are waited out, whatever is asked; each new try is told."""
    with serving(first(*[Answer(status)] * 3)) as registry, foo(registry) as (repository, warnings):
        if method == "GET":
            assert repository.manifest("1.0").raw == RAW
        elif method == "HEAD":
            assert repository.digest("1.0") == digest_of(RAW)
        else:
            repository.put(Manifest(RAW, digest_of(RAW), OCI), "1.0")
        assert [asked.method for asked in registry.asked] == [method] * 4
        assert len(warnings) == 3
        assert re.search(r"trying again in 0\.\d s \(4 of 4\)", warnings[-1])


def test_burst_that_does_not_end() -> None:
    """The error says how often it was tried."""
    with serving(lambda _: Answer(503)) as registry, foo(registry) as (repository, _):
        with pytest.raises(RegistryError, match=r"status 503.*; it was tried 4 times"):
            repository.manifest("1.0")
        assert len(registry.asked) == 4


def test_put_that_is_tried_once() -> None:
    """Whoever looks at the tag between the tries gets the first fault, which says that it is temporary."""
    with serving(first(Answer(503), then=Answer(201))) as registry, foo(registry) as (repository, warnings):
        with pytest.raises(RegistryError, match="status 503") as caught:
            repository.put(Manifest(RAW, digest_of(RAW), OCI), "1.0", once=True)
        assert caught.value.temporary
        assert [asked.method for asked in registry.asked] == ["PUT"]
        assert not warnings
        assert repository.put(Manifest(RAW, digest_of(RAW), OCI), "1.0", once=True) == digest_of(RAW)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 501, 507])
def test_what_lasts(status: int) -> None:
    """It is asked for once."""
    with serving(lambda _: Answer(status)) as registry, foo(registry) as (repository, warnings):
        with pytest.raises(RegistryError) as caught:
            repository.put(Manifest(RAW, digest_of(RAW), OCI), "1.0")
        assert not caught.value.temporary
        assert len(registry.asked) == 1
        assert not warnings


@pytest.mark.parametrize("status", [401, 403])
def test_refusal_of_credentials(status: int) -> None:
    """Who we are is told once, and a refusal of that is a refusal: accounts are locked for less."""

    def answers(asked: Asked) -> Answer:
        if "Authorization" not in asked.headers:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="test"'})
        return Answer(status, {"WWW-Authenticate": 'Basic realm="test"'})

    with serving(answers) as registry, foo(registry, credential=CAPTAIN) as (repository, _):
        with pytest.raises(RegistryError, match=r"refused foo:1\.0"):
            repository.manifest("1.0")
        assert ["Authorization" in asked.headers for asked in registry.asked] == [False, True]


# --- How long ----------------------------------------------------------------------------------------------------


def test_pauses_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pause is twice the one before, and longer where the registry asks for that."""
    slept: list[float] = []
    waits = iter([0.0, 0.0, 7.0])

    def act() -> str:
        wait = next(waits, None)
        if wait is None:
            return "done"
        raise RegistryError("no", host="x", temporary=True, wait=wait)

    done = retry.trying(act, events=lambda _: None, patience=Patience(), sleep=slept.append, clock=lambda: 0.0)
    assert done == "done"
    assert 0.5 <= slept[0] <= 0.625
    assert 1.0 <= slept[1] <= 1.25
    assert slept[2] == 7.0


def test_patience_ends() -> None:
    """No new try begins after its total, however many would be left."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def act() -> None:
        sleep(25)
        raise RegistryError("no", host="x", temporary=True)

    with pytest.raises(RegistryError, match="it was tried 3 times"):
        retry.trying(act, events=lambda _: None, patience=Patience(tries=9), sleep=sleep, clock=lambda: now)
    assert now < 80


def test_patience_with_what_takes_long() -> None:
    """Its tries are counted, and the pauses between them, not the time that it takes by itself."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def act() -> None:
        sleep(600)
        raise RegistryError("no", host="x", temporary=True)

    def tried(patience: Patience) -> str:
        with pytest.raises(RegistryError) as caught:
            retry.trying(act, events=lambda _: None, patience=patience, long=True, sleep=sleep, clock=lambda: now)
        return caught.value.message

    assert tried(Patience(tries=5)).endswith("it was tried 5 times")
    assert tried(Patience(tries=99, pause=10.0, total=40.0)).endswith("it was tried 3 times")


@pytest.mark.parametrize("header", ["1", "date"])
def test_retry_after(header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is followed, as a number of seconds and as a date."""
    slept: list[float] = []
    monkeypatch.setattr("tinyship.registry.connection.trying", _not_sleeping(slept))

    def answers(asked: Asked) -> Answer:
        if len(registry.asked) > 1:
            return FOUND
        said = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True) if header == "date" else header
        return Answer(429, {"Retry-After": said})

    with serving(answers) as registry, foo(registry) as (repository, _):
        assert repository.manifest("1.0").raw == RAW
    (seconds,) = slept
    assert 17 < seconds <= 20 if header == "date" else seconds == 1.0


def _not_sleeping(slept: list[float]) -> object:
    def trying(act: object, *, events: object, patience: Patience, long: bool) -> object:
        return retry.trying(act, events=events, patience=patience, long=long, sleep=slept.append)  # type: ignore[arg-type]

    return trying


def test_retry_after_that_is_too_long() -> None:
    """An hour is not waited: the error says when it would work."""
    with (
        serving(lambda _: Answer(429, {"Retry-After": "3600"})) as registry,
        foo(registry) as (repository, warnings),
        pytest.raises(RegistryError, match=r"again in 3600 s") as caught,
    ):
        repository.manifest("1.0")
    assert caught.value.wait == 3600
    assert len(registry.asked) == 1
    assert not warnings


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Thu, 29 Feb 2024 12:00:30 GMT", 30.0),
        ("Thu, 29 Feb 2024 12:00:30", 30.0),
        ("Thu, 29 Feb 2024 13:00:30 +0100", 30.0),
        ("Thu, 29 Feb 2024 11:59:00 GMT", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("\N{ARABIC-INDIC DIGIT FIVE}", 0.0),
        ("9" * 400, 0.0),
    ],
)
def test_asked_wait(header: str, seconds: float) -> None:
    """What is neither seconds nor a date, or a date that has passed, asks for no wait."""
    assert asked_wait(header, NOW) == seconds


# --- Answers that break off --------------------------------------------------------------------------------------


def breaking(*, ranges: bool, at: int, promised: int = len(BLOB), stalls: threading.Event | None = None) -> Answers:
    """A blob whose first answer ends early, at a registry that knows ranges or does not."""

    def answers(asked: Asked) -> Answer:
        start = int(re.sub(r"\D", "", asked.headers.get("Range", "0")))
        if not start:
            return Answer(200, {"Content-Length": str(promised)}, BLOB[:at], wait=stalls)
        if ranges:
            return Answer(206, {"Content-Range": f"bytes {start}-{len(BLOB) - 1}/{len(BLOB)}"}, BLOB[start:])
        return Answer(200, {}, BLOB)

    return answers


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_blob_goes_on_where_it_broke_off(ranges: bool) -> None:
    """Whoever reads it sees each byte once."""
    with serving(breaking(ranges=ranges, at=300_000)) as registry, foo(registry) as (repository, warnings):
        assert b"".join(repository.blob(digest_of(BLOB), size=len(BLOB))) == BLOB
    assert [asked.headers.get("Range") for asked in registry.asked] == [None, "bytes=300000-"]
    assert "going on from byte 300000" in warnings[0]


def test_blob_that_stalls() -> None:
    """Silence in the middle is an end as well."""
    going_on = threading.Event()
    with (
        serving(breaking(ranges=True, at=300_000, stalls=going_on)) as registry,
        foo(registry, timeout=0.3) as (repository, warnings),
    ):
        assert b"".join(repository.blob(digest_of(BLOB))) == BLOB
        going_on.set()
    assert "nothing came for 0.3 s" in warnings[0]


def test_blob_that_breaks_off_for_ever() -> None:
    """Tries that bring nothing more are counted, and the last one is the error."""

    def answers(asked: Asked) -> Answer:
        return Answer(206 if "Range" in asked.headers else 200, {"Content-Length": "2000"}, BLOB[:1000])

    def nothing_more(asked: Asked) -> Answer:
        return Answer(206, {"Content-Length": "1000"}) if "Range" in asked.headers else answers(asked)

    with serving(nothing_more) as registry, foo(registry) as (repository, _):
        with pytest.raises(RegistryError, match=r"broke.*; it was tried 4 times"):
            list(repository.blob(digest_of(BLOB)))
        assert len(registry.asked) == 4


def test_blob_that_comes_in_crumbs() -> None:
    """A few more bytes with each try are no reason to ask without end: each pause is longer, and their count ends."""

    def answers(asked: Asked) -> Answer:
        start = int(re.sub(r"\D", "", asked.headers.get("Range", "0")))
        return Answer(206 if start else 200, {"Content-Length": f"{len(BLOB) - start}"}, BLOB[start : start + 10])

    begun = time.monotonic()
    patience = Patience(tries=4, pause=0.05)
    with serving(answers) as registry, foo(registry, patience=patience) as (repository, warnings):
        with pytest.raises(RegistryError, match=r"broke.*; it was tried 4 times"):
            list(repository.blob(digest_of(BLOB)))
        assert len(registry.asked) == 4
    assert time.monotonic() - begun > 0.05 + 0.1 + 0.2
    assert [warning.rpartition("; ")[2][:24] for warning in warnings] == [
        f"going on from byte {start} in" for start in (10, 20, 30)
    ]


def test_blob_that_breaks_off_after_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """What brought much is no try that failed: a large blob comes in as many pieces as its way allows."""
    monkeypatch.setattr("tinyship.registry.client._WORTH", 100_000)

    def answers(asked: Asked) -> Answer:
        start = int(re.sub(r"\D", "", asked.headers.get("Range", "0")))
        return Answer(206 if start else 200, {"Content-Length": f"{len(BLOB) - start}"}, BLOB[start : start + 100_000])

    with serving(answers) as registry, foo(registry) as (repository, warnings):
        assert b"".join(repository.blob(digest_of(BLOB))) == BLOB
    assert len(warnings) == len(BLOB) // 100_000 > QUICK.tries


def test_blob_that_is_said_to_be_shorter() -> None:
    """What is cut off at the length that a header says is not the blob."""

    def answers(_: Asked) -> Answer:
        return Answer(200, {"Content-Length": "1000"}, BLOB)

    with (
        serving(answers) as registry,
        foo(registry) as (repository, _),
        pytest.raises(RegistryError, match="something else for the blob"),
    ):
        list(repository.blob(digest_of(BLOB)))


def test_manifest_that_breaks_off() -> None:
    """It is asked for again, as a whole."""
    broken = Answer(200, {"Content-Type": OCI, "Content-Length": "500"}, RAW)
    with serving(first(broken, broken)) as registry, foo(registry) as (repository, _):
        assert repository.manifest("1.0").raw == RAW
        assert len(registry.asked) == 3


# --- Digests that lie, or are not told ---------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [Answer(200, {"Content-Type": OCI}, RAW), FOUND], ids=["never", "not by HEAD"])
@pytest.mark.parametrize("status", [200, 405], ids=["no header", "no HEAD"])
def test_digest_that_only_the_manifest_tells(answer: Answer, status: int) -> None:
    """It is made of the bytes, where a HEAD does not tell it."""

    def answers(asked: Asked) -> Answer:
        return Answer(status, {"Content-Type": OCI}, RAW) if asked.method == "HEAD" else answer

    with serving(answers) as registry, foo(registry) as (repository, _):
        assert repository.digest("1.0") == digest_of(RAW)
        assert [asked.method for asked in registry.asked] == ["HEAD", "GET"]


@pytest.mark.parametrize("reference", ["1.0", digest_of(RAW)], ids=["tag", "digest"])
@pytest.mark.parametrize("status", [200, 405], ids=["no header", "no HEAD"])
def test_digest_of_what_only_the_manifest_tells_to_be_missing(reference: str, status: int) -> None:
    """A tag that is not there is no error, whichever question tells; nor is a digest that HEAD is not answered for."""

    def answers(asked: Asked) -> Answer:
        return Answer(status if asked.method == "HEAD" else 404)

    with serving(answers) as registry, foo(registry) as (repository, _):
        found = repository.digest(reference)
        assert found == (reference if status == 200 and reference != "1.0" else None)


def test_digest_that_is_none() -> None:
    """A header that holds something else is as good as none."""

    def answers(asked: Asked) -> Answer:
        return Answer(200, {"Docker-Content-Digest": "md5:00"}, RAW) if asked.method == "HEAD" else FOUND

    with serving(answers) as registry, foo(registry) as (repository, _):
        assert repository.digest("1.0") == digest_of(RAW)


def test_put_that_became_something_else() -> None:
    """What the registry says that it got is compared with what it was given."""
    other = digest_of(b"other")
    with (
        serving(lambda _: Answer(201, {"Docker-Content-Digest": other})) as registry,
        foo(registry) as (repository, _),
        pytest.raises(RegistryError, match=f"its digest is {other}, not {digest_of(RAW)}"),
    ):
        repository.put(Manifest(RAW, digest_of(RAW), OCI), "1.0")


# --- Uploads -----------------------------------------------------------------------------------------------------


def uploading(put: Answers, *, there: bool = False, location: str = "/v2/foo/blobs/uploads/1?state=x") -> Answers:
    """A registry that takes uploads, and answers so to what is sent."""

    def answers(asked: Asked) -> Answer:
        if asked.method == "HEAD":
            return Answer(200 if there else 404)
        if asked.method == "POST":
            return Answer(202, {"Location": location})
        return put(asked) if asked.method == "PUT" else Answer(204)

    return answers


def test_upload_begins_again() -> None:
    """After a fault the bytes are made anew and sent from the first on, with their length, to an upload of its own."""
    made = []

    def pieces() -> Iterator[bytes]:
        made.append(True)
        yield b"one"
        yield b"two"

    put = first(Answer(503), then=Answer(201))
    with serving(uploading(put)) as registry, foo(registry) as (repository, _):
        assert uploads.upload(repository, digest_of(b"onetwo"), 6, pieces)
    assert [asked.method for asked in registry.asked] == ["POST", "PUT", "DELETE", "HEAD", "POST", "PUT"]
    sent = [asked for asked in registry.asked if asked.method == "PUT"]
    assert [(asked.body, asked.headers.get("Content-Length")) for asked in sent] == [(b"onetwo", "6")] * 2
    assert sent[0].path == f"/v2/foo/blobs/uploads/1?state=x&digest={digest_of(b'onetwo').replace(':', '%3A')}"
    assert len(made) == 2


def test_upload_that_fails_after_long() -> None:
    """It is sent again, however long it took: longer than all tries of a question may take."""

    def put(_: Asked) -> Answer:
        time.sleep(0.3)
        return Answer(503) if sum(asked.method == "PUT" for asked in registry.asked) < 3 else Answer(201)

    patience = Patience(tries=4, pause=0.01, total=0.2)
    with serving(uploading(put)) as registry, foo(registry, patience=patience) as (repository, _):
        assert uploads.upload(repository, digest_of(b"one"), 3, lambda: [b"one"])


def test_upload_whose_answer_was_lost() -> None:
    """Before it is sent again it is looked for."""
    put = first(Answer(504))
    with serving(uploading(put, there=True)) as registry, foo(registry) as (repository, _):
        assert uploads.upload(repository, digest_of(b"one"), 3, lambda: [b"one"])
    assert [asked.method for asked in registry.asked if asked.method != "DELETE"] == ["POST", "PUT", "HEAD"]


def test_upload_that_became_something_else() -> None:
    """A registry that tells another digest is not believed to have ours."""
    put = first(then=Answer(201, {"Docker-Content-Digest": digest_of(b"other")}))
    with (
        serving(uploading(put)) as registry,
        foo(registry) as (repository, _),
        pytest.raises(RegistryError, match="got something else for the blob"),
    ):
        uploads.upload(repository, digest_of(b"one"), 3, lambda: [b"one"])


def test_upload_to_a_store_elsewhere() -> None:
    """The store gets the bytes, and not who we are."""
    with serving(lambda _: Answer(201)) as store:

        def answers(asked: Asked) -> Answer:
            if "Authorization" not in asked.headers:
                return Answer(401, {"WWW-Authenticate": 'Basic realm="test"'})
            return Answer(202, {"Location": f"http://{store.host}/bucket?signed=yes"})

        with serving(answers) as registry, foo(registry, credential=CAPTAIN) as (repository, _):
            assert uploads.upload(repository, digest_of(b"one"), 3, lambda: [b"one"])
    (asked,) = store.asked
    assert asked.body == b"one"
    assert "Authorization" not in asked.headers


@pytest.mark.parametrize("status", [404, 405])
def test_registry_that_does_not_mount(status: int) -> None:
    """It is no error: the blob is sent then."""
    with serving(lambda _: Answer(status)) as registry, foo(registry) as (repository, _):
        assert not uploads.mount(repository, digest_of(b"one"), "lacion/bar")
    (asked,) = registry.asked
    assert asked.path.endswith(f"?mount={digest_of(b'one').replace(':', '%3A')}&from=lacion%2Fbar")
