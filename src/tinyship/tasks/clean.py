"""Cleaning up: only what this project made, never another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from tinyship.tasks.session import Session


@task("leftovers", default=True)
def leftovers(session: Session, json: bool = False) -> None:
    """Remove artifacts, containers and unnamed images.

    Of images and containers only what bears this project's label goes. This is
    make's clean: releases, build image and base images stay.
    """
    _clean(session, "clean", "work")


@task("images")
def images(session: Session, json: bool = False) -> None:
    """Remove old releases from the engine.

    The last `clean.keep` (3) stay. What is tagged `local` stays, and so does
    what a container uses.
    """
    _clean(session, "clean.images", "old_releases")


@task("all")
def all_(session: Session, json: bool = False) -> None:
    """Remove everything that this project made.

    That is artifacts, containers, releases, build image and base images. The
    record of the last release stays in `.tinyship/`.
    """
    _clean(session, "clean.all", "everything")


def _clean(session: Session, task: str, what: str) -> None:
    from tinyship import pipeline
    from tinyship.stages import clean
    from tinyship.units import size

    def show(done: list[clean.Cleaned]) -> None:
        removed = [one for cleaned in done for one in cleaned.removed]
        if removed:
            session.console.table(("removed", ""), [(one.name, one.kind) for one in removed])
        for cleaned in done:
            for name, why in cleaned.kept:
                session.console.say(f"kept {name}: {why}")
        freed = sum(cleaned.freed for cleaned in done)
        session.console.say(f"{size(freed)} freed" if removed else "nothing to remove")
        session.console.result(
            {"removed": removed, "kept": [kept for one in done for kept in one.kept], "freed": freed}
        )

    session.run(lambda scope: pipeline.plan_clean(scope, task, what), getattr(clean, what), show)
