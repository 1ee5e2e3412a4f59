"""The tiny image that ships: make it, run it, see that it works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.preflight import both, ready
from tinyship.tasks.push import publish
from tinyship.tasks.spec import BUILD_HELP, JOBS_HELP, task

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tinyship.errors import TinyshipError
    from tinyship.sizes.table import Row
    from tinyship.stages.changed import Changed
    from tinyship.stages.release import Released
    from tinyship.tasks.session import Session


@task(
    "make",
    help={
        "only": "Leave base and build as they are, and release what is there.",
        "push": "Check all that stands in the way first (`release.check`), and push what was released.",
        "allow_dirty": "With --push: push even from a tree with changes that no commit has, under that version alone.",
        "version": "Release as this version, like 2.0.1, whatever git and `tinyship.version` say.",
        "changed_since": "Only images whose inputs changed since this git revision, and what they stand on.",
        **BUILD_HELP,
        **JOBS_HELP,
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
    image: Sequence[str] | None = None,
    changed_since: str | None = None,
    jobs: int = 0,
    fail_fast: bool = False,
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

    Several images (`tinyship.images`) are made at the same time, each after
    those that it stands on: by FROM, `COPY --from`, `contexts`, `needs`. With
    --image it is those that are named, and what they stand on; only the former
    are pushed. When one fails, what stands on it is not begun, and the others
    are finished.

    --changed-since=origin/main: an image counts as changed where a file of its
    contexts is another one than when HEAD's history left that revision,
    committed or not, and so do its Dockerfiles, ignore files, settings and
    pins, and an image that it stands on. Where none is, nothing is released,
    and the exit code is 0.

    Examples:
      invoke release
      invoke release --push
      invoke --dry release push  # the plan of both
      invoke release --version 2.0.1 --image api --explain
      invoke release --changed-since origin/main --jobs 4 --fail-fast
    """
    from tinyship import pipeline
    from tinyship.errors import ConfigError, TinyshipError
    from tinyship.kept import record

    if allow_dirty and not push:
        raise ConfigError("`--allow-dirty` goes with `--push`; a release may be dirty anyway")

    released: list[str] = []

    def show(done: list[Released]) -> None:
        released.extend(one.release.image for one in done)
        session.console.sizes(_rows(done))
        if not done:
            session.console.say("nothing to release")
        if not push or not done:
            session.console.result({**record.outcome(session.project.root, released).as_json(), **more})

    flagged = session.explaining(explain).with_flags(no_cache=no_cache, pull=pull).with_version(version)
    changed = None if changed_since is None else _changed(flagged, changed_since)
    among = changed.names if changed else None
    more = {"changed": changed} if changed else {}
    chosen = flagged.selected(image, among=among)
    pushed = chosen if among is None and not image else flagged.selected(image, among=among, with_needs=False)
    if not chosen.project.images:
        show([])
        return
    if session.dry:
        session.plans_release(version)
    if push and session.dry:
        names = [loaded.name for loaded in pushed.project.images]
        both(chosen, only=only, pushed=names, explain=explain, force=force)
        return
    if push:
        ready(pushed, allow_dirty=allow_dirty)
    try:
        chosen.make(
            lambda scope: pipeline.plan_release(scope, only=only, checked=True, explain=explain, force=force),
            lambda scope: pipeline.make_release(scope, only=only, force=force),
            show,
            jobs=jobs,
            fail_fast=fail_fast,
        )
    except TinyshipError as error:
        session.console.sizes(_rows_of(error))
        raise
    if push and released:
        publish(pushed, allow_dirty=allow_dirty, released=released, more=more)


def _changed(session: Session, since: str) -> Changed:
    """Which images changed, after a line for each of them and why."""
    from tinyship.console.since import lines
    from tinyship.events import Notice

    found = session.project.changed(since)
    for line in lines(found):
        session.console.event(Notice(line))
    return found


def _rows(done: Iterable[Released]) -> list[Row]:
    """The size table of several images; a base image that several stand on is there once."""
    return list(dict.fromkeys(row for released in done for row in released.rows))


def _rows_of(error: TinyshipError) -> list[Row]:
    """What there is to be shown of a release that failed."""
    from tinyship.errors import BudgetExceeded, ImagesFailed

    if isinstance(error, ImagesFailed):
        failed = [row for one in error.failed.values() for row in _rows_of(one)]
        return list(dict.fromkeys((*_rows(error.done.values()), *failed)))
    return list(error.rows) if isinstance(error, BudgetExceeded) else []


@task("run")
def run(session: Session) -> None:
    """Run the released image in the foreground.

    Its ports are published, and Ctrl-C ends and removes it. Ports are those of
    `release.run.ports`, as `docker run -p` takes them, or else every port that
    the image exposes, each on a free port of the loopback address. The
    container's exit code is this task's.

    Examples:
      invoke release.run
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

    Examples:
      invoke release release.smoke
    """
    from tinyship import pipeline
    from tinyship.kept import record
    from tinyship.stages import trial

    def show(done: list[record.Release]) -> None:
        for release in done:
            session.console.say(f"{release.reference} works")
        session.console.result(record.read(session.project.root).as_json())

    session.run(lambda scope: pipeline.plan(scope, "release.smoke", trial.plan_smoke(scope)), trial.smoke, show)
