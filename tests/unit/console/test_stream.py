"""Streams: what they cannot show is replaced, a reader that left is no error."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from tinyship.console.stream import Stream


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", b"gr??e ?\n"), ("latin-1", b"gr\xf6\xdfe ?\n")])
def test_stream_that_cannot_encode(encoding: str, shown: bytes) -> None:
    """A question mark stands for what the encoding lacks."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding)
    Stream(file).line("größe ☺")
    assert raw.getvalue() == shown


def test_name_that_is_not_utf8() -> None:
    """A file name's bytes that are no UTF-8 are replaced too."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, "utf-8")
    Stream(file).line("caf\udce9")
    assert raw.getvalue() == b"caf?\n"


def test_writes_at_once() -> None:
    """Every line is out when the call returns, none waits in a buffer."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, "utf-8", line_buffering=False)
    Stream(file).line("now")
    assert raw.getvalue() == b"now\n"


def test_reader_that_left() -> None:
    """A broken pipe drops what is written, and the work goes on to its end without a complaint."""
    script = (
        "import sys\n"
        "from tinyship.console.console import Console\n"
        "from tinyship.events import Notice\n"
        "sys.stdin.readline()\n"
        "with Console() as console:\n"
        "    for number in range(2000):\n"
        "        console.say('x' * 100)\n"
        "    console.event(Notice('still at work'))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stdin.write("\n")
        process.stdin.close()
        assert process.stderr.read() == "note: still at work\n"
        assert process.wait(10) == 0
