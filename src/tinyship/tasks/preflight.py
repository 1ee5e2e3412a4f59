"""Looking before leaping: what stands in the way of a release, and what it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from tinyship.tasks.session import Session


@task("check")
def check(session: Session, json: bool = False) -> None:
    """Check all that a release and its push depend on.

    Nothing is built, and nothing changes anywhere. Looked at are: the tree,
    the version and its git tag, higher versions, the engine, the budgets; and
    in each registry of `push.to` whether we may push there (it is asked, by
    beginning an upload that is taken back), and what the tags of this release
    name there now. Exit code 1 where something failed.
    """
    from invoke.exceptions import Exit

    from tinyship import pipeline
    from tinyship.console import checks
    from tinyship.plan import Check

    failed = False

    def show(done: list[tuple[Check, ...]]) -> None:
        nonlocal failed
        for scope_checks, loaded in zip(done, session.project.images, strict=True):
            session.console.say(loaded.settings.image)
            session.console.lines(checks.lines(scope_checks))
        every = [check for some in done for check in some]
        failed = any(check.state == "failed" for check in every)
        images = [loaded.settings.image for loaded in session.project.images]
        named = [{"image": image, "checks": some} for image, some in zip(images, done, strict=True)]
        session.console.result({"ok": not failed, "images": named})

    session.look(pipeline.check, show)
    if failed:
        raise Exit(code=1)


@task("plan")
def plan(session: Session, json: bool = False) -> None:
    """Show what `invoke release push` would do.

    What would be built, tagged and pushed, and what `release.check` says; it is
    what `invoke --dry release push` prints.
    """
    from tinyship import pipeline
    from tinyship.plan import Plan
    from tinyship.stages.scope import Scope

    def plans(scope: Scope) -> tuple[Plan, ...]:
        return pipeline.plan_release(scope, checked=True), pipeline.plan_push(scope)

    def show(done: list[tuple[Plan, ...]]) -> None:
        session.plans(each for some in zip(*done, strict=True) for each in some)

    session.look(plans, show)
