"""Events on a terminal: what runs is shown as it runs, and becomes one line when it is done."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from rich.console import Console as Terminal
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from tinyship.console.stream import without_codes
from tinyship.console.units import seconds, size
from tinyship.events import Event, Log, Notice, StageEnded, StageStarted, Step, Transfer

_LINES = 6
_STEPS = 5


@dataclass
class _Work:
    """One image that is worked on."""

    stage: str
    image: str
    action: str
    spinner: Spinner
    began: float = field(default_factory=time.monotonic)
    steps: dict[str, tuple[Step, float]] = field(default_factory=dict)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES))
    transfers: dict[str, Transfer] = field(default_factory=dict)


class LiveDisplay:
    """Shows steps, the last lines of the running one, transfers and times; keeps a line for each image that is done."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._lock = threading.RLock()
        self._works: dict[tuple[str, str], _Work] = {}
        self._live: Live | None = None

    def event(self, event: Event) -> None:
        """Show one event."""
        with self._lock:
            match event:
                case StageStarted(stage, image, action):
                    self._works[stage, image] = _Work(stage, image, action, Spinner("dots", style="cyan"))
                    self._start()
                case StageEnded(stage, image, outcome, took):
                    self._works.pop((stage, image), None)
                    self._print(_ended("✓", "green", stage, image, outcome, took))
                    if not self._works:
                        self.close()
                case Step():
                    self._step(event)
                case Log():
                    self._log(event)
                case Transfer() if self._last:
                    self._last.transfers[f"{event.action} {event.id}"] = event
                case Notice(text, level):
                    self._print(Text(f"! {without_codes(text)}", style="yellow" if level == "warning" else "dim"))

    def failed(self, word: str = "failed") -> None:
        """Keep a line for what was running, and for the step that it was at."""
        with self._lock:
            now = time.monotonic()
            for work in self._works.values():
                for step, began in work.steps.values():
                    if step.state in {"running", "failed"}:
                        self._print(_step_line(step, step.seconds or now - began))
                self._print(_ended("✗", "red", work.stage, work.image, word, now - work.began))
            self._works.clear()
            self.close()

    def close(self) -> None:
        """Give the terminal back."""
        live, self._live = self._live, None
        if live:
            live.stop()

    @property
    def _last(self) -> _Work | None:
        return next(reversed(self._works.values()), None)

    def _start(self) -> None:
        if not self._live:
            self._live = Live(
                console=self._terminal,
                get_renderable=self._render,
                refresh_per_second=10,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()

    def _step(self, step: Step) -> None:
        if not (work := self._last):
            return
        _, began = work.steps.get(step.id, (step, time.monotonic()))
        if step.id not in work.steps:
            work.tail.clear()
        work.steps[step.id] = (step, began)

    def _log(self, log: Log) -> None:
        """A step's lines come and go; those of a container stay."""
        line = without_codes(log.line)
        if self._last and log.source in self._last.steps:
            self._last.tail.append(line)
        else:
            self._print(Text(f"  {line}", style="dim" if log.stream == "stderr" else ""))

    def _print(self, text: Text) -> None:
        self._terminal.print(text, soft_wrap=True)

    def _render(self) -> RenderableType:
        # Without the lock: rich holds its own here, and whoever prints takes the two the other way round.
        return Group(*(part for work in list(self._works.values()) for part in _parts(work)))


def _parts(work: _Work) -> list[RenderableType]:
    now = time.monotonic()
    head = Text.assemble((work.stage, "bold"), f" {work.image} ", (f"{work.action} {seconds(now - work.began)}", "dim"))
    head.no_wrap, head.overflow = True, "ellipsis"
    work.spinner.update(text=Group(head))  # a Text itself would lose that it is cut
    parts: list[RenderableType] = [work.spinner]
    for step, began in list(work.steps.values())[-_STEPS:]:
        parts.append(_step_line(step, now - began if step.state == "running" else step.seconds))
    moving = [transfer for transfer in list(work.transfers.values()) if not transfer.done]
    if moving:
        parts.append(_transfers(moving))
    parts += [_cut(Text(f"      {line}", style="dim")) for line in list(work.tail)]
    return parts


def _step_line(step: Step, took: float) -> Text:
    style = {"failed": "red", "cached": "dim", "done": ""}.get(step.state, "cyan")
    count = f"[{step.number}/{step.total}] " if step.total else ""
    ended = "CACHED" if step.state == "cached" else seconds(took)
    return _cut(Text(f"    {count}{' '.join(without_codes(step.name).split())}  {ended}", style=style))


def _cut(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _transfers(transfers: list[Transfer]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for transfer in transfers[-_LINES:]:
        of = f" of {size(transfer.total)}" if transfer.total else ""
        bar = ProgressBar(total=transfer.total, completed=transfer.current, width=24) if transfer.total else ""
        table.add_row(f"    {transfer.action} {transfer.id}", bar, f"{size(transfer.current)}{of}")
    return table


def _ended(mark: str, style: str, stage: str, image: str, outcome: str, took: float) -> Text:
    return Text.assemble(
        (f"{mark} ", style), (f"{stage:<8}", "bold"), f"{image} ", (f" {outcome}", style), (f"  {seconds(took)}", "dim")
    )
