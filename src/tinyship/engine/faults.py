"""The one place where the exceptions of docker-py and of the libraries below it become tinyship's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tinyship.errors import EngineError
from tinyship.running import cancelling


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what docker-py, requests and urllib3 raise into EngineError.

    Args:
        what: what was being done, as a phrase that "failed" or "cannot" can follow: "tagging lacion/foo:local".
    """
    try:
        with cancelling.current().telling():
            yield
    except Exception as error:
        known = _known(error, what)
        if known is None:
            raise
        raise known from error


def _known(error: Exception, what: str) -> EngineError | None:
    """What people are told of an exception; None where it is none of these libraries'."""
    import docker.errors  # which whoever asked may have needed for nothing else
    import requests
    import urllib3.exceptions

    if isinstance(error, docker.errors.APIError):
        return EngineError(f"{what}: {said(error)}")
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return EngineError(f"{what}: the engine did not answer in time")
    if isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError | ConnectionError):
        return EngineError(f"{what}: {_connection(error)}", hint="Is the engine still running?")
    if isinstance(error, docker.errors.DockerException):
        return EngineError(f"{what}: {error}")
    return None


def status(error: Exception) -> int | None:
    """The status of the engine's answer, where docker-py raised that; else None."""
    found: int | None = getattr(getattr(error, "response", None), "status_code", None)
    return found


def said(error: Exception) -> str:
    """What the engine said of an error, without the HTTP around it.

    Args:
        error: docker-py's APIError.
    """
    words = str(getattr(error, "explanation", None) or error).strip()
    return words.partition("\n")[0].removeprefix("Error response from daemon: ") or "the engine gave no reason"


def read_timed_out(error: BaseException | None) -> bool:
    """Whether a time-out of a read is somewhere in an exception's causes, as urllib3 wraps them."""
    seen = 0
    while error is not None and seen < 10:
        if "timed out" in str(error).lower():
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def _connection(error: Exception) -> str:
    """A connection's error in words: the innermost cause says it best."""
    if read_timed_out(error):
        return "the engine did not answer in time"
    innermost: BaseException = error
    while innermost.__cause__ or innermost.__context__:
        innermost = innermost.__cause__ or innermost.__context__ or innermost
    if isinstance(innermost, OSError) and innermost.strerror:
        return f"the connection to the engine failed ({innermost.strerror})"
    return "the engine closed the connection"
