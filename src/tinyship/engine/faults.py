"""The one place where the exceptions of docker-py and of the libraries below it become tinyship's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tinyship.errors import EngineError


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what docker-py, requests and urllib3 raise into EngineError.

    Args:
        what: what was being done, as a phrase that "failed" or "cannot" can follow: "tagging lacion/foo:local".
    """
    import docker.errors
    import requests
    import urllib3.exceptions

    try:
        yield
    except docker.errors.APIError as error:
        raise EngineError(f"{what}: {said(error)}") from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as error:
        raise EngineError(f"{what}: the engine did not answer in time") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError) as error:
        raise EngineError(f"{what}: {_connection(error)}", hint="Is the engine still running?") from error
    except docker.errors.DockerException as error:
        raise EngineError(f"{what}: {error}") from error


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
