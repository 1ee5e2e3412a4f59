"""Why a build failed: what engines say, in the words of tinyship."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from tinyship.context.source import Context
from tinyship.engine.buildkit.channel import UNAVAILABLE, RpcError
from tinyship.engine.buildkit.failure import in_words
from tinyship.engine.buildkit.progress import Progress
from tinyship.engine.buildkit.proto.control_pb2 import StatusResponse
from tinyship.engine.buildkit.proto.errors_pb2 import Any, Status
from tinyship.errors import BuildFailed, EngineError
from tinyship.events import ignore

TEXT = "FROM alpine AS one\nRUN make \\\n  all\nFROM one AS two\nCOPY a /\n"


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    """A build of a Dockerfile of two stages."""
    (tmp_path / "Dockerfile").write_text(TEXT)
    return Progress(ignore, Context(tmp_path, tmp_path / "Dockerfile", "Dockerfile", ()))


def fail(progress: Progress, name: str, error: str) -> None:
    """Let a step fail."""
    times = {"started": {"seconds": 1}, "completed": {"seconds": 2}}
    progress.read(StatusResponse(vertexes=[{"digest": name, "name": name, "error": error, **times}]))


def details(text: str, *lines: int, kind: str = "github.com/moby/buildkit/errdefs.Source+json") -> bytes:
    """A status with the lines that an error is about, as engines since 23 send it."""
    ranges = [{"start": {"line": line}, "end": {"line": line}} for line in lines]
    source = {"info": {"filename": "Dockerfile", "data": base64.b64encode(text.encode()).decode()}, "ranges": ranges}
    stack = Any(type_url="github.com/moby/buildkit/stack.Stack+json", value=b"{}")
    return Status(details=[stack, Any(type_url=kind, value=json.dumps(source).encode())]).SerializeToString()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("executor failed running [/bin/sh -c x]: exit code: 7", "exit code 7"),
        ('process "/bin/sh -c x" did not complete successfully: exit code: 7', "exit code 7"),
        ('failed to compute cache key: "/nothing" not found: not found', '"/nothing" not found'),
        ("two\n  lines", "two lines"),
        (
            'failed to compute cache key: failed to calculate checksum of ref 5e3f20c9::z05v: "/nothing": not found',
            '"/nothing": not found',
        ),
        (
            "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error "
            "line 2: unknown instruction: NONSENSE",
            "unknown instruction: NONSENSE",
        ),
        (
            'a: failed to resolve source metadata for docker.io/a:1: failed to do request: Head "https://x": not there',
            'Head "https://x": not there',
        ),
    ],
)
def test_words(said: str, words: str) -> None:
    """What BuildKit says around a reason is left out."""
    assert in_words(said) == words


@pytest.mark.parametrize("sent", [b"", details(TEXT, 2, 3)])
def test_step(progress: Progress, sent: bytes) -> None:
    """The step, its exit code, its lines: told by BuildKit, or found in the Dockerfile."""
    fail(progress, "[one 2/2] RUN make   all", 'process "make all" did not complete successfully: exit code: 2')
    error = progress.failure(RpcError(2, "exit code: 2", sent))
    assert isinstance(error, BuildFailed)
    assert error.message == "step 2/2 of one `RUN make all` failed with exit code 2"
    assert error.source
    assert (error.source.file, error.source.marked) == ("Dockerfile", (2, 3))


@pytest.mark.parametrize("sent", [b"\xff", details("", 9), details(TEXT, 2, kind="errdefs.Other"), b"\x1a\x02\x0a\x00"])
def test_details_that_say_nothing(progress: Progress, sent: bytes) -> None:
    """Details that cannot be read, or are about something else, take nothing from the error."""
    error = progress.failure(RpcError(2, "dockerfile parse error line 5: no", sent))
    assert error.source
    assert (error.message, error.source.marked) == ("the Dockerfile cannot be built: no", (5,))


def test_newer_text_than_the_file(progress: Progress, tmp_path: Path) -> None:
    """The lines shown are those that were built, even if the file changed meanwhile."""
    (tmp_path / "Dockerfile").write_text("")
    error = progress.failure(RpcError(2, "no", details("FROM a\nOLD b\n", 2)))
    assert error.source
    assert error.source.lines == ("FROM a", "OLD b")


def test_canceled_steps_are_not_the_cause(progress: Progress) -> None:
    """What was canceled because another step failed is not blamed."""
    fail(progress, "[one 2/2] RUN make all", "exit code: 137: context canceled: context canceled")
    fail(progress, "[two 1/1] COPY a /", '"/a" not found: not found')
    error = progress.failure(RpcError(2, '"/a" not found'))
    assert error.message == 'step 1/1 of two `COPY a /` failed: "/a" not found'
    assert ".dockerignore" in error.hint


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RpcError(UNAVAILABLE, "BuildKit closed the connection"), "the engine went away during the build"),
        (RpcError(1, "context canceled"), "the engine ended the build"),
    ],
)
def test_engine_that_ended(progress: Progress, error: RpcError, message: str) -> None:
    """An engine that went away is not a Dockerfile that is no good, even while a step ran."""
    fail(progress, "[one 2/2] RUN make all", "context canceled")
    found = progress.failure(error)
    assert type(found) is EngineError
    assert found.message.startswith(message)


@pytest.mark.parametrize(("target", "hint"), [("tow", "Did you mean two?"), ("other", "Its stages are one, two.")])
@pytest.mark.parametrize("quote", ["", '"'])
def test_unknown_target(progress: Progress, target: str, hint: str, quote: str) -> None:
    """The stage that was meant is proposed."""
    error = progress.failure(RpcError(2, f"target stage {quote}{target}{quote} could not be found"))
    assert (error.message, error.hint) == (f"Dockerfile has no stage {target}, which is the target", hint)
