"""What the images weigh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from tinyship.tasks.session import Session


@task("table", default=True)
def table(session: Session, json: bool = False) -> None:
    """Show what the images in the engine weigh.

    A row each for the bases, the build image and the last release. `unpacked`:
    the files on disk, all layers. `pull`: compressed bytes that a pull
    transfers, known once pushed. `unique`: what lies above the base image.
    `change`: unpacked bytes gained since the last release.
    """
    from tinyship import pipeline
    from tinyship.plan import Action
    from tinyship.sizes.table import Row
    from tinyship.stages import size

    def show(done: list[tuple[Row, ...]]) -> None:
        rows = [row for rows in done for row in rows]
        if rows:
            session.console.sizes(rows)
        else:
            session.console.say("none of this project's images is in the engine: `invoke release` makes them")
        session.console.result({"images": rows})

    session.run(
        lambda scope: pipeline.plan(scope, "size", (Action("weigh", scope.settings.image),)),
        size.now,
        show,
    )
