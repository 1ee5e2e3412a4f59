"""Cleaning up: only what this project made, never another's, and never before a table has said what and why."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tinyship.cleaning.retention import Cleaned, Verdict
    from tinyship.stages.judging import Judgement, What
    from tinyship.tasks.session import Session

YES_HELP = "Remove it even where that is more than `clean.ask_above` (0.5) of all images of the project."


@task("leftovers")
def leftovers(session: Session, json: bool = False) -> None:
    """Remove artifacts, ended containers and unnamed images.

    Of images and containers only what bears this project's label goes. This is
    make's clean: releases, build image and base images stay, and so do files
    that git tracks. A table says first what goes, what stays, and why.

    Examples:
      invoke --dry clean  # the table alone
      invoke clean
    """
    _clean(session, "work")


@task("images", help={"yes": YES_HELP})
def images(session: Session, yes: bool = False, json: bool = False) -> None:
    """Remove old releases from the engine.

    What stays: the last `clean.keep` (3) releases, those of commits that git's
    tags name or branches end at (`clean.keep_git`), what containers use, what
    is tagged `local`, what has another project's name, and what others stand
    on. A table says first what goes, what stays, and why; `--dry` ends there.

    Examples:
      invoke --dry clean.images  # the table alone
      invoke clean.images
      invoke clean.images --yes  # even where most of them go
    """
    _clean(session, "old_releases", yes=yes)


@task("all", help={"yes": YES_HELP})
def all_(session: Session, yes: bool = False, json: bool = False) -> None:
    """Remove everything that this project made.

    That is artifacts, containers, releases, build image and base images, but
    for what others use. The record of the last release stays in `.tinyship/`.
    A table says first what goes, what stays, and why; `--dry` ends there.

    Examples:
      invoke --dry clean.all  # the table alone
      invoke clean.all --yes
    """
    _clean(session, "everything", yes=yes)


@task("cache", help={"yes": "Remove it, although it is not this project's alone."})
def cache(session: Session, yes: bool = False, json: bool = False) -> None:
    """Remove old build cache from the engine.

    The cache is the engine's: all projects that are built there use it. So a
    table says what goes and what stays, and only `--yes` removes anything. What
    was used within `clean.cache_age` (168h) stays, what a build uses, and what
    is shared with an image. With `clean.cache_size` only so much goes that this
    is left. Podman has no such cache.

    Examples:
      invoke clean.cache  # the table alone
      invoke clean.cache --yes
    """
    from tinyship import pipeline
    from tinyship.stages import pruning

    def show(found: pruning.Found) -> None:
        session.console.say("the build cache is the engine's, not this project's alone")
        show_verdicts(session, found.verdicts)

    with session.project.scopes() as scopes:
        if session.dry:
            found = pruning.look(scopes)
            show(found)
            plan = pipeline.plan(scopes[0], pruning.TASK, pruning.actions(found))
            session.console.result({"plans": [plan], "verdicts": found.verdicts})
            return
        with interrupts(session):
            done = pruning.clean(scopes, yes=yes, show=show)
    show_cleaned(session, done)


def _clean(session: Session, what: What, *, yes: bool = False) -> None:
    from tinyship import pipeline
    from tinyship.stages import clean, judging

    with session.project.scopes() as scopes:
        if session.dry:
            judgement = judging.judge(scopes, what)
            _show(session, judgement)
            above = min(scope.settings.clean.ask_above for scope in scopes)
            much = not yes and clean.much(judgement.verdicts, above)
            session.console.lines((f"`--yes` would be needed: {much}",) if much else ())
            plan = pipeline.plan(scopes[0], judgement.task, clean.actions(judgement.verdicts))
            session.console.result({"plans": [plan], "verdicts": judgement.verdicts})
            return
        with interrupts(session):
            done = clean.clean(scopes, what, yes=yes, show=lambda found: _show(session, found))
    show_cleaned(session, done)


def _show(session: Session, judgement: Judgement) -> None:
    show_verdicts(session, judgement.verdicts)
    session.console.lines(judgement.hints)


@contextmanager
def interrupts(session: Session) -> Iterator[None]:
    """With `--json` what was done before Ctrl-C is told of, as it is where an error ends a clean."""
    from tinyship.stages.tally import CleanInterrupted

    try:
        yield
    except CleanInterrupted as error:
        told = {"kind": "Interrupted", "message": "interrupted", "cleaned": error.cleaned.as_json()}
        session.console.result({"error": told})
        raise


def show_verdicts(session: Session, verdicts: Sequence[Verdict]) -> None:
    """The table of what goes and what stays."""
    from tinyship.console import verdicts as table

    session.console.lines(table.lines(verdicts) or ("there is nothing to clean",))


def show_cleaned(session: Session, done: Cleaned) -> None:
    """What a clean did."""
    from tinyship.units import size

    for one in done.refused:
        session.console.say(f"kept {one.name}: {one.why}")
    if done.removed or done.stayed or done.refused:
        many = f"{len(done.removed)} removed" if done.removed else "nothing removed"
        freed = "" if done.freed is None else f", {size(done.freed)} freed, measured"
        session.console.say(f"{many}{freed if done.removed else ''}; see .tinyship/clean.json")
    session.console.result(done.as_json())
