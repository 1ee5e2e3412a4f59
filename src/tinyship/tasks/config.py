"""The settings in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from tinyship.tasks.session import Session


@task("config", help={"all": "Show the settings that are at their defaults too."})
def config(session: Session, all: bool = False, json: bool = False) -> None:
    """Show the settings in force, and where each is from.

    A source is a file, a `TINYSHIP_...` variable, `tasks.py`, or the default.

    Examples:
      invoke config
      invoke config --all
      invoke config --json
    """
    from tinyship.settings import describe

    shown: list[dict[str, Any]] = []
    for loaded in session.project.images:
        origins = loaded.origins
        session.console.table(("setting", "from", "value"), describe.rows(loaded.settings, origins, all=all))
        values = [entry for entry in describe.values(loaded.settings) if all or entry[0] in origins]
        shown.append({key: {"value": value, "from": origins.get(key, "default")} for key, value in values})
    session.console.result({"images": shown})
