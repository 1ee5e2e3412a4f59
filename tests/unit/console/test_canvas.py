"""The canvas: lines that are drawn anew at the end of a terminal's output, whose window changes its size."""

from __future__ import annotations

import io
import threading

import pyte
import pytest
from rich.console import Console as Terminal
from rich.console import ConsoleDimensions
from rich.text import Text

from tinyship.console.canvas import Canvas


class Window:
    """A terminal's window that folds its lines anew when it becomes narrower, as most do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, width: int, height: int) -> None:
        self.file = io.StringIO()
        self.height = height
        self.shown = ["wide " * 4, "short"]
        self.terminal = Terminal(file=self.file, force_terminal=True, color_system=None)
        monkeypatch.setattr("tinyship.console.canvas._PERIOD", 60)
        self.canvas = Canvas(self.terminal, threading.RLock(), self._lines)
        self.resize(width)

    def resize(self, width: int) -> None:
        self.width = width
        self.terminal.size = ConsoleDimensions(width, self.height)

    def _lines(self, width: int, height: int) -> list[Text]:
        return [self._cut(text, width) for text in self.shown]

    def _cut(self, text: str, width: int) -> Text:
        line = Text(text)
        line.truncate(width)
        return line

    def screen(self) -> list[str]:
        """What is to be seen after all that was written so far, in a window as wide as it is now."""
        screen = pyte.Screen(self.width, self.height)
        screen.set_mode(pyte.modes.LNM)
        pyte.Stream(screen).feed(self.file.getvalue())
        return [line.rstrip() for line in screen.display if line.strip()]


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Window:
    """One of 40 columns."""
    return Window(monkeypatch, 40, 10)


def test_print_goes_above(window: Window) -> None:
    """What is printed stays above what is drawn, which is gone at the end."""
    window.canvas.print(Text("before"))
    window.canvas.start()
    window.canvas.draw()
    window.canvas.print(Text("printed"))
    assert window.screen() == ["before", "printed", "wide wide wide wide", "short"]
    window.shown = ["one"]
    window.canvas.draw()
    assert window.screen() == ["before", "printed", "one"]
    window.canvas.stop()
    assert window.screen() == ["before", "printed"]


def test_narrower_window(window: Window) -> None:
    """Lines that the terminal folded are gone with the next drawing."""
    window.canvas.print(Text("before"))
    window.canvas.start()
    window.canvas.draw()
    window.resize(12)
    window.canvas.draw()
    assert window.screen() == ["before", "wide wide w", "short"]


def test_start_and_stop_again(window: Window) -> None:
    """It may be stopped twice, drawn on after its end, and started anew."""
    window.canvas.start()
    window.canvas.draw()
    window.canvas.stop()
    window.canvas.stop()
    window.canvas.draw()
    assert window.screen() == []
    window.canvas.start()
    window.canvas.draw()
    assert window.screen() == ["wide wide wide wide", "short"]
