"""The base stage: builds, imports or pulls each base image, in the order of the settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tinyship import credentials, labels, reference
from tinyship.engine import images
from tinyship.events import about
from tinyship.plan import Action
from tinyship.stages import building, rootfs, uptodate
from tinyship.stages.given import Given
from tinyship.stages.scope import Made, Scope
from tinyship.stages.uptodate import Done

if TYPE_CHECKING:
    from tinyship.settings.stages import Base

_THERE = "the engine has this digest"


def plan(scope: Scope) -> tuple[Action, ...]:
    """What ``make`` would do."""
    verbs = {"dockerfile": "build", "rootfs": "import", "pull": "pull"}
    return tuple(
        action
        for base in scope.settings.base
        for action in (Action(verbs[_way(base)], base.name, made_from(base)), *building.actions((), base.cache_to))
    )


def check(scope: Scope) -> None:
    """Raise what ``make`` would raise for files that are missing, or for settings, before anything is made."""
    for number, base in enumerate(scope.settings.base):
        if base.dockerfile:
            building.check(scope, building.of_base(scope, base), f"base[{number}]")
        if base.rootfs:
            rootfs.check(scope.root, base)


def make(scope: Scope, *, force: bool = False) -> tuple[Made, ...]:
    """Bring each base image up to date.

    Args:
        force: make each again even where nothing that decides it changed.

    Raises:
        TinyshipError: one could not be made; names it. Those before it stay.
    """
    return tuple(_once(scope, base, force=force) for base in scope.settings.base)


def foresee(scope: Scope, *, force: bool = False) -> None:
    """Say why ``make`` would make each base image, or why not; nothing is made or changed."""
    for base in scope.settings.base:
        if scope.together.once(("foreseen", base.name), partial(_foresee, scope, base, force=force)):
            scope.together.planned.add(reference.tagged(base.name))


def _foresee(scope: Scope, base: Base, *, force: bool) -> bool:
    if base.dockerfile:
        return uptodate.foresee_build(scope, "base", building.of_base(scope, base), force=force)
    if base.rootfs:
        asked = (uptodate.FORCED,) if force else ()
        look = partial(rootfs.given, scope.root, base, _changes(scope, base))
        return uptodate.foresee(scope, "base", base.name, lambda _: look(), asked=asked)
    why = _why_pull(scope, base, force=force)
    uptodate.say(scope, "base", base.name, why or _THERE, works=bool(why))
    return bool(why)


def made_from(base: Base) -> str:
    """What a base image is made of, in words."""
    if base.dockerfile:
        return building.described(base, base.platforms)
    if base.rootfs:
        return f"from {rootfs.describe(base.rootfs)}"
    return f"by digest {base.pull[:19]}…"


def _way(base: Base) -> str:
    return "dockerfile" if base.dockerfile else "rootfs" if base.rootfs else "pull"


def _once(scope: Scope, base: Base, *, force: bool) -> Made:
    """Make a base image, once in a run, however many images stand on it."""
    return scope.together.once(("base", base.name), lambda: _make(scope, base, force=force))


def _make(scope: Scope, base: Base, *, force: bool) -> Made:
    doing = {"dockerfile": "building", "rootfs": "importing", "pull": "pulling"}[_way(base)]
    with scope.stage("base", base.name, f"{doing} {made_from(base)}") as outcome:
        make = {"dockerfile": _build, "rootfs": _import, "pull": _pull}[_way(base)]
        done = make(scope, base, force)
        outcome.word = done.word
    return Made("base", base.name, done.image_id, done.word, outcome.seconds, made_from(base))


def _build(scope: Scope, base: Base, force: bool) -> Done:
    return uptodate.build(scope, "base", lambda: building.of_base(scope, base), force=force)


def _import(scope: Scope, base: Base, force: bool) -> Done:
    changes = _changes(scope, base)
    events = about(base.name, scope.events)

    def work(of: Given | None, afresh: bool) -> Done:
        pieces = rootfs.chunks(scope.root, base, events)
        made = images.import_rootfs(scope.engine, pieces, name=base.name, changes=changes, events=events)
        return Done(made, "imported")

    def look(again: bool) -> Given:
        return rootfs.given(scope.root, base, changes)

    return uptodate.make(scope, "base", base.name, look, work, asked=(uptodate.FORCED,) if force else ())


def _changes(scope: Scope, base: Base) -> list[str]:
    """What is done to an imported image: what the settings say, and our own labels."""
    whose = labels.own(scope.settings, "base", owner=scope.owners.get(base.name, ""))
    return [*base.changes, *(f"LABEL {key}={value}" for key, value in whose.items())]


def _why_pull(scope: Scope, base: Base, *, force: bool) -> str:
    """Why an image is pulled; empty where it need not be."""
    present = scope.image(base.name)
    if force:
        return uptodate.FORCED
    if not present:
        return uptodate.ABSENT
    if any(digest.endswith(f"@{base.pull}") for digest in present.digests):
        return ""
    return "the engine has another image of this name"


def _pull(scope: Scope, base: Base, force: bool) -> Done:
    why = _why_pull(scope, base, force=force)
    present = scope.image(base.name)
    if present and not why:
        uptodate.say(scope, "base", base.name, _THERE, works=False)
        return Done(present.id, "up to date")
    uptodate.say(scope, "base", base.name, why, works=True)
    scope.works("base")
    credential = credentials.find(credentials.host_of(base.name))
    scope.forget()
    image_id = images.pull(
        scope.engine, base.name, base.pull, credential=credential, events=about(base.name, scope.events)
    )
    return Done(image_id, "pulled")
