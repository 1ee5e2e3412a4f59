"""The base images: build, import or pull them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import BUILD_HELP, JOBS_HELP, task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinyship.tasks.session import Session


@task(
    "make",
    help={**BUILD_HELP, **JOBS_HELP},
)
def make(
    session: Session,
    force: bool = False,
    explain: bool = False,
    no_cache: bool = False,
    pull: bool = False,
    image: Sequence[str] | None = None,
    jobs: int = 0,
    fail_fast: bool = False,
    json: bool = False,
) -> None:
    """Build, import or pull the base images.

    They are made in the order of `tinyship.base`. An entry is a Dockerfile, a
    root filesystem (a tar file, or a command whose standard output is a tar),
    or a digest to pull. A build is up to date when all that decides it is as it
    was, and the engine has the image; an import, when its tar, its command, the
    files that the command names and its `changes` are those of last time; a
    pull, when the digest is there.

    Examples:
      invoke base
      invoke base --explain       # and why each is made, or is not
      invoke base --force --pull  # anew, on the newest images below
    """
    from tinyship import pipeline
    from tinyship.stages.scope import Made

    def show(done: list[tuple[Made, ...]]) -> None:
        made = list(dict.fromkeys(one for each in done for one in each))
        session.console.table(("image", "made", "id"), [(one.image, one.made_from, _short(one.id)) for one in made])
        session.console.result({"images": made})
        _say_none(session, made)

    session.explaining(explain).with_flags(no_cache=no_cache, pull=pull).selected(image).make(
        lambda scope: pipeline.plan_bases(scope, explain=explain, force=force),
        lambda scope: pipeline.make_bases(scope, force=force),
        show,
        jobs=jobs,
        fail_fast=fail_fast,
    )


@task("list")
def list_(session: Session, json: bool = False) -> None:
    """Show the base images: size, age, made from what.

    The size is the unpacked one: that of the image's files on disk, all layers
    together. An image that is not in the engine is listed as missing.

    Examples:
      invoke base.list
      invoke base.list --json
    """
    from datetime import UTC, datetime

    from humanize import naturaltime

    from tinyship.engine import images
    from tinyship.stages import base, weighing
    from tinyship.units import known

    rows = []
    with session.project.scopes() as scopes:
        for scope in scopes:
            found = [(entry, images.find(scope.engine, entry.name)) for entry in scope.settings.base]
            weigh = weighing.remembered if session.dry else weighing.unpacked
            rows += [(entry, it, weigh(scope, it) if it else None) for entry, it in found]
    now = datetime.now(UTC)
    session.console.table(
        ("image", "unpacked", "age", "made"),
        [
            (
                entry.name,
                "missing" if image is None else known(unpacked),
                naturaltime(now - image.created) if image and image.created else "-",
                base.made_from(entry),
            )
            for entry, image, unpacked in rows
        ],
        right=("unpacked",),
    )
    _say_none(session, rows)
    session.console.result(
        {
            "images": [
                {
                    "image": entry.name,
                    "id": image.id if image else None,
                    "unpacked": unpacked,
                    "created": image.created if image else None,
                    "made_from": base.made_from(entry),
                }
                for entry, image, unpacked in rows
            ]
        }
    )


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]


def _say_none(session: Session, made: Sequence[object]) -> None:
    """Say why nothing is shown, where there are no base images."""
    from tinyship.events import Notice

    if not made:
        session.console.event(Notice("this project makes no base images: `tinyship.base` is empty"))
