"""The live display, as it looks on a terminal: a process on a pseudo-terminal, its output drawn by pyte."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass

import pyte
import pytest

PROLOGUE = """
import time
from tinyship.console.console import Console
from tinyship.events import *
def pause(): time.sleep(0.25)
console = Console()
event = console.event
"""


@dataclass
class Screens:
    """Everything that was to be seen, and what was left in the end."""

    seen: list[list[str]]
    code: int
    raw: str
    cursor_hidden: bool

    @property
    def last(self) -> list[str]:
        return self.seen[-1]

    def ever(self, *words: str) -> bool:
        """Whether a screen had a line with all of these."""
        return any(all(word in line for word in words) for screen in self.seen for line in screen)


def run(script: str, *, columns: int = 80, rows: int = 24, variables: dict[str, str] | None = None) -> Screens:
    """Run a script on a terminal."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", PROLOGUE + script],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env={**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1", **(variables or {})},
    )
    os.close(inner)
    screen = pyte.Screen(columns, rows)
    stream = pyte.ByteStream(screen)
    seen: list[list[str]] = []
    raw = bytearray()
    try:
        while True:
            try:
                data = os.read(outer, 65_536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not data:
                break
            raw += data
            stream.feed(data)
            seen.append([line.rstrip() for line in screen.display if line.strip()])
        code = process.wait(10)
    finally:
        process.kill()
        process.wait()
        os.close(outer)
    return Screens(seen, code, raw.decode(), screen.cursor.hidden)


def test_build() -> None:
    """Steps, what is cached and the running step's lines are seen; one line for the image is left."""
    screens = run("""
with console:
    event(StageStarted("build", "foo:build", "building from Dockerfile"))
    event(Step("1", 1, 2, "FROM scratch", "running"))
    event(Step("1", 1, 2, "FROM scratch", "cached"))
    event(Step("2", 2, 2, "RUN make", "running"))
    event(Log("2", "\\x1b[31mcompiling\\x1b[0m"))
    pause()
    event(Step("2", 2, 2, "RUN make", "done", 1.5))
    pause()
    event(StageEnded("build", "foo:build", "built", 2.0))
console.say("the result")
""")
    assert screens.code == 0
    assert screens.ever("build", "foo:build", "building from Dockerfile")
    assert screens.ever("[1/2] FROM scratch", "CACHED")
    assert screens.ever("[2/2] RUN make", "0.")
    assert screens.ever("      compiling")
    assert screens.ever("[2/2] RUN make", "1.5s")
    assert screens.last == ["✓ build   foo:build  built  2.0 s", "the result"]
    assert not screens.cursor_hidden


def test_failed_step_stays() -> None:
    """After an error the failed step and the image are left, the steps before are not."""
    screens = run("""
with console:
    event(StageStarted("build", "foo:build", "building"))
    event(Step("1", 1, 2, "FROM scratch", "done", 0.5))
    event(Step("2", 2, 2, "RUN false", "running"))
    pause()
    event(Step("2", 2, 2, "RUN false", "failed", 3.0))
    raise SystemExit(3)
""")
    assert screens.code == 3
    assert screens.ever("[1/2] FROM scratch")
    assert screens.last[0].strip() == "[2/2] RUN false  3.0s"
    assert screens.last[1].startswith("✗ build   foo:build  failed")
    assert len(screens.last) == 2
    assert not screens.cursor_hidden


def test_one_line_for_each_image() -> None:
    """Images one after the other and two at a time leave one line each, in the order in which they ended."""
    screens = run("""
with console:
    event(StageStarted("build", "foo:build", "building"))
    event(StageStarted("build", "bar:build", "building"))
    pause()
    event(StageEnded("build", "bar:build", "up to date", 1.0))
    pause()
    event(StageEnded("build", "foo:build", "built", 2.0))
    event(StageStarted("release", "foo:1", "building"))
    event(StageEnded("release", "foo:1", "built", 3.0))
""")
    assert any(
        any("foo:build" in line for line in screen) and any("bar:build" in line for line in screen)
        for screen in screens.seen
    )
    assert [" ".join(line.split()[:3]) for line in screens.last] == [
        "✓ build bar:build",
        "✓ build foo:build",
        "✓ release foo:1",
    ]


def test_notices_and_containers_stay() -> None:
    """Notices and what a container writes are left above; codes in it are not obeyed."""
    screens = run("""
with console:
    event(StageStarted("build", "foo:build", "building"))
    event(Notice("mind [bold]this[/bold]", "warning"))
    event(Log("app", "\\x1b[2J\\x1b]0;title\\x07hello"))
    pause()
    event(StageEnded("build", "foo:build", "built", 2.0))
""")
    assert screens.last == ["! mind [bold]this[/bold]", "  hello", "✓ build   foo:build  built  2.0 s"]
    assert "title" not in screens.raw


def test_transfers() -> None:
    """What moves is seen with its size while it moves."""
    screens = run("""
with console:
    event(StageStarted("push", "foo:1", "pushing"))
    event(Transfer("abc", "pushing", 1_000_000, 4_000_000))
    event(Transfer("context", "sending", 2_000_000))
    pause()
    event(Transfer("abc", "pushing", 4_000_000, 4_000_000, done=True))
    pause()
    event(StageEnded("push", "foo:1", "pushed", 2.0))
""")
    assert screens.ever("pushing abc", "1 MB of 4 MB")
    assert screens.ever("sending context", "2 MB")
    assert screens.last == ["✓ push    foo:1  pushed  2.0 s"]


def test_narrow_terminal() -> None:
    """Long names are cut to the width while they run, and nothing of them is left behind."""
    screens = run(
        """
with console:
    event(StageStarted("build", "registry.example.com/some/image:build", "building from Dockerfile.build"))
    event(Step("1", 1, 1, "RUN " + "long " * 40, "running"))
    event(Log("1", "line " * 40))
    pause()
    pause()
    event(StageEnded("build", "foo", "built", 2.0))
    event(StageEnded("build", "registry.example.com/some/image:build", "built", 2.0))
""",
        columns=30,
    )
    assert screens.code == 0
    assert screens.ever("[1/1] RUN long", "…")
    running = [screen for screen in screens.seen if not any("✓" in line for line in screen)]
    assert max(len(screen) for screen in running) == 3
    assert "".join(screens.last).replace(" ", "") == (
        "✓buildfoobuilt2.0s✓buildregistry.example.com/some/image:buildbuilt2.0s"
    )


@pytest.mark.parametrize("name", ["NO_COLOR", "CI"])
def test_plain_on_a_terminal(name: str) -> None:
    """NO_COLOR and CI give plain lines on a terminal too, tables included."""
    screens = run(
        """
with console:
    event(StageStarted("build", "foo:build", "building"))
    event(StageEnded("build", "foo:build", "built", 2.0))
    console.table(("name",), [("value",)])
""",
        variables={name: "1"},
    )
    assert "\x1b" not in screens.raw
    assert screens.last == ["build foo:build: building", "build foo:build: built (2.0 s)", "name", "value"]


def test_many_lines_do_not_lock_up() -> None:
    """Printing and the display's own thread take their locks without waiting for each other for ever."""
    screens = run("""
import faulthandler, threading
faulthandler.dump_traceback_later(8, exit=True)
def shout():
    until = time.monotonic() + 0.8
    while time.monotonic() < until:
        event(Log("app", "line"))
        event(Log("1", "step's"))
with console:
    event(StageStarted("build", "foo:build", "building"))
    event(Step("1", 1, 1, "RUN make", "running"))
    threads = [threading.Thread(target=shout) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    event(StageEnded("build", "foo:build", "built", 2.0))
""")
    assert screens.code == 0
    assert screens.last[-1] == "✓ build   foo:build  built  2.0 s"


PARALLEL = """
with console:
    event(StageStarted("release", "foo:1", "building"))
    event(Step("1", 0, 0, "[internal] load build definition", "running", internal=True))
    event(Step("1", 0, 0, "[internal] load build definition", "done", 0.01, internal=True))
    for number in range(2, 9):
        event(Step(str(number), 1, 1, f"COPY {number} /", "cached"))
    event(Step("9", 2, 3, "RUN echo größe 日本", "running", part="a"))
    event(Step("10", 2, 3, "RUN make b", "running", part="b"))
    for number in range(9):
        event(Log("9", f"first {number}"))
        event(Log("10", f"second {number}"))
    event(Step("11", 0, 0, "[internal] load build context", "running", internal=True))
    event(Transfer("context", "transferring", 12_300_000, step="11"))
    pause()
    pause()
    event(Step("11", 0, 0, "[internal] load build context", "done", 0.4, internal=True))
    pause()
    event(StageEnded("release", "foo:1", "built", 2.0))
"""


def test_steps_at_once() -> None:
    """Each running step has its last lines below it; what moves has its size; the builder's quick work is not seen."""
    screens = run(PARALLEL)
    assert screens.code == 0
    assert any(
        [line.strip() for line in screen if line.startswith("      ")]
        == [f"{word} {number}" for word in ("first", "second") for number in range(3, 9)]
        + ["transferring context  12.3 MB"]
        for screen in screens.seen
    )
    assert screens.ever("    CACHED [1/1] COPY 2 /")
    assert screens.ever("    [a 2/3] RUN echo größe 日本  ", "s")
    assert screens.ever("    load build context  ", "12.3 MB  0.4s")
    assert not screens.ever("load build definition")
    assert screens.last == ["✓ release foo:1  built  2.0 s"]


def test_short_window() -> None:
    """What runs is seen first, then what moves, then the last lines, then what is done; it never scrolls."""
    screens = run(PARALLEL, rows=8)
    assert screens.code == 0
    full = next(screen for screen in reversed(screens.seen) if any("transferring" in line for line in screen))
    assert [line.strip().partition("  ")[0] for line in full[1:]] == [
        "[a 2/3] RUN echo größe 日本",
        "first 8",
        "[b 2/3] RUN make b",
        "second 8",
        "load build context",
        "transferring context",
    ]
    assert screens.last == ["✓ release foo:1  built  2.0 s"]


def test_tiny_window() -> None:
    """A window without room shows nothing while it runs, and what came of it in the end."""
    screens = run(PARALLEL, rows=1, columns=10)
    assert screens.code == 0
    assert not screens.ever("RUN")


def test_lines_of_an_image_stay_with_it() -> None:
    """Steps of images that are built at once are told apart though they have the same numbers."""
    screens = run("""
with console:
    tell = {}
    for image in ("api", "web"):
        event(StageStarted("build", image, "building"))
        tell[image] = about(image, event)
    for image in ("api", "web"):
        tell[image](Step("1", 1, 1, f"RUN make {image}", "running"))
        tell[image](Log("1", f"line of {image}"))
    pause()
    for image in ("api", "web"):
        event(StageEnded("build", image, "built", 2.0))
""")
    assert any(
        [line.strip().partition("  ")[0] for line in screen if line[0] not in "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"]
        == ["[1/1] RUN make api", "line of api", "[1/1] RUN make web", "line of web"]
        for screen in screens.seen
    )


def test_ascii_terminal() -> None:
    """A terminal without Unicode gets marks that it has."""
    screens = run(PARALLEL, variables={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert screens.code == 0
    assert screens.last == ["+ release foo:1  built  2.0 s"]
    assert screens.ever("RUN echo gr??e ??")


def test_interrupted() -> None:
    """What ran when Ctrl-C came is left, and the cursor is there again."""
    screens = run("""
try:
    with console:
        event(StageStarted("build", "foo:build", "building"))
        event(Step("1", 1, 2, "RUN true", "done", 0.5))
        event(Step("2", 2, 2, "RUN sleep 60", "running"))
        pause()
        raise KeyboardInterrupt
except KeyboardInterrupt:
    print("after")
""")
    assert screens.last[0].startswith("    [2/2] RUN sleep 60  0.")
    assert screens.last[1].startswith("✗ build   foo:build  interrupted")
    assert screens.last[2:] == ["after"]
    assert not screens.cursor_hidden


def test_several_images() -> None:
    """A line for each that runs, with its step; one that fails keeps its line and the failed step, others go on."""
    screens = run(
        """
for name in "abcd":
    event(StageStarted("release", name, "building"))
    event(Step("1", 2, 3, f"RUN make {name}", "running", image=name))
pause()
pause()
event(Step("1", 2, 3, "RUN make b", "failed", 0.5, error="exit code 1", image="b"))
event(StageFailed("release", "b", "`RUN make b` failed\\nmore"))
pause()
for name in "acd":
    event(StageEnded("release", name, "built", 1.0))
pause()
"""
    )
    assert all(screens.ever("release", name, f"[2/3] RUN make {name}") for name in "abcd")
    left = [line.strip() for line in screens.last if line.strip()]
    assert [line.split("  ")[0] for line in left] == [
        "[2/3] RUN make b",
        "✗ release b",
        "✓ release a",
        "✓ release c",
        "✓ release d",
    ]
    assert left[1].startswith("✗ release b  failed: `RUN make b` failed  ")
