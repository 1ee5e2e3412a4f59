"""The push stage: publishes exactly what the record names, tag by tag, and writes down what each tag names.

Fixed tags come first, in every registry, then those that move; at the end each is asked for again. A push that broke
off is resumed by another one, because the registries say what is there already.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import Struct

from tinyship import state
from tinyship.errors import NothingReleased, Refused, TinyshipError
from tinyship.events import Notice, ignore
from tinyship.git import revision
from tinyship.git.revision import Revision
from tinyship.kept import record
from tinyship.kept.record import Release
from tinyship.plan import Action, Check
from tinyship.registry import connection
from tinyship.stages import goals, history
from tinyship.stages.delivering import Arrival, Push
from tinyship.stages.place import places
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.stages.preflight import Asked

_SHOWN = 20


class Delivery(Struct, frozen=True):
    """What a push did.

    Args:
        release: the entry of the record, with ``pushed`` filled in.
        arrivals: one for each repository, in the order of ``push.to``.
        pull: compressed bytes that a pull transfers, from the registry's manifest; None where it did not say.
    """

    release: Release
    arrivals: tuple[Arrival, ...]
    pull: int | None


def plan(scope: Scope, asked: Iterable[Asked]) -> tuple[Action, ...]:
    """What ``send`` would do with a release of this revision.

    Args:
        asked: what the registries say, as ``preflight.remote`` asks them.
    """
    pushes = (Action("push", f"{place.repository}:{tag}") for place in asked for tag in place.tags)
    return (*pushes, *history.plan_push(scope))


def check(scope: Scope, *, allow_dirty: bool = False) -> Release:
    """The release that would be pushed.

    Raises:
        NothingReleased: nothing is released.
        Refused: HEAD or the tree moved since the release, or the tree was dirty.
    """
    image = scope.settings.image
    release = record.read(scope.root).find(image)
    if not release:
        raise NothingReleased(
            "nothing is released yet", hint="`invoke release` comes first.", stage="push", image=image
        )
    commit, tree = revision.state(scope.root)
    if release.commit != commit:
        raise _refused(
            scope,
            f"HEAD moved: version {release.version} was released from {release.commit[:7] or 'no commit'}, "
            f"HEAD is {commit[:7] or 'no commit'}",
            "Run `invoke release` again.",
        )
    if release.tree != tree:
        raise _refused(scope, "the working tree changed since the release", "Run `invoke release` again.")
    if release.dirty and not allow_dirty:
        changes = "\n".join(f"    {change}" for change in _first(scope.revision.changes))
        raise _refused(
            scope,
            f"version {release.version} was released from a tree with changes that no commit has:\n{changes}",
            "Commit or stash them and release again, or push with `--allow-dirty`.",
        )
    if not scope.revision.commit and not allow_dirty:
        raise _refused(
            scope,
            "without a git commit nobody can tell what this image was made of",
            "Commit the project first, or push with `--allow-dirty`.",
        )
    return release


def ready(scope: Scope) -> Check:
    """Whether there is a release that ``send`` would send, for a plan."""
    try:
        release = check(scope)
    except TinyshipError as error:
        said = error.message.partition("\n")[0].rstrip(":")
        return Check("release", "note", f"not yet to be pushed: {said}", hint=error.hint)
    return Check("release", "ok", f"{release.version} is what was released, from this very tree")


def look(scope: Scope, *, allow_dirty: bool = False, force: bool = False) -> None:
    """Raise what ``send`` would raise before anything is sent: of several images, all are looked at first."""
    with _begun(replace(scope, events=ignore), allow_dirty=allow_dirty, force=force):
        pass


def send(scope: Scope, *, allow_dirty: bool = False, force: bool = False) -> Delivery:
    """Let every tag of the release name its image in every registry, and write down each as it comes.

    Args:
        allow_dirty: push even what was released from a tree with uncommitted changes.
        force: replace what a fixed tag named before, and take a version that was given for what it is.

    Raises:
        Refused: see ``check``; or the version was given and is another commit's, a fixed tag names another image, or no
            tag is left.
        RegistryError: a registry refused, failed, or another release was faster; says which tags name the image, and
            the record holds those.
    """
    with _begun(scope, allow_dirty=allow_dirty, force=force) as push:
        push.fix()
        pull = push.weigh()
        push.agree()
        push.move()
        push.confirm()
    release = push.journal.release
    history.pushed(scope, release, allow_dirty=allow_dirty)
    return Delivery(release, push.arrivals(), pull)


@contextmanager
def _begun(scope: Scope, *, allow_dirty: bool, force: bool) -> Iterator[Push]:
    """A push that has looked at everything, and begins to give tags; no other one of this image is on its way here."""
    lock = f"push-{scope.settings.image.replace('/', '-')}.lock"
    with state.locked(scope.root, lock, doing=f"pushing {scope.settings.image}"):
        _ask_git(scope)
        release = check(scope, allow_dirty=allow_dirty)
        now = goals.of_release(scope, release)
        if not force:
            _check_given(scope, now)
        wanted = goals.wanted(scope, now)
        for notice in wanted.notices:
            scope.events(Notice(notice))
        with places(scope, release) as found:
            push = Push(scope, release, now, wanted, found, force)
            with push.told():
                push.look()
                yield push


def _ask_git(scope: Scope) -> None:
    """Have the revision read while what asks registries is loaded: git is waited for, and that takes as long."""

    def ask() -> None:
        with suppress(Exception):  # whoever wants the revision asks again, and is told
            scope.revision  # noqa: B018

    asking = threading.Thread(target=ask, daemon=True, name="tinyship-git")
    asking.start()
    connection.load()
    asking.join()


def _check_given(scope: Scope, now: Revision) -> None:
    """Refuse a version that git did not say, where git says it of another commit."""
    found = goals.elsewhere(scope, now.version, now.commit) if now.is_given and not now.dirty else None
    if found:
        name, commit = found
        raise _refused(
            scope,
            f"version {now.version} was given, and the git tag {name} is on {commit[:7]}, not on {now.short_commit}",
            f"Release what the tag is on (`git checkout {name}`), or another version; or push with `--force`.",
        )


def _first(changes: tuple[str, ...]) -> tuple[str, ...]:
    """The first of a list of changes, and how many more there are."""
    more = len(changes) - _SHOWN
    return (*changes[:_SHOWN], f"and {more} more") if more > 0 else changes


def _refused(scope: Scope, why: str, hint: str) -> Refused:
    return Refused(why, hint=hint, stage="push", image=scope.settings.image)
