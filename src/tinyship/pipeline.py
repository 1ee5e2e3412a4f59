"""One image, from its bases to the registry: folds the stages in their order, and loads those that a task needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tinyship import record, turns
from tinyship.errors import EngineError, TinyshipError
from tinyship.plan import Action, Check, Plan

if TYPE_CHECKING:
    from tinyship.stages.push import Delivery
    from tinyship.stages.release import Released
    from tinyship.stages.scope import Made, Scope


def plan(scope: Scope, task: str, *actions: tuple[Action, ...], checks: tuple[Check, ...] = ()) -> Plan:
    """The plan of a task: what git says of the project, and the actions, in order."""
    now = scope.revision
    return Plan(
        task=task,
        image=scope.settings.image,
        version=now.full_version,
        commit=now.commit,
        dirty=now.dirty,
        actions=tuple(action for some in actions for action in some),
        notices=now.notices,
        checks=checks,
    )


def check(scope: Scope) -> tuple[Check, ...]:
    """Everything that can be known to stand in the way of a release and its push, before anything is built."""
    from tinyship.stages import preflight

    asked = preflight.remote(scope)
    return (*preflight.local(scope), *_missing(scope), *(check for place in asked for check in place.checks))


def _missing(scope: Scope) -> tuple[Check, ...]:
    """A row for what the stages would fail for before they begin, a file or a setting; none where nothing is wrong."""
    from tinyship import lock
    from tinyship.stages import base, build, release

    try:
        base.check(scope)
        build.check(scope)
        release.check(scope)
        lock.read(scope.root)
    except EngineError:
        return ()  # the row of the engine says it
    except TinyshipError as error:
        said, *more = error.message.splitlines()
        return (Check("build", "failed", said, tuple(more), error.hint),)
    return ()


def plan_release(scope: Scope, *, only: bool = False, checked: bool = False) -> Plan:
    """What ``make_release`` would do.

    Args:
        only: leave base and build as they are.
        checked: look at git, the engine and the settings as ``check`` does.
    """
    from tinyship.stages import base, build, preflight, release

    before = () if only else (base.plan(scope), build.plan(scope))
    checks = (*preflight.local(scope), *_missing(scope)) if checked else ()
    return plan(scope, "release", *before, release.plan(scope), checks=checks)


def plan_build(scope: Scope) -> Plan:
    """What ``make_build`` would do."""
    from tinyship.stages import base, build

    return plan(scope, "build", base.plan(scope), build.plan(scope))


def plan_push(scope: Scope, *, after_release: bool = False) -> Plan:
    """What ``send`` would do, as far as the registries say.

    Args:
        after_release: a release is made before, so that what the record has is not what is pushed.
    """
    from tinyship.stages import preflight, push, trial

    smoke = trial.plan_smoke(scope) if scope.settings.push.smoke else ()
    asked = preflight.remote(scope, may_we=False, recorded=not after_release)
    checks = (push.ready(scope), *(check for place in asked for check in place.checks))
    found = plan(scope, "push", smoke, push.plan(scope, asked), checks=checks)
    release = None if after_release else preflight.built(scope, recorded=True)
    return replace(found, version=release.raw_version or release.version) if release and release.given else found


def make_bases(scope: Scope, *, force: bool = False) -> tuple[Made, ...]:
    """Bring the base images up to date; see ``stages.base``."""
    from tinyship.stages import base

    base.check(scope)
    with turns.releasing(scope.root):
        return base.make(scope, force=force)


def make_build(scope: Scope, *, only_image: bool = False, force: bool = False) -> Made | None:
    """Bring the base images up to date, then build; see ``stages.build``."""
    from tinyship.stages import base, build

    base.check(scope)
    build.check(scope)
    with turns.releasing(scope.root):
        base.make(scope, force=force)
        return build.make(scope, only_image=only_image, force=force)


def make_release(scope: Scope, *, only: bool = False, force: bool = False) -> Released:
    """Bring base and build up to date, then release; see ``stages.release``.

    Everything that can be known to fail beforehand fails before anything is made: git, missing files, the engine.

    Args:
        only: leave base and build as they are.
        force: make everything anew, even where nothing changed.
    """
    from tinyship.stages import release

    scope.revision  # noqa: B018  git's errors come before the engine's work
    record.read(scope.root)  # and so does what is wrong with the record
    release.check(scope)
    with turns.releasing(scope.root):
        if only:
            release.check_artifacts(scope)
        else:
            make_build(scope, force=force)
        return release.make(scope, force=force)


def look_before(scopes: Sequence[Scope], *, allow_dirty: bool = False, force: bool = False) -> None:
    """Raise what the push of one of several images would be refused with, before any is pushed."""
    from tinyship.stages import push

    for scope in scopes if len(scopes) > 1 else ():
        push.look(scope, allow_dirty=allow_dirty, force=force)


def send(scope: Scope, *, allow_dirty: bool = False, force: bool = False) -> Delivery:
    """Push the release, after its smoke test where the settings ask for one; see ``stages.push``."""
    from tinyship.stages import push

    release = record.read(scope.root).find(scope.settings.image)
    with turns.releasing(scope.root):
        if scope.settings.push.smoke and not (release and release.smoke):
            from tinyship.stages import trial

            push.check(scope, allow_dirty=allow_dirty)
            trial.smoke(scope)
        return push.send(scope, allow_dirty=allow_dirty, force=force)
