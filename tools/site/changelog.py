"""The page of what changed: the changelog, with links as they are on the site."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def page() -> str:
    """The changelog without its title."""
    text = (ROOT / "CHANGELOG.md").read_text()
    return text.partition("\n")[2].replace("](docs/", "](").replace("](examples/", "](../examples/")
