"""The one place that prints: progress to standard error, results to standard output."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Protocol

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from tinyship.console import tables
from tinyship.console.plain import PlainDisplay
from tinyship.console.stream import Stream
from tinyship.events import Event, Notice, Reason, StageFailed

if TYPE_CHECKING:
    from tinyship.kept.trend import Trend
    from tinyship.plan import Plan
    from tinyship.sizes.table import Row

_OURS = frozenset({"hint", "hints", "message", "note", "notices", "said", "why"})
"""The keys of texts of ours in JSON."""


class Display(Protocol):
    """Something that shows events."""

    def event(self, event: Event) -> None:
        """Show one event."""

    def failed(self, word: str = "failed") -> None:
        """Keep what was running visible, as what a word says."""

    def close(self) -> None:
        """Show no more."""


class Console:
    """Shows what happens and what came of it; a context manager, so that the terminal is given back.

    Live on a terminal; plain lines where standard output or error is none, or NO_COLOR or CI is set.

    Args:
        json: standard output is for one line of JSON, and for nothing else.
        stdout: standard output where None.
        stderr: standard error where None.
        wording: what becomes of our own texts, where tasks have other names than these know them by.
    """

    def __init__(
        self,
        *,
        json: bool = False,
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
        wording: Callable[[str], str] = str,
    ) -> None:
        self._json = json
        self._wording = wording
        self._out = Stream(stdout or sys.stdout)
        self._err = Stream(stderr or sys.stderr)
        self._live = _is_terminal(self._out, self._err)
        self._display: Display | None = None
        self._lock = threading.Lock()
        self._images = 1
        self._reasons: list[Reason] | None = None

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display:
            if kind:
                self._display.failed("interrupted" if issubclass(kind, KeyboardInterrupt) else "failed")
            self._display.close()

    def works_on(self, images: int) -> None:
        """So many images are worked on, perhaps several at the same time."""
        self._images = images

    def event(self, event: Event) -> None:
        """Show one event; may be called from several threads."""
        if isinstance(event, Reason):
            if self._reasons is None:
                return
            self._reasons.append(event)
        if isinstance(event, Notice):
            event = replace(event, text=self._wording(event.text))
        elif isinstance(event, StageFailed):
            event = replace(event, why=self._wording(event.why))
        with self._lock:
            if not self._display:
                self._display = self._make_display()
        self._display.event(event)

    def explain(self) -> None:
        """Say from now on why something is worked on, or not."""
        self._reasons = []

    def failed(self) -> None:
        """Keep what was running visible, because it failed."""
        if self._display:
            self._display.failed()

    def say(self, text: str) -> None:
        """A line of the result."""
        self.lines((text,))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
        """A table of the result; nothing where it has no rows."""
        if rows:
            self.lines(tables.table(columns, rows, right))

    def sizes(self, rows: Sequence[Row]) -> None:
        """The size table; apart from the progress, where there was any."""
        if rows:
            self._space()
            self.lines(tables.sizes(rows))
            self._space()

    def history(self, trends: Sequence[Trend]) -> None:
        """The histories of images, with an empty line between them."""
        from tinyship.console import history

        for number, trend in enumerate(trends):
            self.lines(("",) * bool(number))
            self.lines(history.lines(trend, blocks=_is_terminal(self._out)))

    def plan(self, plan: Plan) -> None:
        """What would be done, and what was looked at before."""
        from tinyship.console import checks

        self.lines(tables.plan(plan))
        self.lines(checks.lines(plan.checks))

    def result(self, data: Any) -> None:
        """What came of it, as one line of JSON, where that is asked for; with the reasons, where these are."""
        if self._json and self._reasons is not None and isinstance(data, dict):
            data = {**data, "reasons": self._reasons}
        if self._json:
            text = json.dumps(data, default=_plain)
            self._out.line(json.dumps(self._worded(json.loads(text))) if self._wording(text) != text else text)

    def lines(self, lines: Iterable[str], *, others: bool = False) -> None:
        """Lines of the result.

        Args:
            others: they are made of words of others, and stay as they are.
        """
        for line in () if self._json else lines:
            self._out.line(line if others else self._wording(line))

    def _worded(self, data: Any, key: str = "") -> Any:
        """Data with our own texts in the words for them; what git, a config or a container says stays as it is."""
        if isinstance(data, dict):
            return {name: self._worded(value, name) for name, value in data.items()}
        if isinstance(data, list):
            return [self._worded(value, key) for value in data]
        return self._wording(data) if key in _OURS and isinstance(data, str) else data

    def _space(self) -> None:
        """An empty line between progress and result, where one comes after the other."""
        if self._display and not self._json:
            self._err.line("")

    def _make_display(self) -> Display:
        if not self._live:
            return PlainDisplay(self._err, several=self._images > 1)
        from rich.console import Console as Terminal

        from tinyship.console.live import LiveDisplay

        file: Any = self._err
        return LiveDisplay(Terminal(file=file, markup=False, highlight=False, emoji=False))


def _is_terminal(*streams: Stream) -> bool:
    plain = os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb"
    return not plain and all(stream.isatty() for stream in streams)


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return to_builtins(value, enc_hook=_plain)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)
