"""The tiny image that ships: make it, run it, see that it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.preflight import both, ready
from tinyship.tasks.push import publish
from tinyship.tasks.spec import BUILD_HELP, task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tinyship.tasks.session import Session


@task(
    "make",
    default=True,
    help={
        "only": "Leave base and build as they are, and release what is there.",
        "push": "Check all that stands in the way first (`release.check`), and push what was released.",
        "allow_dirty": "With --push: push even from a tree with changes that no commit has, under that version alone.",
        "version": "Release as this version, like 2.0.1, whatever git and `tinyship.version` say.",
        **BUILD_HELP,
    },
)
def make(
    session: Session,
    only: bool = False,
    push: bool = False,
    allow_dirty: bool = False,
    version: str | None = None,
    force: bool = False,
    explain: bool = False,
    no_cache: bool = False,
    pull: bool = False,
    json: bool = False,
) -> None:
    """Make the release image, and what it stands on.

    Base and build are brought up to date first; then the release image is
    built, tagged, labelled, weighed and recorded. What was made of the same
    before, and is in the engine, is not made again: `--explain` says why or why
    not. Tags in the engine: `local`,
    the version, the commit. The version comes from the git tag on HEAD
    (`v1.2.3` is 1.2.3), or from what `tinyship.version` says, or is given with
    --version. A tree with changes that no commit has is released as
    `<version>-dirty`. The table shows unpacked sizes (files on disk), what is
    unique beyond the base, and the change since the last release; a broken
    budget is an error. What was made is written to `.tinyship/release.json`.

    With --push nothing is built where `release.check` finds that the push would
    be refused, and what was released is pushed as `invoke push` does it.
    """
    from tinyship import pipeline, record
    from tinyship.errors import BudgetExceeded, ConfigError
    from tinyship.stages.release import Released
    from tinyship.stages.scope import Scope

    if allow_dirty and not push:
        raise ConfigError("`--allow-dirty` goes with `--push`; a release may be dirty anyway")

    def act(scope: Scope) -> Released:
        try:
            return pipeline.make_release(scope, only=only, force=force)
        except BudgetExceeded as error:
            session.console.sizes(error.rows)
            raise

    def show(done: list[Released]) -> None:
        session.console.sizes([row for released in done for row in released.rows])
        if not push:
            session.console.result(record.read(session.project.root).as_json())

    flagged = session.explaining(explain).with_flags(no_cache=no_cache, pull=pull).with_version(version)
    if session.dry:
        session.plans_release(version)
    if push and session.dry:
        both(flagged, only=only)
        return
    if push:
        ready(flagged, allow_dirty=allow_dirty)
    flagged.run(lambda scope: pipeline.plan_release(scope, only=only, checked=True), act, show)
    if push:
        publish(flagged, allow_dirty=allow_dirty)


@task("run")
def run(session: Session) -> None:
    """Run the released image in the foreground.

    Its ports are published, and Ctrl-C ends and removes it. Ports are those of
    `release.run.ports`, as `docker run -p` takes them, or else every port that
    the image exposes, each on a free port of the loopback address. The
    container's exit code is this task's.
    """
    from invoke.exceptions import Exit

    from tinyship import pipeline
    from tinyship.stages import trial

    def told(ports: Mapping[str, str]) -> None:
        for inside, outside in ports.items():
            session.console.say(
                f"{inside} is at http://{outside}/" if inside.endswith("/tcp") else f"{inside} {outside}"
            )

    def show(codes: list[int]) -> None:
        if any(codes):
            raise Exit(code=next(code for code in codes if code))

    session.run(
        lambda scope: pipeline.plan(scope, "release.run", trial.plan_run(scope)),
        lambda scope: trial.run(scope, told),
        show,
    )


@task("smoke")
def smoke(session: Session, json: bool = False) -> None:
    """Run the released image and wait until it works.

    Its container is removed afterwards. What has to pass is
    `release.smoke.command`, run in the container until it exits with 0, or else
    the image's HEALTHCHECK; within `release.smoke.timeout` seconds.
    `push.smoke: true` makes every push depend on it.
    """
    from tinyship import pipeline, record
    from tinyship.stages import trial

    def show(done: list[record.Release]) -> None:
        for release in done:
            session.console.say(f"{release.reference} works")
        session.console.result(record.read(session.project.root).as_json())

    session.run(lambda scope: pipeline.plan(scope, "release.smoke", trial.plan_smoke(scope)), trial.smoke, show)
