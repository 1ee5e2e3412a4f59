"""Pushing an image to a registry through the engine, with every failure in its stream made one."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

from msgspec import Struct

from tinyship.credentials import Credential, header, host_of
from tinyship.engine.advice import of_certificates, token_service
from tinyship.engine.connect import Engine
from tinyship.engine.faults import translated
from tinyship.engine.frames import Silence, frames
from tinyship.errors import EngineError, RegistryError
from tinyship.events import Events, Log, Transfer

_AGAIN = "Push again: what is there already is not sent twice."
_TRIED = "The engine tried several times; the registry's log says why, a full disk for one. Push again afterwards."
_DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})")
_HUNG = re.compile(r"TLS handshake timeout|i/o timeout|deadline exceeded|Client\.Timeout|timed out", re.I)
_TEMPORARY = re.compile(
    r"status:? 5\d\d|\b50[0234]\b|\b429\b|toomanyrequests|too many requests|\bEOF\b|connection reset|broken pipe"
    r"|short copy|blob upload (?:unknown|invalid)|unknown blob",
    re.I,
)
_WAIT = re.compile(r"Retrying in (\d+) second")
_OWN_TRIES = 4
"""Announcements of another try with one layer after which an engine gives up (moby, ``maxUploadAttempts``)."""
_DENIED = re.compile(
    r"denied|unauthori[sz]ed|no basic auth credentials|authentication required|forbidden|authorization failed", re.I
)


class Pushed(Struct, frozen=True):
    """A tag that is now in a registry.

    Args:
        reference: as it was pushed.
        digest: of the manifest that the tag names.
        sent: the layers that were sent, by the first digits of a digest: with a graph driver of the layer's diff id,
            else of its blob.
        present: the layers that the registry already had, in the same way.
    """

    reference: str
    digest: str
    sent: frozenset[str]
    present: frozenset[str]


def push(
    engine: Engine,
    reference: str,
    *,
    credential: Credential | None,
    timeout: float,
    events: Events,
    meanwhile: Callable[[], None] = lambda: None,
) -> Pushed:
    """Push one tag.

    Args:
        reference: ``[host[:port]/]repository:tag``, which the image has in the engine.
        credential: for the registry; None to push anonymously.
        timeout: seconds without a sign of life from the engine before the push is given up.
        meanwhile: called at each word of the engine's, be it news or not; what it raises ends the push.

    Raises:
        RegistryError: the registry refused, failed, or hung; names it, and where the credentials came from.
    """
    api = engine.api
    host = host_of(reference)
    repository, _, tag = reference.rpartition(":")
    what = f"pushing {reference}"
    digest = ""
    layers: dict[str, str] = {}
    retried: Counter[str] = Counter()
    try:
        with translated(what):
            response = api._post(
                api._url("/images/{0}/push", repository),
                params={"tag": tag},
                headers={"X-Registry-Auth": header(credential)},
                stream=True,
                timeout=(timeout, timeout),
            )
        with closing(frames(response, what=what)) as stream:
            for frame in _news(stream, timeout, what):
                digest = _digest(frame) or digest
                _tell(frame, layers, retried, events)
                meanwhile()
    except Silence as error:
        raise RegistryError(
            f"{host} does not answer: nothing happened for {timeout:g} s",
            host=host,
            hint=f"{_AGAIN} `push.timeout` is how long to wait.",
        ) from error
    except EngineError as error:
        raise _refused(error, host, credential, tried=max(retried.values(), default=0) >= _OWN_TRIES) from error
    if not digest:
        raise RegistryError(f"the push to {host} ended without a digest", host=host, hint="Push again.", temporary=True)
    sent = frozenset(layer for layer, state in layers.items() if state == "Pushed")
    return Pushed(reference, digest, sent, frozenset(layers) - sent)


def _news(stream: Iterable[dict[str, Any]], timeout: float, what: str) -> Iterator[dict[str, Any]]:
    """The objects of a stream; an engine that says the same again and again, ten times a second, is silent as well.

    Raises:
        Silence: nothing was new for that many seconds.
    """
    last: dict[Any, dict[str, Any]] = {}
    new = time.monotonic()
    for frame in stream:
        now = time.monotonic()
        if last.get(frame.get("id")) != frame:
            last[frame.get("id")], new = frame, now
        elif now - new > timeout:
            raise Silence(f"{what}: the engine said nothing new for too long")
        yield frame


def _digest(frame: dict[str, Any]) -> str:
    aux = frame.get("aux") or {}
    if isinstance(aux, dict) and aux.get("Digest"):
        return str(aux["Digest"])
    match = _DIGEST.search(str(frame.get("status", "")))
    return match[1] if match else ""


def _tell(frame: dict[str, Any], layers: dict[str, str], retried: Counter[str], events: Events) -> None:
    """Keep the state of each layer and count the engine's own retries, and tell of them and of bytes."""
    layer, status = frame.get("id"), str(frame.get("status", ""))
    if not layer:
        return
    if status == "Pushed" or status.startswith(("Layer already exists", "Mounted from")):
        layers[layer] = status
        if status == "Pushed":
            events(Transfer(layer, "pushing", 0, 0, done=True))
    elif status.startswith("Retrying"):  # once a second, counting down
        if _seconds(status) > _seconds(layers.get(layer, "")):
            events(Log(layer, status, "stderr"))
            retried[layer] += 1
        layers[layer] = status
    elif current := (frame.get("progressDetail") or {}).get("current"):
        layers.pop(layer, None)
        events(Transfer(layer, "pushing", int(current), int(frame["progressDetail"].get("total") or 0)))


def _seconds(status: str) -> int:
    """How long an engine waits before it tries again; 0 where it does not."""
    match = _WAIT.match(status)
    return int(match[1]) if match else 0


def _refused(error: EngineError, host: str, credential: Credential | None, *, tried: bool) -> RegistryError:
    words = error.message.partition(": ")[2] or error.message
    if _DENIED.search(words):
        whose = f"the credentials from {credential.source}" if credential else "no credentials"
        return RegistryError(
            f"{host} refused the push with {whose}: {words}",
            host=host,
            hint=f"`docker login {host}` stores credentials; may they push to this repository?",
        )
    if _HUNG.search(words):
        return RegistryError(f"{host} does not answer: {words}", host=host, hint=_AGAIN, temporary=not tried)
    if "x509: " in words:
        service = token_service(words)
        whose = f"{service}, where {host} has its tokens made" if service else host
        return RegistryError(
            f"the engine does not trust the certificate of {whose}: {words.partition('x509: ')[2]}",
            host=host,
            hint=of_certificates(words, host),
        )
    if "connection refused" in words:
        return RegistryError(f"nothing listens at {host}: {words}", host=host, hint="Is the registry running?")
    return RegistryError(
        f"the push to {host} failed: {words}",
        host=host,
        hint=of_certificates(words, host) or (_TRIED if tried else "Push again: a push can be repeated."),
        temporary=not tried and bool(_TEMPORARY.search(words)),
    )
