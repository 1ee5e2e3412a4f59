"""What a project has run before and after its stages: shell commands here, tasks by whoever knows them."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from tinyship.errors import CommandFailed, ConfigError, Refused, TinyshipError
from tinyship.events import Log
from tinyship.plan import Action
from tinyship.running import commands
from tinyship.stages import masking
from tinyship.stages.masking import masked

if TYPE_CHECKING:
    from tinyship.settings.hooks import Hook
    from tinyship.stages.scope import Scope

WITHIN = "HOOK_WITHIN"
"""The variable with the stages whose hooks a program runs in; not ``TINYSHIP_...``, which would be a setting."""
_TAIL = 20
_CHUNK = 1 << 16
_PAUSE = 0.1
_within: ContextVar[tuple[str, ...]] = ContextVar("within", default=())


class Tasks(Protocol):
    """Whoever can run the tasks that hooks name."""

    def check(self, name: str) -> None:
        """Raise ConfigError where there is no task of this name."""

    def run(self, name: str, values: Mapping[str, Any], tell: Callable[[str], None]) -> None:
        """Run a task.

        Args:
            name: as one types it.
            values: what a hook gets to know; the task gets those that it has parameters for.
            tell: gets each line that the task writes.

        Raises:
            CommandFailed: it failed.
        """


class Told(Struct, frozen=True):
    """What a hook gets to know: the plan before a stage, the record after it, as plain data."""

    when: str
    stage: str
    image: str
    version: str
    data: Any

    @property
    def kind(self) -> str:
        """``plan`` or ``record``."""
        return "plan" if self.when == "before" else "record"


def of(scope: Scope, when: str, stage: str) -> tuple[Hook, ...]:
    """The hooks of a stage, in the order of the settings."""
    return tuple(hook for hook in scope.settings.hooks if hook.place == (when, stage))


def actions(scope: Scope, when: str, stage: str) -> tuple[Action, ...]:
    """What ``run`` would do."""
    return tuple(
        Action("run", _shown(hook), f"{when} {stage}{', a task' if hook.task else ''}")
        for hook in of(scope, when, stage)
    )


def check(scope: Scope, *stages: str) -> None:
    """Raise what hooks of stages would fail for, before anything is done.

    Raises:
        ConfigError: there is no task of that name, or nobody who could run one.
    """
    for number, hook in enumerate(scope.settings.hooks):
        if not hook.task or hook.place[1] not in stages:
            continue
        where = f"{scope.origins.get('hooks', 'the config')}: `tinyship.hooks[{number}].task`"
        if scope.tasks is None:
            raise ConfigError(
                f"{where}: there is no Invoke here that could run `{hook.task}`",
                hint="Run the stage with `invoke` or `tinyship`, or give `Project.load` what runs tasks.",
            )
        try:
            scope.tasks.check(hook.task)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error.message}", hint=error.hint) from None


def run(scope: Scope, when: str, stage: str, data: Any) -> None:
    """Run the hooks of a stage, one after the other, until one fails; what was seen of files and images is forgotten.

    Args:
        when: ``before`` or ``after``.
        data: the plan or the record.

    Raises:
        CommandFailed: one failed; names it, its exit code and its last lines.
        Refused: one led to its own stage again.
    """
    found = of(scope, when, stage)
    if not found:
        return
    told = Told(when, stage, scope.settings.image, scope.revision.full_version, data)
    hidden = masking.hidden(scope)
    try:
        for hook in found:
            _run(scope, hook, told, hidden)
    except TinyshipError as error:
        raise error.at(stage, told.image) from error.__cause__
    finally:
        scope.forget()


def _run(scope: Scope, hook: Hook, told: Told, hidden: tuple[str, ...]) -> None:
    shown = masked(_shown(hook), hidden)
    within = _within.get() or tuple(os.environ.get(WITHIN, "").splitlines())
    key = f"{told.stage} {told.image}"
    if key in within:
        raise Refused(
            f"a hook of {told.stage} leads to {told.stage} again: `{shown}` would run without end",
            hint="Let the hook do its own part alone.",
            stage=told.stage,
            image=told.image,
        )
    tail: deque[str] = deque(maxlen=_TAIL)
    name = f"{told.when} {told.stage}"

    def tell(line: str) -> None:
        line = masked(line, hidden)
        tail.append(line)
        scope.events(Log(name, line, image=told.image))

    token = _within.set((*within, key))
    try:
        with scope.stage("hook", told.image, f"{name}: {shown}") as outcome:
            code, why = _task(scope, hook, told, tell) if hook.task else _shell(scope, hook, told, tell)
            if code:
                raise CommandFailed(
                    f"the hook {name} failed: `{shown}` {masked(why, hidden)}",
                    exit_code_of_command=code,
                    tail=tuple(tail),
                    stage=told.stage,
                    image=told.image,
                )
            outcome.word = f"{name} passed"
    finally:
        _within.reset(token)


def _task(scope: Scope, hook: Hook, told: Told, tell: Callable[[str], None]) -> tuple[int, str]:
    values = {"when": told.when, "stage": told.stage, "image": told.image, "version": told.version}
    assert scope.tasks
    try:
        scope.tasks.run(hook.task, {**values, told.kind: told.data}, tell)
    except CommandFailed as error:
        return error.exit_code_of_command, error.message
    return 0, ""


def _shell(scope: Scope, hook: Hook, told: Told, tell: Callable[[str], None]) -> tuple[int, str]:
    """Run a command; returns its exit code, and what that means in words."""
    with tempfile.TemporaryDirectory(prefix="tinyship-") as folder:
        file = Path(folder) / f"{told.kind}.json"
        file.write_text(json.dumps(told.data, indent=2) + "\n", "utf-8")
        environment = {
            **{name: value for name, value in os.environ.items() if name not in {"HOOK_PLAN", "HOOK_RECORD"}},
            "HOOK_WHEN": told.when,
            "HOOK_STAGE": told.stage,
            "HOOK_IMAGE": told.image,
            "HOOK_VERSION": told.version,
            f"HOOK_{told.kind.upper()}": str(file),
            WITHIN: "\n".join(_within.get()),
        }
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        # The project's own command, as that of a Makefile.
        with commands.running(hook.run, shell=True, cwd=scope.root, env=environment, **pipes) as process:  # noqa: S604
            _forward(process, tell)
            code = process.wait()
    return (code, f"ended with exit code {code}") if code >= 0 else (128 - code, f"was ended by signal {-code}")


def _forward(process: subprocess.Popen[bytes], tell: Callable[[str], None]) -> None:
    """Hand on each line, until the command has ended; what it left running may hold its output open."""
    assert process.stdout
    rest = b""
    for chunk in _chunks(process, process.stdout.fileno()):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            tell(line.decode(errors="replace").rstrip("\r"))
    if rest:
        tell(rest.decode(errors="replace"))


if sys.platform == "win32":

    def _chunks(process: subprocess.Popen[bytes], output: int) -> Iterator[bytes]:
        """What is written, to its end: Windows cannot say whether there is more of a pipe."""
        return iter(lambda: os.read(output, _CHUNK), b"")

else:

    def _chunks(process: subprocess.Popen[bytes], output: int) -> Iterator[bytes]:
        """What is written, to its end, or until the command has ended and there is no more."""
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                has_ended = process.poll() is not None  # asked first: then there is all that it wrote
                if selector.select(0 if has_ended else _PAUSE):
                    chunk = os.read(output, _CHUNK)
                    if not chunk:
                        return
                    yield chunk
                elif has_ended:
                    return


def _shown(hook: Hook) -> str:
    return hook.task or " ".join(hook.run.split())
