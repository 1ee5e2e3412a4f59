"""Each fault of a registry, or of the way to it, in a push: what is said, what is left, and that a re-run completes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from faulty_registry import MANIFESTS, UPLOADS, Fault, answered, faulty
from guarded import running
from pushing import Pushing
from ships import Ran
from small_disk import small_disk

pytestmark = pytest.mark.engine
slow = pytest.mark.slow

_LIE = f"sha256:{'0' * 64}"


def failed(ran: Ran, *words: str) -> None:
    """One error, which says all of these words, and nothing of Python."""
    assert "Traceback" not in ran.out + ran.err
    assert ran.err.count("error: ") == 1, ran.err
    message = ran.err[ran.err.index("error: ") :]
    for word in words:
        assert word in message, f"{word!r} is not in:\n{ran.err}"


def survives(pushing: Pushing, ran: Ran) -> None:
    """All went well in the end: every tag names the image, and pushing again sends nothing."""
    assert "Traceback" not in ran.out + ran.err
    tags = pushing.holds()
    assert len(tags) == 3, ran.err
    assert len(set(tags.values())) == 1
    assert pushing.completes() == tags["latest"]
    assert pushing.proxy.uploaded() == 0
    assert pushing.proxy.requests("PUT") == []


# --- Answers that pass ---------------------------------------------------------------------------------------------


def test_push_without_faults(pushing: Pushing) -> None:
    """One upload of each blob, one manifest a tag, and each tag is asked for."""
    survives(pushing, pushing.push())


@pytest.mark.parametrize("status", [pytest.param(500, marks=slow), 503])
def test_push_survives_5xx_burst_at_head(pushing: Pushing, status: int) -> None:
    """The first questions for tags are answered with a fault of the registry's, twice."""
    pushing.proxy.on("HEAD|GET", MANIFESTS, answered(status), times=2)
    survives(pushing, pushing.push())


@pytest.mark.parametrize("status", [pytest.param(500, marks=slow), 503])
def test_push_survives_5xx_burst_at_manifest(pushing: Pushing, status: int) -> None:
    """The engine's manifest is refused with a fault of the registry's: the push is tried again as a whole."""
    pushing.proxy.on("PUT", MANIFESTS, answered(status), times=2)
    survives(pushing, pushing.push())


@pytest.mark.parametrize("status", [500, pytest.param(503, marks=slow)])
def test_push_survives_5xx_burst_at_tag(pushing: Pushing, status: int) -> None:
    """The same for the manifests of all further tags, which tinyship puts."""
    pushing.proxy.on("PUT", f"{MANIFESTS}latest", answered(status), times=2)
    survives(pushing, pushing.push())


@slow
@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_push_survives_5xx_burst_at_upload(pushing: Pushing, status: int, method: str) -> None:
    """A blob is refused with a fault of the registry's, at each of the three steps of its upload."""
    pushing.proxy.on(method, UPLOADS, answered(status), times=2)
    survives(pushing, pushing.push())


def test_push_survives_429_with_retry_after(pushing: Pushing) -> None:
    """Whoever asks too often is told to wait a second, and waits."""
    pushing.proxy.on("PUT", f"{MANIFESTS}latest", answered(429, "TOOMANYREQUESTS", Retry_After="2"))
    begun = time.monotonic()
    ran = pushing.push()
    assert time.monotonic() - begun > 2
    survives(pushing, ran)


@slow
def test_push_survives_429_at_upload(pushing: Pushing) -> None:
    """The engine gives up at once when it is told that it asks too often; tinyship has it push again."""
    pushing.proxy.on("POST", UPLOADS, answered(429, "TOOMANYREQUESTS", Retry_After="1"))
    survives(pushing, pushing.push())


@slow
def test_push_fails_at_lasting_5xx(pushing: Pushing) -> None:
    """A registry that stays out of order is given up; what was given before is in the record, and said."""
    pushing.proxy.on("PUT", f"{MANIFESTS}latest", answered(503, "UNAVAILABLE", "out of order"), times=0)
    ran = pushing.push(code=1)
    failed(ran, pushing.proxy.host, "503", "latest")
    tags = pushing.holds()
    assert len(tags) == 2
    assert len(pushing.ship.record["pushed"]) == 2
    pushing.completes()


