"""Parts of the README that the front page of the site has too, so that their commands stand in one place."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).resolve().parent.parent.parent / "README.md"


def look() -> str:
    """What stands before its first section, without the title and the first paragraph."""
    return _linked(README.read_text().partition("\n## ")[0].split("\n\n", 2)[2])


def start() -> str:
    """Its section on the start, down to the table of tasks."""
    text = README.read_text().partition("\n## Start\n")[2]
    return _linked(re.split(r"^(?:## |\| task )", text, maxsplit=1, flags=re.M)[0])


def _linked(text: str) -> str:
    """The text with links as they are from the folder of the pages."""
    return re.sub(r"\]\((?:docs/|(?=examples/))", lambda link: "](../" if link[0] == "](" else "](", text)
