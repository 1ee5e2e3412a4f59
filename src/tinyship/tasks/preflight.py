"""Looking before leaping: what stands in the way of a release, and what it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tinyship.plan import Check
    from tinyship.tasks.session import Session


_VERSION = {"version": "As `--version` of `release` would release it."}


@task("check", help=_VERSION)
def check(session: Session, version: str | None = None, json: bool = False) -> None:
    """Check all that a release and its push depend on.

    Nothing is built, and nothing changes anywhere. Looked at are: the tree,
    the version and its git tag, higher versions, the engine, the budgets; files
    and settings of the stages, with a row only where something is wrong; and in
    each registry of `push.to` whether we may push there (it is asked, by
    beginning an upload that is taken back), and what the tags of this release
    name there now. Exit code 1 where something failed.

    Examples:
      invoke release.check
      invoke release.check --version 2.0.1 --json
    """
    from invoke.exceptions import Exit

    every = _looked(session.with_version(version))
    ok = not any(_failed(checks) for checks in every.values())
    session.console.result(
        {"ok": ok, "images": [{"image": image, "checks": checks} for image, checks in every.items()]}
    )
    if not ok:
        raise Exit(code=1)


@task("plan", help=_VERSION)
def plan(session: Session, version: str | None = None, json: bool = False) -> None:
    """Show what a release and its push would do.

    What would be built, tagged and pushed, and what `release.check` says; only
    whether we may push is not asked, as nothing may change. It is what
    `invoke --dry release push` prints.

    Examples:
      invoke release.plan
      invoke release.plan --version 2.0.1
    """
    both(session.with_version(version))


def both(
    session: Session,
    *,
    only: bool = False,
    pushed: Collection[str] | None = None,
    explain: bool = False,
    force: bool = False,
) -> None:
    """Show the plan of the release of each image, and then that of each push.

    Args:
        only: leave base and build as they are.
        pushed: the images that are pushed, by their names; all where None.
        explain: see ``pipeline.plan_release``.
        force: see ``pipeline.plan_release``.
    """
    from tinyship import pipeline
    from tinyship.plan import Plan
    from tinyship.stages.scope import Scope

    def plans(scope: Scope) -> tuple[Plan, ...]:
        is_pushed = pushed is None or scope.name in pushed
        pushing = (pipeline.plan_push(scope, after_release=True),) if is_pushed else ()
        released = pipeline.plan_release(scope, only=only, checked=True, explain=explain, force=force)
        return released, *pushing

    def show(done: list[tuple[Plan, ...]]) -> None:
        session.plans((*(some[0] for some in done), *(each for some in done for each in some[1:])))

    session.look(plans, show)


def ready(session: Session, *, allow_dirty: bool = False) -> None:
    """Look at all of it before a release that is to be pushed.

    Args:
        allow_dirty: a tree with changes, or without a commit, is none of what stands in the way.

    Raises:
        Refused: something stands in the way; the table says what.
    """
    from tinyship.errors import Refused

    for image, checks in _looked(session).items():
        if failed := [name for name in _failed(checks) if not (allow_dirty and name == "tree")]:
            raise Refused(
                f"nothing was built, because its push would fail: {', '.join(failed)}",
                hint="`invoke release.check` looks again.",
                stage="release",
                image=image,
            )


def _looked(session: Session) -> dict[str, tuple[Check, ...]]:
    """Look at each image of the project, and show the table."""
    from tinyship import pipeline
    from tinyship.console import checks

    images = [loaded.settings.image for loaded in session.project.images]
    found: dict[str, tuple[Check, ...]] = {}

    def show(done: list[tuple[Check, ...]]) -> None:
        found.update(zip(images, done, strict=True))

    session.look(pipeline.check, show)
    for image, some in found.items():
        session.console.say(image)
        session.console.lines(checks.lines(some))
    return found


def _failed(checks: Iterable[Check]) -> list[str]:
    return list(dict.fromkeys(check.name for check in checks if check.state == "failed"))
