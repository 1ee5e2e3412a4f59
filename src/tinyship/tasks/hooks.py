"""Tasks that hooks name: found in the Invoke program that runs now, and run by it."""

from __future__ import annotations

import difflib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import TextIOBase
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit, Failure
from invoke.executor import Executor

from tinyship.errors import CommandFailed, ConfigError
from tinyship.tasks.callers import calling

_ONE = threading.Lock()
"""Whatever tasks write is read from the process's own standard output, so that one is run at a time."""


class ProgramTasks:
    """The tasks of an Invoke program.

    Args:
        executor: that runs its tasks.
        context: of the task that wants others to be run.
    """

    def __init__(self, executor: Executor, context: Context) -> None:
        self._executor = executor
        self._context = context
        self._within = isinstance(sys.stdout, _Lines)
        """A task that a hook runs wants this: what it writes is read already, and it has the turn."""

    def check(self, name: str) -> None:
        """See ``stages.hooks.Tasks``."""
        names = self._executor.collection.task_names
        known = {*names, *(alias for some in names.values() for alias in some)}
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0)
            raise ConfigError(f"no task is named `{name}`; the nearest is `{near[0]}`")

    def run(self, name: str, values: Mapping[str, Any], tell: Callable[[str], None]) -> None:
        """See ``stages.hooks.Tasks``."""
        ours = self._executor
        # A copy, because Invoke changes the config of the task that it runs, and that one is at work.
        again = Executor(ours.collection, self._context.config.clone(), ours.core)
        _, *parameters = inspect.signature(ours.collection[name]).parameters
        given = {key: value for key, value in values.items() if key in parameters}
        with self._reading(tell):
            try:
                again.execute((name, given))
            except Exit as error:
                if error.code:
                    raise _failed(error.message or f"ended with exit code {error.code}", error.code) from error
            except Failure as error:
                said = f"ended with exit code {error.result.exited} of `{error.result.command}`"
                raise _failed(said, error.result.exited) from error
            except Exception as error:
                raise _failed(f"ended with {type(error).__name__}: {error}", 1) from error

    @contextmanager
    def _reading(self, tell: Callable[[str], None]) -> Iterator[None]:
        if self._within:
            yield
            return
        lines = _Lines(tell)
        with _ONE, redirect_stdout(lines), redirect_stderr(lines):
            try:
                yield
            finally:
                lines.end()


def around(context: Context) -> ProgramTasks | None:
    """The tasks of the program that runs a task now; None where it was called by no program.

    Args:
        context: of the task.
    """
    executor = calling(Executor)
    return ProgramTasks(executor, context) if executor else None


def _failed(said: str, code: int) -> CommandFailed:
    return CommandFailed(said, exit_code_of_command=code)


class _Lines(TextIOBase):
    """A text stream that hands on each line."""

    encoding = "utf-8"

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._rest = ""
        self._lock = threading.Lock()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            *whole, self._rest = (self._rest + text).split("\n")
            for line in whole:
                self._tell(line.rstrip("\r"))
        return len(text)

    def end(self) -> None:
        """Hand on what has no line end."""
        with self._lock:
            if self._rest:
                self._tell(self._rest)
            self._rest = ""
