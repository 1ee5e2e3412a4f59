"""The settings in force: show them, and what there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from tinyship.tasks.session import Bare, Session


@task("show", help={"all": "Show the settings that are at their defaults too."})
def show(session: Session, all: bool = False, json: bool = False) -> None:
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


@task("schema", bare=True, help={"to": "Write it to this file instead, and tell the line by which editors find it."})
def schema(session: Bare, to: str = "") -> None:
    """Print the JSON Schema of the settings.

    Of `invoke.yaml`, for editors: they complete keys by it, show what each
    means, and mark what is wrong. `[tool.tinyship]` in pyproject.toml is what
    it has at `#/definitions/Project`. It is that of this tinyship, so write it
    anew after an upgrade.

    Examples:
      invoke config.schema
      invoke config.schema --to .tinyship/settings.schema.json
    """
    from tinyship.settings import editor

    if not to:
        session.console.lines(editor.schema().splitlines())
        return
    file = session.folder / to
    if not session.dry:
        editor.write(file)
    session.console.say(f"{'would write' if session.dry else 'wrote'} {to}")
    session.console.say(f"the first line of invoke.yaml for editors: {editor.line(file, session.folder)}")