# --- Connections ---------------------------------------------------------------------------------------------------


@slow
def test_push_survives_reset_in_blob(pushing: Pushing) -> None:
    """The connection is reset in the middle of a blob."""
    pushing.proxy.on("PATCH", UPLOADS, Fault(resets_at=100))
    survives(pushing, pushing.push())


@pytest.mark.parametrize("where", [pytest.param("HEAD", marks=slow), "PUT"])
def test_push_survives_reset_at_manifest(pushing: Pushing, where: str) -> None:
    """The connection is reset at a question for a tag, or in the middle of a manifest."""
    pushing.proxy.on(where, f"{MANIFESTS}latest", Fault(resets_at=100 if where == "PUT" else 0))
    survives(pushing, pushing.push())


@slow
def test_push_survives_lost_answer(pushing: Pushing) -> None:
    """The registry gave a tag, and its answer was lost: giving it again changes nothing."""
    pushing.proxy.on("PUT", MANIFESTS, Fault(lost=True), first=2)
    survives(pushing, pushing.push())


def test_push_survives_lost_answer_to_engine(pushing: Pushing) -> None:
    """The same with the manifest that the engine put."""
    pushing.proxy.on("PUT", MANIFESTS, Fault(lost=True))
    survives(pushing, pushing.push())


@pytest.mark.needs("graph-driver")
def test_push_gives_up_stalled_upload(pushing: Pushing) -> None:
    """An upload that stands still is given up after `push.timeout`, and a push when all goes well completes."""
    pushing.proxy.on("PATCH", UPLOADS, Fault(stalls_at=100, stalls_for=60), times=0)
    begun = time.monotonic()
    failed(pushing.push(code=1, TINYSHIP_PUSH_TIMEOUT="2"), pushing.proxy.host, "2 s", "push.timeout")
    assert time.monotonic() - begun < 50
    assert pushing.tags() == {}
    assert pushing.ship.record["pushed"] == []
    pushing.completes()


# --- Lies ----------------------------------------------------------------------------------------------------------


def test_push_survives_truncated_manifest(pushing: Pushing) -> None:
    """The manifest that further tags are to name breaks off when it is read: it is read again."""
    pushing.proxy.on("GET", MANIFESTS, Fault(ends_at=40))
    survives(pushing, pushing.push())


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param({"headers": {"Docker-Content-Digest": _LIE}}, id="digest"),
        pytest.param({"headers": {"Content-Length": "100"}}, id="length"),
        pytest.param({"body": b'{"schemaVersion": 2}'}, id="body", marks=slow),
    ],
)
def test_push_refuses_lies(pushing: Pushing, lie: dict[str, Any]) -> None:
    """A manifest whose digest or length is a lie, or that something altered on its way, is given to no other tag."""
    pushing.proxy.on("GET", MANIFESTS, Fault(**lie), times=0)
    failed(pushing.push(code=1), pushing.proxy.host, "gave something else", ":latest is not there", " names it")
    assert len(pushing.holds()) == len(pushing.ship.record["pushed"]) == 1
    pushing.completes()


def test_push_finds_lie_at_the_end(pushing: Pushing) -> None:
    """A tag that names something else when it is asked for at the end is an error that names both digests."""
    lie = Fault(headers={"Docker-Content-Digest": _LIE})
    pushing.proxy.on("PUT", f"{MANIFESTS}latest", Fault(after=lambda _: pushing.proxy.on("HEAD", MANIFESTS, lie)))
    ran = pushing.push(code=1)
    digest = pushing.tags()["1.0.0"]
    failed(ran, _LIE, digest)
    pushing.completes()


# --- A registry whose disk is full -----------------------------------------------------------------------------------


@slow
def test_push_to_a_full_disk(pushing: Pushing, tmp_path: Path) -> None:
    """A registry that has no room says so; nothing is named, and with room the same push completes."""
    folder = tmp_path / "full"
    with small_disk(folder, "300k"), running(folder, auth="") as backend, faulty(backend) as proxy:
        full = Pushing(pushing.ship, proxy, backend)
        failed(full.push(code=1), proxy.host, "500", "full disk")
        assert full.holds() == {}
        assert pushing.ship.record["pushed"] == []
    pushing.completes()
