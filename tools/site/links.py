"""Links out of `docs/`: to the examples, which are pages of the site, and to the source, where it has an address."""

from __future__ import annotations

import os
import re
import tomllib
from functools import cache
from pathlib import Path

from tools.site import examples

ROOT = Path(__file__).resolve().parent.parent.parent
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<path>\.\.?/[^)#\s]*)(?P<anchor>#[^)]*)?\)")
_PAGES = {"README.md": "/index.md", "CHANGELOG.md": "/changelog.md"}


def within(text: str, folder: Path) -> str:
    """The text of a page with those of its links that lead out of `docs/` turned.

    Args:
        folder: of the page, relative to `docs/`.
    """

    def turned(link: re.Match[str]) -> str:
        path = os.path.normpath(Path("docs") / folder / link["path"])
        if Path(path).parts[0] == "docs":
            return link[0]
        return f"[{link['text']}]({target})" if (target := _target(path)) else link["text"]

    return _LINK.sub(turned, text)


def _target(path: str) -> str:
    """Where a file or folder of the repository is to be seen; empty where it is nowhere."""
    if path in _PAGES:
        return _PAGES[path]
    if path.startswith("examples"):
        return examples.target(Path(path))
    return f"{address}/{path}" if (address := _source()) else ""


@cache
def _source() -> str:
    """The address of the source's files, as pyproject.toml has it; empty where it has none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    address = project.get("urls", {}).get("Source", "")
    return f"{address}/blob/main" if address else ""
