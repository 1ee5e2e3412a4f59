"""A new project: look at what is there, write what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from tinyship.tasks.session import Bare


@task("init", bare=True, help={"text": "Show the text of each file that is written."})
def init(session: Bare, text: bool = False, json: bool = False) -> None:
    """Write tasks.py, invoke.yaml and what else is missing.

    Looks at the current folder: Go or Python source, a Dockerfile, a Makefile,
    a Compose or Bake file. What they say of images (names, build arguments,
    tags, targets, registries) is carried over into invoke.yaml, and shown with
    file and line; what is not understood is listed, never guessed. Missing are
    written: Dockerfile, .dockerignore, tasks.py, invoke.yaml, .gitignore; a file
    that is there stays as it is. With `--dry` nothing is written, and the texts
    are shown.

    Examples:
      tinyship --dry init  # shows what would be written
      tinyship init
    """
    from dataclasses import asdict

    from tinyship.init import project

    proposal = project.look(session.folder)
    written = () if session.dry else project.write(proposal)
    console, outcome = session.console, proposal.outcome
    console.say(f"read: {', '.join(proposal.read) or 'nothing that says how images are made'}")
    rows = [(said.key, str(said.place), _shown(said.value)) for said in outcome.carried]
    console.table(("setting", "from", "value"), rows)
    if outcome.unclear:
        console.say("")
        console.say("not carried over:")
        console.table(("where", "what", "why"), [(str(one.place), one.text, one.why) for one in outcome.unclear])
    console.say("")
    for file in proposal.files:
        verb = "kept" if file.kept else "would write" if session.dry else "wrote"
        console.say(f"{verb} {file.kept or file.name}")
        if not file.kept and (session.dry or text):
            console.lines(f"  | {line}".rstrip() for line in file.text.splitlines())
    for name, line in proposal.lacking:
        console.say(f"{name} should have the line {line}")
    console.result(
        {
            "read": proposal.read,
            "carried": [{"key": one.key, "value": one.value, **asdict(one.place)} for one in outcome.carried],
            "unclear": [{"text": one.text, "why": one.why, **asdict(one.place)} for one in outcome.unclear],
            "files": [
                {"name": file.name, "text": file.text, "kept": file.kept or None, "written": file.name in written}
                for file in proposal.files
            ],
            "lacking": [{"file": name, "line": line} for name, line in proposal.lacking],
        }
    )


def _shown(value: object) -> str:
    from tinyship.settings import describe

    return describe.text(value)
