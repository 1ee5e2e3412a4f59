"""What a clean has done so far: written to ``.tinyship/clean.json`` however it ends, and true whenever it is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from tinyship import state
from tinyship.cleaning.retention import Cleaned, Kind, Refusal, Removed, Verdict
from tinyship.errors import CleanStopped, TinyshipError

NAME = "clean.json"


class CleanInterrupted(KeyboardInterrupt):
    """Ctrl-C, and what a clean did until then."""

    def __init__(self, cleaned: Cleaned) -> None:
        super().__init__()
        self.cleaned = cleaned


class Tally:
    """What is gone and what was refused; several threads may add to it.

    Args:
        task: that is run, like ``clean.images``.
        stayed: what was judged to stay.

    Attributes:
        freed: bytes, measured; None while they are not.
        freeable: bytes that registries may free later; None where none is cleaned.
    """

    def __init__(self, task: str, stayed: Sequence[Verdict]) -> None:
        self._task = task
        self._stayed = tuple(stayed)
        self._removed: list[Removed] = []
        self._refused: list[Refusal] = []
        self._lock = Lock()
        self.freed: int | None = None
        self.freeable: int | None = None

    def gone(self, kind: Kind, name: str) -> None:
        """This is deleted: to be called once it is, and not before."""
        with self._lock:
            self._removed.append(Removed(kind, name))

    def back(self, kind: Kind, name: str) -> None:
        """What was deleted is there again."""
        with self._lock:
            self._removed.remove(Removed(kind, name))

    def refused(self, kind: Kind, name: str, why: str) -> None:
        """This was to go, and is still there."""
        with self._lock:
            self._refused.append(Refusal(kind, name, why))

    def cleaned(self, error: str = "") -> Cleaned:
        """All of it as it is now.

        Args:
            error: what ended the clean before its end; empty where nothing did.
        """
        with self._lock:
            removed, refused = tuple(self._removed), tuple(self._refused)
        return Cleaned(self._task, removed, self._stayed, refused, self.freed, not error, error, self.freeable)


@contextmanager
def reported(root: Path, task: str, stayed: Sequence[Verdict]) -> Iterator[Tally]:
    """A tally, written when the block ends, however it does.

    Args:
        root: the project's folder. That the report can be written is seen to before anything is deleted.
        task: that is run, like ``clean.images``.
        stayed: what was judged to stay.

    Raises:
        CleanStopped: an error ended the block; it says what the error did, and has what was done until then.
        CleanInterrupted: Ctrl-C did.
        TinyshipError: the report cannot be written.
    """
    tally = Tally(task, stayed)
    _write(root, tally.cleaned("it has not come to its end"))
    try:
        yield tally
    except TinyshipError as error:
        cleaned = tally.cleaned(error.message)
        _write(root, cleaned)
        raise CleanStopped(cleaned, error) from error
    except KeyboardInterrupt as error:
        cleaned = tally.cleaned("interrupted")
        _write(root, cleaned)
        raise CleanInterrupted(cleaned) from error
    except BaseException as error:
        _write(root, tally.cleaned(f"{type(error).__name__}: {error}"))
        raise
    _write(root, tally.cleaned())


def _write(root: Path, cleaned: Cleaned) -> None:
    state.write(root, NAME, _text(cleaned.as_json()))


def _text(report: Mapping[str, Any]) -> str:
    """JSON for people, too: of a list one row a line."""
    import json

    encode = json.JSONEncoder(ensure_ascii=False).encode
    fields = []
    for key, value in report.items():
        rows = ",\n".join(f"    {encode(row)}" for row in value) if isinstance(value, list) else ""
        fields.append(f"  {encode(key)}: [\n{rows}\n  ]" if rows else f"  {encode(key)}: {encode(value)}")
    return "{\n" + ",\n".join(fields) + "\n}\n"
