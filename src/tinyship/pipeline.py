"""One image, from its bases to the registry: folds the stages in their order, and loads those that a task needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from tinyship.errors import EngineError, TinyshipError
from tinyship.kept import record, turns
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
    from tinyship.kept import lock
    from tinyship.stages import base, build, hooks, release, through

    try:
        _check(scope, "base", base.check)
        _check(scope, "build", build.check)
        _check(scope, "release", release.check)
        hooks.check(scope, *through.STAGES)
        lock.read(scope.root)
    except EngineError:
        return ()  # the row of the engine says it
    except TinyshipError as error:
        said, *more = error.message.splitlines()
        return (Check("build", "failed", said, tuple(more), error.hint),)
    return ()


def plan_release(
    scope: Scope, *, only: bool = False, checked: bool = False, explain: bool = False, force: bool = False
) -> Plan:
    """What ``make_release`` would do.

    Args:
        only: leave base and build as they are.
        checked: look at git, the engine and the settings as ``check`` does.
        explain: tell as events why each stage would work, or why not.
        force: they are to work even where nothing changed.
    """
    from tinyship.stages import release, through

    if explain:
        _foresee(scope, *(("release",) if only else ("base", "build", "release")), force=force)

    before = () if only else _plan_below(scope)
    checks: tuple[Check, ...] = ()
    if checked:
        from tinyship.stages import preflight

        checks = (*preflight.local(scope), *_missing(scope))
    return plan(
        scope, "release", *before, through.actions(scope, "release", lambda: release.plan(scope)), checks=checks
    )


def _plan_below(scope: Scope) -> tuple[tuple[Action, ...], ...]:
    from tinyship.stages import base, build, through

    return (
        through.actions(scope, "base", lambda: base.plan(scope)),
        through.actions(scope, "build", lambda: build.plan(scope)),
    )


def plan_build(scope: Scope, *, explain: bool = False, force: bool = False) -> Plan:
    """What ``make_build`` would do; arguments as for ``plan_release``."""
    if explain:
        _foresee(scope, "base", "build", force=force)
    return plan(scope, "build", *_plan_below(scope))


def plan_bases(scope: Scope, *, explain: bool = False, force: bool = False) -> Plan:
    """What ``make_bases`` would do; arguments as for ``plan_release``."""
    if explain:
        _foresee(scope, "base", force=force)
    return plan(scope, "base", _plan_below(scope)[0])


def _foresee(scope: Scope, *stages: str, force: bool) -> None:
    """Tell why these stages would work, or why not; a project's own say nothing. Nothing is changed or kept."""
    from tinyship.events import Notice
    from tinyship.stages import base, build, release

    scope.together.remembers = False
    made: tuple[str, ...] = ()
    try:
        for stage in (stage for stage in stages if stage not in scope.stages):
            if stage == "base":
                base.foresee(scope, force=force)
            elif stage == "build":
                made = build.foresee(scope, force=force)
            else:
                release.foresee(scope, made, force=force)
    except TinyshipError as error:
        scope.events(Notice(f"why there would be more work is not known: {error.message}", "warning"))


def plan_push(scope: Scope, *, after_release: bool = False) -> Plan:
    """What ``send`` would do, as far as the registries say.

    Args:
        after_release: a release is made before, so that what the record has is not what is pushed.
    """
    from tinyship.stages import preflight, push, through, trial

    smoke = trial.plan_smoke(scope) if scope.settings.push.smoke else ()
    asked = preflight.remote(scope, may_we=False, recorded=not after_release)
    checks = (push.ready(scope), *(check for place in asked for check in place.checks))
    pushes = through.actions(scope, "push", lambda: push.plan(scope, asked))
    found = plan(scope, "push", smoke, pushes, checks=checks)
    if after_release:
        return replace(found, notices=())  # the release's plan has them
    release = preflight.built(scope, recorded=True)
    return replace(found, version=release.raw_version or release.version) if release and release.given else found


def make_bases(scope: Scope, *, force: bool = False) -> tuple[Made, ...]:
    """Bring the base images up to date; see ``stages.base``."""
    from tinyship.stages import base, hooks

    hooks.check(scope, "base")
    _check(scope, "base", base.check)
    with turns.releasing(scope.root):
        return _make_bases(scope, force=force)


