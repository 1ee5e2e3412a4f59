"""Text of other programs, without what it would do to a terminal."""

from __future__ import annotations

import re

_CODES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-Z\\-~])|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    "|[\u202a-\u202e\u2066-\u2069]"  # which turn the direction of what follows
)


def without_codes(text: str) -> str:
    """A line of somebody else's output without escape sequences and control characters."""
    return _CODES.sub("", text)
