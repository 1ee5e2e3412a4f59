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
    """
    from tinyship.settings import describe

    shown: list[dict[str, Any]] = []
    for loaded in session.project.images:
        rows = [(key, value, loaded.origins.get(key, "default")) for key, value in describe.values(loaded.settings)]
        rows = [row for row in rows if all or row[2] != "default"]
        session.console.table(
            ("setting", "value", "from"), [(key, describe.text(value), at) for key, value, at in rows]
        )
        shown.append({key: {"value": value, "from": at} for key, value, at in rows})
    session.console.result({"images": shown})
