"""``python -m tinyship``: the program, where its script is not on the path."""

from __future__ import annotations

from tinyship.cli import main

main()