def _make_bases(scope: Scope, *, force: bool) -> tuple[Made, ...]:
    from tinyship.stages import base, through

    return through.go(
        scope, "base", base.make, plan=lambda: _data(plan_bases(scope)), record=lambda done: _made(done), force=force
    )


def make_build(scope: Scope, *, only_image: bool = False, force: bool = False) -> Made | None:
    """Bring the base images up to date, then build; see ``stages.build``."""
    from tinyship.stages import base, build, hooks, through

    hooks.check(scope, "base", "build")
    _check(scope, "base", base.check)
    _check(scope, "build", build.check)
    with turns.releasing(scope.root):
        _make_bases(scope, force=force)
        return through.go(
            scope,
            "build",
            build.make,
            plan=lambda: _data(plan(scope, "build", build.plan(scope))),
            record=lambda done: _made((done,) if done else ()),
            only_image=only_image,
            force=force,
        )


def make_release(scope: Scope, *, only: bool = False, force: bool = False) -> Released:
    """Bring base and build up to date, then release; see ``stages.release``.

    Everything that can be known to fail beforehand fails before anything is made: git, missing files, the engine.

    Args:
        only: leave base and build as they are.
        force: make everything anew, even where nothing changed.
    """
    from tinyship.stages import hooks, release, through

    scope.ask_git()
    _look_meanwhile(scope)
    scope.revision  # noqa: B018  git's errors come before the engine's work
    record.read(scope.root)  # and so does what is wrong with the record
    hooks.check(scope, *(("release",) if only else ("base", "build", "release")))
    _check(scope, "release", release.check)
    with turns.releasing(scope.root):
        if only:
            release.check_artifacts(scope)
        else:
            make_build(scope, force=force)
        return through.go(
            scope,
            "release",
            release.make,
            plan=lambda: _data(plan(scope, "release", release.plan(scope))),
            record=lambda _: _recorded(scope),
            force=force,
        )


def _look_meanwhile(scope: Scope) -> None:
    """Look at the files of the release while git is asked, where there may be nothing to do but look."""
    if scope.together.several or not (scope.root / ".tinyship").is_dir():
        return  # the others have work for that time, or it is not known yet what there was
    from tinyship.dockerfiles import sources

    settings = scope.settings.release
    with suppress(TinyshipError):  # which is told of where the files are needed
        context = scope.context("release", settings.context, settings.dockerfile)
        if sources.of(context.text) != frozenset():
            scope.files(context.root, context.patterns)


def look_before(scopes: Sequence[Scope], *, allow_dirty: bool = False, force: bool = False) -> None:
    """Raise what the push of one of several images would be refused with, before any is pushed."""
    from tinyship.stages import push

    for scope in scopes if len(scopes) > 1 else ():
        push.look(scope, allow_dirty=allow_dirty, force=force)


def send(scope: Scope, *, allow_dirty: bool = False, force: bool = False) -> Delivery:
    """Push the release, after its smoke test where the settings ask for one; see ``stages.push``."""
    from tinyship.stages import hooks, push, through

    hooks.check(scope, "push")
    release = record.read(scope.root).find(scope.settings.image)
    with turns.releasing(scope.root):
        if scope.settings.push.smoke and not (release and release.smoke):
            from tinyship.stages import trial

            push.check(scope, allow_dirty=allow_dirty)
            trial.smoke(scope)
        if hooks.of(scope, "before", "push"):
            push.check(scope, allow_dirty=allow_dirty)  # they are for what may be pushed
        return through.go(
            scope,
            "push",
            push.send,
            plan=lambda: _data(plan_push(scope)),
            record=lambda _: _recorded(scope),
            allow_dirty=allow_dirty,
            force=force,
        )


def _check(scope: Scope, stage: str, ours: Callable[[Scope], None]) -> None:
    """Check what a stage of ours needs; a project's own needs what it needs."""
    if stage not in scope.stages:
        ours(scope)


def _made(done: Iterable[Made]) -> dict[str, Any]:
    """What hooks after base and build get to know."""
    return {"images": [structs.asdict(one) for one in done]}


def _recorded(scope: Scope) -> dict[str, Any]:
    """What hooks after release and push get to know: the record, with this image alone."""
    return record.read(scope.root).only([scope.settings.image]).as_json()


def _data(found: Plan) -> dict[str, Any]:
    return asdict(found)
