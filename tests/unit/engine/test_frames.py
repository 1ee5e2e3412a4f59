"""Streams of JSON: each object once, every kind of error as an EngineError in the engine's words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import urllib3.exceptions

from tinyship.engine.faults import said, translated
from tinyship.engine.frames import Silence, StreamError, frames
from tinyship.errors import EngineError


class Answer(requests.Response):
    """An answer whose body comes in these chunks, and may end in an error."""

    def __init__(self, *chunks: bytes, status: int = 200, error: Exception | None = None) -> None:
        super().__init__()
        self.status_code = status
        self.url = "http://engine/build"
        self.chunks = chunks
        self.error = error
        self.closed = False
        self._content = b"".join(chunks)

    def iter_content(self, chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        yield from self.chunks
        if self.error:
            raise self.error

    def close(self) -> None:
        self.closed = True


BODY = b'{"stream":"Step 1"}\r\n{"status":"gr\xc3\xb6\xc3\x9fer"}\n\n{"aux":{"ID":"x"}}'
OBJECTS = [{"stream": "Step 1"}, {"status": "größer"}, {"aux": {"ID": "x"}}]


@pytest.mark.parametrize("step", [1, 2, 5, 19, 20, 21, 1000])
def test_objects_however_they_are_cut(step: int) -> None:
    """Lines may be split across chunks anywhere, be several in one, and lack the last line end."""
    answer = Answer(*(BODY[start : start + step] for start in range(0, len(BODY), step)))
    assert list(frames(answer, what="building")) == OBJECTS
    assert answer.closed


def test_object_comes_at_once() -> None:
    """An object is given before the next one was read."""
    stream = frames(Answer(b'{"a":1}\n', error=AssertionError("read on")), what="building")
    assert next(stream) == {"a": 1}


def test_leaving_closes() -> None:
    """A stream that is left early is closed."""
    answer = Answer(BODY)
    stream = frames(answer, what="building")
    next(stream)
    stream.close()
    assert answer.closed


@pytest.mark.parametrize(
    ("frame", "words", "code"),
    [
        ({"errorDetail": {"message": "it broke", "code": 7}, "error": "it broke"}, "it broke", 7),
        ({"errorDetail": {"message": "it broke"}}, "it broke", None),
        ({"error": "it broke"}, "it broke", None),
        ({"errorDetail": {"code": 1}}, "the engine gave no reason", 1),
    ],
)
def test_error_after_progress(frame: dict[str, Any], words: str, code: int | None) -> None:
    """What came before is given, then the engine's words are the error, with the exit code where there is one."""
    answer = Answer(b'{"status":"fine"}\n', json.dumps(frame).encode() + b"\n", b'{"status":"never"}\n')
    stream = frames(answer, what="building foo")
    assert next(stream) == {"status": "fine"}
    with pytest.raises(StreamError) as caught:
        next(stream)
    assert (str(caught.value), caught.value.words, caught.value.code) == (f"building foo: {words}", words, code)
    assert answer.closed


@pytest.mark.parametrize("body", [b'{"status":', b'{"a":1}\n{"b"', b"<html>bad gateway</html>", b"\xff\xfe\n"])
def test_no_json(body: bytes) -> None:
    """What is no JSON, or the half of it, is an error that says so."""
    with pytest.raises(EngineError, match="pulling base: the engine cut its answer short"):
        list(frames(Answer(body), what="pulling base"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (requests.exceptions.ChunkedEncodingError("broken"), "the engine closed the connection"),
        (urllib3.exceptions.ProtocolError("broken"), "the engine closed the connection"),
        (ConnectionResetError(104, "Connection reset by peer"), "connection to the engine failed .Connection reset"),
    ],
)
def test_cut_stream(error: Exception, message: str) -> None:
    """A connection that ends is an error, after what came before."""
    answer = Answer(b'{"a":1}\n', error=error)
    stream = frames(answer, what="pushing foo")
    assert next(stream) == {"a": 1}
    with pytest.raises(EngineError, match=f"^pushing foo: .*{message}"):
        next(stream)
    assert answer.closed


def test_silence() -> None:
    """An engine that says nothing for too long has an error of its own."""
    late = requests.exceptions.ConnectionError(urllib3.exceptions.ReadTimeoutError(None, "", "Read timed out."))  # type: ignore[arg-type]
    with pytest.raises(Silence, match="building: the engine said nothing for too long"):
        list(frames(Answer(error=late), what="building"))


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, b'{"message":"No such image: foo"}', "No such image: foo"),
        (500, b"plain words", "plain words"),
        (409, b'{"message":"Error response from daemon: conflict"}', "conflict"),
    ],
)
def test_refused(status: int, body: bytes, words: str) -> None:
    """An answer that is an error from the first is told in the engine's words."""
    answer = Answer(body, status=status)
    answer.headers["Content-Type"] = "application/json"
    with pytest.raises(EngineError, match=rf"^tagging: {words}$"):
        list(frames(answer, what="tagging"))
    assert answer.closed


def test_error_without_words() -> None:
    """An engine that gives no reason is quoted so."""
    assert said(Exception(" ")) == "the engine gave no reason"
    assert said(Exception("first\nsecond")) == "first"


def test_others_errors_pass() -> None:
    """What is no fault of the engine's is not turned into one."""
    with pytest.raises(KeyError), translated("tagging"):
        raise KeyError("a bug")
