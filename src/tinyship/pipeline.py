"""One image, from its bases to the registry: folds the stages in their order."""

from __future__ import annotations

from tinyship.plan import Action, Plan
from tinyship.stages import base, build, clean, push, release, trial
from tinyship.stages.push import Delivery
from tinyship.stages.release import Released
from tinyship.stages.scope import Made, Scope


def plan(scope: Scope, task: str, *actions: tuple[Action, ...]) -> Plan:
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
    )


def plan_release(scope: Scope, *, only: bool = False) -> Plan:
    """What ``make_release`` would do."""
    before = () if only else (base.plan(scope), build.plan(scope))
    return plan(scope, "release", *before, release.plan(scope))


def plan_build(scope: Scope) -> Plan:
    """What ``make_build`` would do."""
    return plan(scope, "build", base.plan(scope), build.plan(scope))


def plan_push(scope: Scope) -> Plan:
    """What ``send`` would do."""
    smoke = trial.plan_smoke(scope) if scope.settings.push.smoke else ()
    return plan(scope, "push", smoke, push.plan(scope))


def plan_clean(scope: Scope, task: str, what: str) -> Plan:
    """What a clean would remove; ``what`` names a function of ``stages.clean``."""
    return plan(scope, task, clean.plan(scope, what))


def make_bases(scope: Scope, *, force: bool = False) -> tuple[Made, ...]:
    """Bring the base images up to date; see ``stages.base``."""
    base.check(scope)
    return base.make(scope, force=force)


def make_build(scope: Scope, *, only_image: bool = False, force: bool = False) -> Made | None:
    """Bring the base images up to date, then build; see ``stages.build``."""
    base.check(scope)
    build.check(scope)
    base.make(scope)
    return build.make(scope, only_image=only_image, force=force)


def make_release(scope: Scope, *, only: bool = False) -> Released:
    """Bring base and build up to date, then release; see ``stages.release``.

    Everything that can be known to fail beforehand fails before anything is made: git, missing files, the engine.

    Args:
        only: leave base and build as they are.
    """
    scope.revision  # noqa: B018  git's errors come before the engine's work
    release.check(scope)
    if only:
        release.check_artifacts(scope)
    else:
        make_build(scope)
    return release.make(scope)


def send(scope: Scope, *, allow_dirty: bool = False) -> Delivery:
    """Push the release, after its smoke test where the settings ask for one; see ``stages.push``."""
    push.check(scope, allow_dirty=allow_dirty)
    if scope.settings.push.smoke:
        trial.smoke(scope)
    return push.send(scope, allow_dirty=allow_dirty)
