"""What can go wrong, written for the person who reads it::

    TinyshipError               exit code 1
    ├── ConfigError             exit code 2: a setting or a flag is wrong
    ├── GitError                the repository cannot be read
    ├── ContextError            a Dockerfile, a context or an ignore file is missing or unreadable
    ├── EngineError             the engine said no
    │   ├── EngineUnreachable   there is no engine, no permission, or it is too old
    │   ├── BuildFailed         a step of a Dockerfile failed
    │   └── CommandFailed       a command in a container, or one that makes a root filesystem, failed
    ├── ArtifactError           an artifact is missing, or what a container handed back is not to be trusted
    ├── ImageError              an image cannot be read: it is damaged, incomplete, or none
    ├── RegistryError           a push, a pull or a look into a registry failed
    ├── BudgetExceeded          an image is larger than it may be
    ├── CleanStopped            a clean ended before its end; it has what was done until then
    ├── ImagesFailed            of several images, at least one failed
    ├── Cancelled               it was ended before it came to an end
    └── Refused                 tinyship will not do this, and says what would make it safe
        ├── NothingReleased     there is no release to tell of
        └── NothingPushed       there is a release, but no registry has it

``str(error)`` is all that the user sees: what failed, where in its source, the last lines of output, the way out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tinyship.codes import without_codes

if TYPE_CHECKING:
    from tinyship.cleaning.retention import Cleaned
    from tinyship.sizes.diff import Diff
    from tinyship.sizes.table import Row


class Excerpt(Struct, frozen=True):
    """Lines of a file, and which of them an error is about.

    Args:
        file: its name.
        first: the number of the first of the lines, from 1.
        lines: without their ends.
        marked: the numbers of those that the error is about.
    """

    file: str
    first: int
    lines: tuple[str, ...]
    marked: tuple[int, ...]

    def shown(self) -> Iterator[str]:
        """The lines as people read them: with their numbers, and a mark at those that matter."""
        yield f"{self.file}:{self.marked[0] if self.marked else self.first}"
        width = len(str(self.first + len(self.lines)))
        for number, line in enumerate(self.lines, self.first):
            mark = ">>>" if number in self.marked else "   "
            yield f"  {number:>{width}} | {mark} {without_codes(line)}".rstrip()


class TinyshipError(Exception):
    """Something failed, and this says what, on which image and stage, why, and what to do.

    Args:
        message: one line: what failed and why.
        hint: one line: what to do about it.
        tail: the last lines that the failing step wrote.
        stage: ``base``, ``build``, ``release`` or ``push``; empty outside of a stage.
        image: the reference of the image it was about; empty where there is none.
        source: the lines of the Dockerfile that it is about; None where there are none.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        tail: Sequence[str] = (),
        stage: str = "",
        image: str = "",
        source: Excerpt | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.tail = tuple(without_codes(line) for line in tail)
        self.source = source
        self.stage = stage
        self.image = image

    def __str__(self) -> str:
        where = " ".join(part for part in (self.stage, self.image) if part)
        lines = [f"{where}: {self.message}" if where else self.message]
        lines += [f"  {line}" for line in (self.source.shown() if self.source else ())]
        lines += [f"  | {line}" for line in self.tail]
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)

    def at(self, stage: str, image: str) -> TinyshipError:
        """This error, with stage and image filled in where they are not known yet."""
        self.stage = self.stage or stage
        self.image = self.image or image
        return self


class ConfigError(TinyshipError):
    """A setting, an environment variable or a flag is wrong."""

    exit_code = 2


class GitError(TinyshipError):
    """The project's git repository cannot tell what is needed.

    Args:
        said: all that git wrote of why, without credentials; empty where it was not git that failed.
    """

    def __init__(self, message: str, *, hint: str = "", said: str = "") -> None:
        super().__init__(message, hint=hint)
        self.said = said


class ContextError(TinyshipError):
    """A Dockerfile, a build context or an ignore file cannot be used."""


class EngineError(TinyshipError):
    """The engine answered with an error."""


class EngineUnreachable(EngineError):
    """No engine answers, this user may not talk to it, or it is too old."""


class BuildFailed(EngineError):
    """A step of a Dockerfile failed."""


