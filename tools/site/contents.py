"""The tables of contents: pages in their order, and then those of a pattern that stand nowhere else."""

from __future__ import annotations

import re
from pathlib import Path

_TREE = re.compile(r"```\{toctree\}\n.*?```", re.S)
_ENTRY = re.compile(r"^[a-z*][a-z*/-]*$", re.M)


def present(text: str, folder: Path) -> str:
    """The text of a page without those entries of its tables that no page is behind, which Sphinx would complain of.

    Args:
        folder: the sources of the site.
    """
    trees = [tree[0] for tree in _TREE.finditer(text)]
    named = {entry for tree in trees for entry in _ENTRY.findall(tree) if "*" not in entry}

    def kept(entry: re.Match[str]) -> str:
        pages = {str(page.relative_to(folder).with_suffix("")) for page in folder.glob(f"{entry[0]}.md")}
        if "*" in entry[0]:
            pages -= {*named, "index"}
        return entry[0] if pages else ""

    return _TREE.sub(lambda tree: _ENTRY.sub(kept, tree[0]), text)
