"""A few lines at the end of a terminal's output that are drawn anew again and again; what is printed goes above."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.console import Console as Terminal
from rich.text import Text

_PERIOD = 0.1
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"
_TO_END_OF_LINE, _TO_END_OF_SCREEN = "\x1b[K", "\x1b[J"


class Canvas:
    """Draws ten times a second, in a thread of its own, between ``start`` and ``stop``.

    Args:
        terminal: where to.
        lock: held while it asks and draws; the caller's own, so that nothing changes meanwhile.
        lines: gives what is to be seen now, for a window of so many columns and lines; each fits into its line.
    """

    def __init__(self, terminal: Terminal, lock: threading.RLock, lines: Callable[[int, int], Sequence[Text]]) -> None:
        self._terminal = terminal
        self._lock = lock
        self._lines = lines
        self._drawn: list[int] = []
        self._stopped: threading.Event | None = None

    def start(self) -> None:
        """Begin to draw, where that is not so already."""
        with self._lock:
            if self._stopped is None:
                self._stopped = threading.Event()
                self._write(_HIDE)
                threading.Thread(target=self._keep_drawing, args=(self._stopped,), daemon=True, name="canvas").start()

    def stop(self) -> None:
        """Clear what is drawn, and give the terminal back."""
        with self._lock:
            if self._stopped is not None:
                self._stopped.set()
                self._stopped = None
                self._write(f"{self._back()}{_TO_END_OF_SCREEN}{_SHOW}")
                self._drawn = []

    def print(self, text: Text) -> None:
        """A line that stays."""
        with self._lock:
            back = self._back()
            self._drawn = []
            self._write(f"{back}{self._encoded(text)}{_TO_END_OF_LINE if back else ''}\n{self._drawing(back)}")

    def draw(self) -> None:
        """Draw now what is to be seen."""
        with self._lock:
            if self._stopped is not None:
                back = self._back()
                self._drawn = []
                self._write(f"{back}{self._drawing(back)}")

    def _keep_drawing(self, stopped: threading.Event) -> None:
        while not stopped.wait(_PERIOD):
            with self._lock:
                if not stopped.is_set():
                    self.draw()

    def _drawing(self, back: str) -> str:
        if self._stopped is None:
            return ""
        width, height = self._terminal.size
        lines = self._lines(width - 1, height - 1)  # a full line leaves the cursor where terminals do not agree
        self._drawn = [cell_len(line.plain) for line in lines]
        rest = _TO_END_OF_SCREEN if back else ""
        return "".join(f"{self._encoded(line)}{_TO_END_OF_LINE}\n" for line in lines) + rest

    def _back(self) -> str:
        """To where the drawing begins; lines that a window became too narrow for were folded by the terminal."""
        width = max(1, self._terminal.size.width)
        rows = sum(max(1, -(-cells // width)) for cells in self._drawn)
        return f"\r\x1b[{rows}A" if rows else ""

    def _encoded(self, text: Text) -> str:
        with self._terminal.capture() as captured:
            self._terminal.print(text, soft_wrap=True, end="")
        return captured.get()

    def _write(self, data: str) -> None:
        if data:
            self._terminal.file.write(data)
            self._terminal.file.flush()
