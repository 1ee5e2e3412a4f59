"""The images of a project together: which are meant, in which order, several at the same time."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from tinyship.errors import (
    BuildFailed,
    Cancelled,
    CommandFailed,
    ConfigError,
    EngineError,
    EngineUnreachable,
    ImagesFailed,
    TinyshipError,
)
from tinyship.events import StageFailed
from tinyship.running import cancelling, graph, parallel
from tinyship.stages import needs, sharing
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.running.together import Together
    from tinyship.stages.changed import Changed

_T = TypeVar("_T")
_ENDED = "it was ended"


def select(
    scopes: Sequence[Scope],
    images: Sequence[str] = (),
    *,
    among: Collection[str] | None = None,
    with_needs: bool = True,
) -> tuple[Scope, ...]:
    """Those of a project's images that are meant, each after those that it stands on.

    Args:
        scopes: all of the project.
        images: names of entries of ``images``, or globs of such; all where there are none.
        among: of these only those; see ``called``.
        with_needs: those too that they stand on.

    Raises:
        ConfigError: there is no such entry, or images stand on each other.
    """
    names = chosen(scopes, images, among)
    if len(scopes) == 1:
        return tuple(scope for scope in scopes if scope.name in names)
    below = needs.of(scopes)
    wanted = graph.closure(below, names) if with_needs else names
    by_name = {scope.name: scope for scope in scopes}
    return tuple(by_name[name] for name in needs.order(below) if name in wanted)


def chosen(scopes: Sequence[Scope], images: Sequence[str] = (), among: Collection[str] | None = None) -> frozenset[str]:
    """The names of those that are asked for, without what they stand on.

    Args:
        scopes: all of the project.
        images: as for ``select``.
        among: as for ``select``; what is in both is meant.

    Raises:
        ConfigError: there is no entry of that name, or none that a glob fits.
    """
    names = [scope.name for scope in scopes]
    found: set[str] = set()
    for wanted in images:
        fitting = [name for name in names if name and fnmatchcase(name, wanted)]
        if not fitting:
            raise _no(wanted, [name for name in names if name])
        found |= set(fitting)
    allowed = {scope.name for scope in scopes if among is None or called(scope) in among}
    return frozenset(allowed & (found if images else set(names)))


def called(scope: Scope) -> str:
    """What people call an image: its entry's name, or its repository's where there are no entries."""
    return scope.name or scope.settings.image


def changed(scopes: Sequence[Scope], since: str) -> Changed:
    """Which images have inputs that changed since a git revision, and why; see ``stages.changed``.

    Args:
        scopes: all of the project.
        since: what git knows as a commit.

    Raises:
        ConfigError: git knows no such commit.
        GitError: there is no repository, or its history is cut off before the commit.
    """
    from tinyship.stages import changed

    by_name = {scope.name: called(scope) for scope in scopes}
    below = {by_name[name]: [by_name[one] for one in lower] for name, lower in needs.of(scopes).items()}
    return changed.find({called(scope): scope for scope in scopes}, since, below)


def each(
    scopes: Sequence[Scope], act: Callable[[Scope], _T], *, jobs: int = 0, fail_fast: bool = False
) -> tuple[_T, ...]:
    """Act for each image after those that it stands on, for several at the same time.

    Args:
        scopes: in an order in which they can be made; of one run, so that they share what is theirs together.
        act: does it.
        jobs: how many at the same time, at most; the setting ``jobs`` where 0.
        fail_fast: when one fails, begin no other one, and end those that run.

    Returns:
        what came of each, in the order of ``scopes``.

    Raises:
        TinyshipError: the only one failed.
        EngineUnreachable: there is no engine, for none of them.
        ImagesFailed: of several at least one failed.
    """
    if len(scopes) < 2:
        return tuple(act(scope) for scope in scopes)
    sharing.check(scopes)
    together = scopes[0].together
    together.several = True
    failures = _Failures(together)
    by_name = {scope.name: scope for scope in scopes}
    below = needs.of(scopes)
    cancellation = scopes[0].together.cancellation

    def is_end(error: Exception) -> bool:
        return (
            fail_fast
            or isinstance(error, Cancelled)
            or not isinstance(error, TinyshipError)
            or _is_engine_gone(scopes[0], error)
        )

    def told(name: str) -> _T:
        try:
            with cancelling.under(cancellation), cancellation.telling():
                return act(by_name[name])
        except TinyshipError as error:
            for event in failures.told(called(by_name[name]), error):
                by_name[name].events(event)
            raise

    report = parallel.run(
        below,
        told,
        after=needs.after(scopes),
        jobs=jobs or scopes[0].settings.jobs,
        is_end=is_end,
        end=cancellation.cancel,
    )
    for error in report.failed.values():
        if not isinstance(error, TinyshipError):
            raise error
        if isinstance(error, EngineUnreachable):
            raise error
    if report.failed:
        failed = {name: error for name, error in report.failed.items() if isinstance(error, TinyshipError)}
        raise ImagesFailed(failed, stopped=report.stopped, cancelled=report.cancelled, done=report.done)
    return tuple(report.done.values())


class _Failures:
    """Tells of each failure once, and of each image that fails for it."""

    def __init__(self, together: Together) -> None:
        self._together = together
        self._first: dict[int, str] = {}
        self._lock = threading.Lock()

    def told(self, name: str, error: TinyshipError) -> Iterator[StageFailed]:
        """What there is to be said when an image, of this name, fails."""
        with self._lock:
            first = self._first.setdefault(id(error), name)
        common = self._together.is_common(error)
        if first == name:
            why = _ENDED if isinstance(error, Cancelled) and not common else error.message
            yield StageFailed(error.stage, error.image or name, why)
        if first != name or (common and error.image):
            where = f"{error.stage} {error.image}".strip()
            yield StageFailed("", name, f"{where} failed" if where else f"for the same reason as {first}")


def _is_engine_gone(scope: Scope, error: TinyshipError) -> bool:
    """Whether there is no engine any more that could make the others."""
    if not isinstance(error, EngineError) or isinstance(error, BuildFailed | CommandFailed):
        return False
    engine = scope.together.known("engine")
    return not (engine and engine.answers())


def _no(wanted: str, names: Sequence[str]) -> ConfigError:
    if not names:
        return ConfigError(f"there are no `tinyship.images`, so none is named `{wanted}`")
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0)
    return ConfigError(
        f"no entry of `tinyship.images` is named `{wanted}`; the nearest is `{near[0]}`",
        hint=f"There are {', '.join(names)}; `*` stands for any letters.",
    )
