"""The colours of a page, light and dark, by what they are for.

Blue and orange tell live from dead and less from more, which people see who do not tell red from green; each of these
is said by a pattern, a sign or a word as well.
"""

from __future__ import annotations

from collections.abc import Mapping

LAYERS = 5
"""Colours of layers; after so many, they begin again."""

LIGHT: Mapping[str, str] = {
    "ground": "#f6f7f8",
    "panel": "#ffffff",
    "ink": "#16191d",
    "muted": "#59636e",
    "line": "#dfe3e7",
    "grid": "#eceff2",
    "own": "#2f75b5",
    "base": "#a3afba",
    "dead": "#c4560b",
    "dead-ground": "#fbe3d0",
    "dead-line": "#e59a62",
    "less": "#1c7f86",
    "more": "#c4560b",
    "good": "#146c43",
    "tile-root": "#ffffff",
    "tile-base": "#dce1e6",
    "tile-0": "#b5d4f0",
    "tile-1": "#b4e0da",
    "tile-2": "#d3cdf0",
    "tile-3": "#c5dcc0",
    "tile-4": "#f0e3b0",
}

DARK: Mapping[str, str] = {
    "ground": "#0f1215",
    "panel": "#171b20",
    "ink": "#e9ecef",
    "muted": "#9ba6b1",
    "line": "#2b3138",
    "grid": "#232930",
    "own": "#5aa2e0",
    "base": "#5c6874",
    "dead": "#f19a5b",
    "dead-ground": "#4a2a14",
    "dead-line": "#a8602b",
    "less": "#4bb8bd",
    "more": "#f19a5b",
    "good": "#5fc492",
    "tile-root": "#171b20",
    "tile-base": "#343c45",
    "tile-0": "#1f4a73",
    "tile-1": "#1c544f",
    "tile-2": "#453d78",
    "tile-3": "#35512f",
    "tile-4": "#5a4c19",
}


def variables(colours: Mapping[str, str]) -> str:
    """The colours as custom properties of CSS."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())