class CommandFailed(EngineError):
    """A command that tinyship ran failed.

    Args:
        exit_code_of_command: what the command exited with.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_code_of_command: int,
        hint: str = "",
        tail: Sequence[str] = (),
        stage: str = "",
        image: str = "",
    ) -> None:
        super().__init__(message, hint=hint, tail=tail, stage=stage, image=image)
        self.exit_code_of_command = exit_code_of_command


class ArtifactError(TinyshipError):
    """An artifact is missing, or what came back from a container must not be written."""


class ImageError(TinyshipError):
    """An image, or the archive that it is in, is damaged, incomplete, or none."""


class RegistryError(TinyshipError):
    """A registry, or the way to it, failed.

    Args:
        host: the registry's host, with its port.
        status: of its answer; 0 where it was no answer that failed.
        temporary: whether the same may work a little later.
        wait: seconds that the registry asks to wait before that.
    """

    def __init__(
        self,
        message: str,
        *,
        host: str,
        status: int = 0,
        temporary: bool = False,
        wait: float = 0.0,
        hint: str = "",
        tail: Sequence[str] = (),
        stage: str = "",
        image: str = "",
    ) -> None:
        super().__init__(message, hint=hint, tail=tail, stage=stage, image=image)
        self.host = host
        self.status = status
        self.temporary = temporary
        self.wait = wait


class BudgetExceeded(TinyshipError):
    """One or more budgets are broken.

    Args:
        count: of the limits that are broken.
        lines: what each says, and its causes.
        rows: the size table, as it would have been shown.
        heavy: the image that breaks the first of them.
        diffs: what differs from the images that they were compared with, where they were.
    """

    def __init__(
        self,
        count: int,
        lines: Sequence[str],
        rows: Sequence[Row],
        *,
        heavy: str,
        diffs: Sequence[Diff] = (),
        stage: str = "",
        image: str = "",
    ) -> None:
        many = f"{count} budgets are broken" if count > 1 else "a budget is broken"
        hint = f"Make it smaller (`invoke size.explain {heavy}` says how), or raise `size.budgets`."
        super().__init__(many, tail=lines, hint=hint, stage=stage, image=image)
        self.rows = tuple(rows)
        self.diffs = tuple(diffs)


class CleanStopped(TinyshipError):
    """A clean ended before its end.

    Args:
        cleaned: what it did until then.
        why: what ended it, and is shown.
    """

    def __init__(self, cleaned: Cleaned, why: TinyshipError) -> None:
        super().__init__(why.message, hint=why.hint, tail=why.tail, stage=why.stage, image=why.image, source=why.source)
        self.exit_code = why.exit_code
        self.cleaned = cleaned


class ImagesFailed(TinyshipError):
    """Of several images at least one failed; the others are what they are.

    Args:
        failed: by the name of each image why it failed; where several failed for one reason, that is one object.
        stopped: by the name of each image that was not begun: those that it stands on and that failed.
        cancelled: the names of those that were not begun, or were ended, because nothing was to go on.
        done: what came of the others, by their names.
    """

    def __init__(
        self,
        failed: Mapping[str, TinyshipError],
        *,
        stopped: Mapping[str, Sequence[str]] | None = None,
        cancelled: Sequence[str] = (),
        done: Mapping[str, Any] | None = None,
    ) -> None:
        self.failed = dict(failed)
        self.stopped = {name: tuple(because) for name, because in (stopped or {}).items()}
        self.cancelled = tuple(cancelled)
        self.done = dict(done or {})
        count = len(self.failed) + len(self.stopped) + len(self.cancelled) + len(self.done)
        super().__init__(f"{len(self.failed)} of {count} images failed")
        if all(error.exit_code == ConfigError.exit_code for error in self.failed.values()):
            self.exit_code = ConfigError.exit_code

    @property
    def reasons(self) -> tuple[tuple[tuple[str, ...], TinyshipError], ...]:
        """Each reason once, with the names of the images that failed for it."""
        names: dict[int, list[str]] = {}
        for name, error in self.failed.items():
            names.setdefault(id(error), []).append(name)
        return tuple((tuple(some), self.failed[some[0]]) for some in names.values())

    def __str__(self) -> str:
        lines = [self.message]
        for names, error in self.reasons:
            first, *rest = str(error).splitlines()
            lines += [f"{', '.join(names)}: {first}", *rest]
        lines += [f"{name}: not begun, because {' and '.join(some)} failed" for name, some in self.stopped.items()]
        if self.cancelled:
            lines.append(f"{', '.join(self.cancelled)}: not finished, because nothing was to go on after a failure")
        return "\n".join([lines[0], *(f"  {line}" for line in lines[1:])])


class Cancelled(TinyshipError):
    """It was ended before it came to an end."""


class Refused(TinyshipError):
    """Nothing was done, because doing it would not be safe."""


class NothingReleased(Refused):
    """There is no release of an image here; a script can tell this from what failed."""


class NothingPushed(Refused):
    """There is a release, but it is in no registry yet."""
