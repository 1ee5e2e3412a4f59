"""Makes `docs/release.svg` from a real run of the demonstration on a terminal of its own.

python -m tools.picture     `./dev picture` calls it
"""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from itertools import groupby
from pathlib import Path

import pyte
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tools import demo

COLUMNS, LINES = 118, 200
TARGET = Path(__file__).resolve().parent.parent / "docs" / "release.svg"


def run(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, pyte.Screen]:
    """Run a command on a terminal; returns its exit code and what the terminal shows at the end."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            break
        if not data:
            break
        stream.feed(data)
    os.close(ours)
    return process.wait(), screen


def lines(screen: pyte.Screen) -> list[Text]:
    """What a screen shows, with its colours, down to the last line that is not empty."""
    shown = []
    for number in range(screen.lines):
        text = Text()
        cells = [screen.buffer[number][column] for column in range(screen.columns)]
        for (name, bold), run in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
            color = None if name == "default" else Color.parse("yellow" if name == "brown" else name)
            text.append("".join(cell.data for cell in run), Style(color=color, bold=bold))
        text.rstrip()
        shown.append(text)
    while shown and not shown[-1].plain:
        shown.pop()
    return shown


def main() -> None:
    """Make the picture."""
    environment = {**demo.environment(), "TERM": "xterm-256color"}
    for name in ("CI", "NO_COLOR"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "invoke", *demo.WORDS]
    with demo.repository() as root:
        code, screen = run(command, root / "foo", environment)
    picture = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115, PTH123
    picture.print(Text(f"$ invoke {' '.join(demo.WORDS)}", style="bold"))
    for line in lines(screen):
        picture.print(line, no_wrap=True, overflow="crop", crop=True)
    if code:
        raise SystemExit(f"the demonstration failed with exit code {code}")
    picture.save_svg(str(TARGET), title="examples/foo")
    print(TARGET.relative_to(Path.cwd()))


if __name__ == "__main__":
    main()
