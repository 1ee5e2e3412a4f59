"""Every JSON stream of an engine: one object a line, and any error in it is an error."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from tinyship.engine.faults import read_timed_out, translated
from tinyship.errors import EngineError

if TYPE_CHECKING:
    import requests


class Silence(EngineError):
    """The engine sent nothing for as long as it may be silent."""


def frames(response: requests.Response, *, what: str) -> Generator[dict[str, Any]]:
    """The objects of a stream, as they come.

    The engine answers 200 before it knows how the work ends, so errors come as objects: ``errorDetail``, and ``error``
    for engines that still send that alone (Engine API, "Create an image").

    Args:
        response: of a request made with ``stream=True``; closed when the stream is left.
        what: what is being done, for error messages.

    Raises:
        EngineError: the engine refused, sent an error, or cut the stream; Silence where it said nothing for too long.
    """
    import requests
    import urllib3.exceptions

    try:
        with translated(what):
            _raise_for_status(response)
        for line in _lines(response):
            frame = json.loads(line)
            if not isinstance(frame, dict):
                raise ValueError("no object")
            if detail := frame.get("errorDetail") or frame.get("error"):
                message = detail.get("message", "") if isinstance(detail, dict) else str(detail)
                raise StreamError(message or "the engine gave no reason", what=what, detail=detail)
            yield frame
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        if read_timed_out(error):
            raise Silence(f"{what}: the engine said nothing for too long") from error
        with translated(what):
            raise
    except ValueError as error:
        raise EngineError(f"{what}: the engine cut its answer short") from error
    finally:
        response.close()


class StreamError(EngineError):
    """An error object in a stream.

    Args:
        message: the engine's words.
        what: what was being done.
        detail: the object, which for a failed step holds its exit code as ``code``.
    """

    def __init__(self, message: str, *, what: str, detail: Any) -> None:
        super().__init__(f"{what}: {message}")
        self.words = message
        self.code = detail.get("code") if isinstance(detail, dict) else None


def _raise_for_status(response: requests.Response) -> None:
    import requests
    from docker.errors import create_api_error_from_http_exception

    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)


def _lines(response: requests.Response) -> Iterator[bytes]:
    """The lines of a body as its chunks come, however they are cut."""
    rest = bytearray()
    for chunk in response.iter_content(chunk_size=None):
        start = len(rest)
        rest += chunk
        if b"\n" not in memoryview(rest)[start:].tobytes():
            continue
        *whole, last = rest.split(b"\n")
        yield from (bytes(line) for line in whole if line.strip())
        rest = last
    if rest.strip():
        yield bytes(rest)
