"""Events as plain lines, for logs and pipes: those of a step begin with its number, as `docker buildx` writes them."""

from __future__ import annotations

import threading
import time

from msgspec import Struct

from tinyship.codes import without_codes
from tinyship.console.stream import Stream
from tinyship.events import Event, Log, Notice, Reason, StageEnded, StageFailed, StageStarted, Step, Transfer
from tinyship.units import seconds, size

_PAUSE = 10.0
_QUICK = 1.0
_LONG = 3.0
_SMALL = 1_000_000


class _Seen(Struct):
    """A step, and what of it is in the log already."""

    step: Step
    headed: bool = False
    ended: bool = False
    timer: threading.Timer | None = None


class PlainDisplay:
    """Writes a line for each event that a reader of a log wants to know of.

    What the builder does beside the instructions is told of only where it takes long, moves much, or fails.

    Args:
        stream: where to.
        several: several images are worked on, so that each line says which one it is about.
    """

    def __init__(self, stream: Stream, *, several: bool = False) -> None:
        self._stream = stream
        self._several = several
        self._lock = threading.RLock()
        self._images: list[str] = []
        self._steps: dict[tuple[str, str], _Seen] = {}
        self._told: dict[tuple[str, ...], float] = {}
        self._held: tuple[_Seen, str] | None = None

    def event(self, event: Event) -> None:
        """Show one event."""
        with self._lock:
            match event:
                case StageStarted(stage, image, action):
                    self._forget(image)
                    self._images.append(image)
                    self._write(f"{stage} {image}: {action}")
                case StageEnded(stage, image, outcome, took):
                    self._write(f"{stage} {image}: {outcome} ({seconds(took)})")
                    self._forget(image)
                case StageFailed(stage, image, why):
                    self._write(f"{stage} {image}: failed: {_one_line(why)}".lstrip())
                    self._forget(image)
                case Step():
                    self._step(event)
                case Log():
                    self._log(event)
                case Transfer():
                    self._transfer(event)
                case Notice(text, level):
                    self._write(f"{'warning' if level == 'warning' else 'note'}: {_one_line(text)}")
                case Reason(stage, image, text, works):
                    self._write(f"{stage} {image}: {'because' if works else 'up to date, because'} {_one_line(text)}")

    def failed(self, word: str = "failed") -> None:
        """Every line is out, but for one that could have been a better one."""
        self.close()

    def close(self) -> None:
        """Say what was kept back, and no more."""
        with self._lock:
            self._release()
            for seen in self._steps.values():
                if seen.timer:
                    seen.timer.cancel()

    def _step(self, step: Step) -> None:
        seen = self._steps.setdefault((step.image, step.id), _Seen(step))
        seen.step = step
        if step.state == "running":
            self._begin(seen)
            return
        if seen.timer:
            seen.timer.cancel()
        wanted = seen.headed or not step.internal or step.state == "failed" or step.seconds >= _QUICK
        if not wanted or (seen.ended and step.seconds < _QUICK):
            return
        self._drop(seen)
        self._head(seen)
        line = {
            "done": f"DONE {_took(step.seconds)}",
            "cached": "CACHED",
            "canceled": "CANCELED",
            "failed": f"ERROR: {_one_line(step.error) or 'failed'}",
        }[step.state]
        if step.state == "done" and step.seconds < _QUICK:
            self._release()
            self._held = (seen, self._numbered(step, line))  # it may turn out to be cached
        else:
            self._write(self._numbered(step, line))
            seen.ended = True

    def _begin(self, seen: _Seen) -> None:
        self._drop(seen)
        if not seen.step.internal:
            self._head(seen)
        elif not seen.headed:
            seen.timer = threading.Timer(_LONG, self._takes_long, (seen,))
            seen.timer.daemon = True
            seen.timer.start()

    def _takes_long(self, seen: _Seen) -> None:
        with self._lock:
            if seen.step.state == "running" and seen in self._steps.values():
                self._head(seen)

    def _head(self, seen: _Seen) -> None:
        if not seen.headed:
            seen.headed = True
            step = seen.step
            place = " ".join(part for part in (step.part, f"{step.number}/{step.total}" if step.total else "") if part)
            self._write(self._numbered(step, f"{f'[{place}] ' if place else ''}{_one_line(step.name)}"))

    def _log(self, log: Log) -> None:
        text = without_codes(log.line)
        seen = self._steps.get((log.image, log.source))
        if seen is None:
            self._write(f"{self._of(log.image)}{log.source} | {text}".rstrip())
            return
        self._head(seen)
        at = "" if log.seconds is None else f"{log.seconds:.3f} "
        self._write(self._numbered(seen.step, f"{at}{text}"))

    def _transfer(self, event: Transfer) -> None:
        """What moves is told of every ten seconds, and at its end where it was large or slow."""
        name = f"{event.action} {event.id}".strip()
        key = (event.image, event.step, name)
        if event.done:
            self._told.pop(key, None)
            if event.current < _SMALL and event.seconds < _QUICK:
                return
        else:
            now = time.monotonic()
            if now - self._told.setdefault(key, now) < _PAUSE:
                return
            self._told[key] = now
        seen = self._steps.get((event.image, event.step)) if event.step else None
        if seen is None:
            of = f" of {size(event.total)}" if event.total and not event.done else ""
            self._write(f"{self._of(event.image)}{name}: {size(event.current)}{of}")
            return
        self._head(seen)
        of = f" / {_short(event.total)}" if event.total else ""
        moved = f": {_short(event.current)}{of}" if event.current else ""
        self._write(self._numbered(seen.step, f"{name}{moved} {_took(event.seconds)}{' done' if event.done else ''}"))

    def _numbered(self, step: Step, text: str) -> str:
        return f"{self._of(step.image)}#{step.id} {text}".rstrip()

    def _of(self, image: str) -> str:
        """The image's name before what is about it, while several are worked on."""
        return f"{image} " if image and (self._several or len(self._images) > 1) else ""

    def _write(self, line: str) -> None:
        self._release()
        self._stream.line(line)

    def _release(self) -> None:
        if self._held:
            (seen, line), self._held = self._held, None
            seen.ended = True
            self._stream.line(line)

    def _drop(self, seen: _Seen) -> None:
        if self._held and self._held[0] is seen:
            self._held = None

    def _forget(self, image: str) -> None:
        """The next steps of an image are others; so are those of nobody knows what."""
        self._release()
        if image in self._images:
            self._images.remove(image)
        for key in [key for key in self._steps if key[0] in {image, ""}]:
            if timer := self._steps.pop(key).timer:
                timer.cancel()


def _one_line(text: str) -> str:
    return " ".join(without_codes(text).split())


def _took(duration: float) -> str:
    return f"{duration:.1f}s"


def _short(count: int) -> str:
    return size(count).replace(" Bytes", "B").replace(" ", "")
