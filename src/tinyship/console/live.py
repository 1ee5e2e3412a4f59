"""Events on a terminal: what runs is shown as it runs, and becomes one line when it is done."""

from __future__ import annotations

import threading
import time

from rich.console import Console as Terminal
from rich.text import Text

from tinyship.codes import without_codes
from tinyship.console import layout
from tinyship.console.canvas import Canvas
from tinyship.console.layout import Running, Work
from tinyship.events import Event, Log, Notice, Reason, StageEnded, StageFailed, StageStarted, Step, Transfer
from tinyship.units import seconds


class LiveDisplay:
    """Shows steps, times, transfers and the last lines of what runs; keeps a line for each image that is done."""

    def __init__(self, terminal: Terminal) -> None:
        self._lock = threading.RLock()
        self._works: dict[tuple[str, str], Work] = {}
        self._canvas = Canvas(terminal, self._lock, self._lines)
        self._ascii = terminal.options.ascii_only

    def event(self, event: Event) -> None:
        """Show one event."""
        with self._lock:
            match event:
                case StageStarted(stage, image, action):
                    self._works[stage, image] = Work(stage, image, action, time.monotonic())
                    self._canvas.start()
                case StageEnded(stage, image, outcome, took):
                    self._works.pop((stage, image), None)
                    self._canvas.print(self._ended("✓", "green", stage, image, outcome, took))
                    if not self._works:
                        self.close()
                case StageFailed():
                    self._failed(event)
                case Step():
                    self._step(event)
                case Log():
                    self._log(event)
                case Transfer():
                    self._transfer(event)
                case Notice(text, level):
                    style = "yellow" if level == "warning" else "dim"
                    self._canvas.print(Text(f"! {without_codes(text)}", style=style))
                case Reason(stage, image, text):
                    self._canvas.print(Text(f"  {stage:<8}{image}  {without_codes(text)}", style="dim"))

    def failed(self, word: str = "failed") -> None:
        """Keep a line for what was running, and for the step that it was at."""
        with self._lock:
            works, self._works = list(self._works.values()), {}
            self.close()
            now = time.monotonic()
            for work in works:
                failed = [one for one in work.steps.values() if one.step.state == "failed"]
                for one in failed or [one for one in work.steps.values() if one.is_shown_running(now)]:
                    self._canvas.print(layout.step_line(one, now))
                self._canvas.print(self._ended("✗", "red", work.stage, work.image, word, now - work.began))

    def _failed(self, event: StageFailed) -> None:
        """Keep a line for what failed while others go on, and for the step that it was at."""
        work = self._works.pop((event.stage, event.image), None)
        now = time.monotonic()
        for one in work.steps.values() if work else ():
            if one.step.state == "failed":
                self._canvas.print(layout.step_line(one, now))
        took = now - work.began if work else 0.0
        self._canvas.print(self._ended("✗", "red", event.stage, event.image, f"failed: {_first(event.why)}", took))
        if not self._works:
            self.close()

    def close(self) -> None:
        """Give the terminal back."""
        self._canvas.stop()

    def _lines(self, width: int, height: int) -> list[Text]:
        return layout.lines(list(self._works.values()), width, height, time.monotonic(), ascii_only=self._ascii)

    def _work(self, image: str) -> Work | None:
        """What an event is about: the image that it names, else what began last."""
        works = [work for work in self._works.values() if work.image == image] or list(self._works.values())
        return works[-1] if works else None

    def _step(self, step: Step) -> None:
        if not (work := self._work(step.image)):
            return
        now = time.monotonic()
        known = work.steps.setdefault(step.id, Running(step, now))
        if step.state == "running" and known.step.state != "running":
            known.began = now - known.step.seconds  # it was done, and goes on
        known.step = step

    def _log(self, log: Log) -> None:
        """A step's lines come and go; those of a container stay."""
        line = without_codes(log.line).expandtabs(4)
        work = self._work(log.image)
        if work and log.source in work.steps:
            work.steps[log.source].tail.append(line)
        else:
            whose = f"{log.image} | " if log.image and len(self._works) > 1 else ""
            self._canvas.print(Text(f"  {whose}{line}", style="dim" if log.stream == "stderr" else ""))

    def _transfer(self, event: Transfer) -> None:
        if not (work := self._work(event.image)):
            return
        place = work.steps[event.step].transfers if event.step in work.steps else work.transfers
        place[f"{event.action} {event.id}".strip()] = event

    def _ended(self, mark: str, style: str, stage: str, image: str, outcome: str, took: float) -> Text:
        shown = {"✓": "+", "✗": "x"}[mark] if self._ascii else mark
        return Text.assemble(
            (f"{shown} ", style),
            (f"{stage:<8}", "bold"),
            f"{image} ",
            (f" {outcome}", style),
            (f"  {seconds(took)}", "dim"),
        )


def _first(text: str) -> str:
    return without_codes(text.partition("\n")[0])
