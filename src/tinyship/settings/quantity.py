"""Sizes, growth and times as people write them: ``40MB``, ``7 MiB``, ``512``, ``5%``, ``+2MB``, ``36h``."""

from __future__ import annotations

import re

from msgspec import Struct

_UNITS = {
    "": 1,
    "B": 1,
    "K": 10**3,
    "KB": 10**3,
    "M": 10**6,
    "MB": 10**6,
    "G": 10**9,
    "GB": 10**9,
    "T": 10**12,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_QUANTITY = re.compile(r"\+?\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_PERCENT = re.compile(r"\+?\s*(\d+(?:\.\d+)?)\s*%")


class Growth(Struct, frozen=True):
    """A limit on growth: a share of what was there before, or a number of bytes. One of the two is None."""

    share: float | None
    bytes: int | None

    def allowance(self, before: int) -> int:
        """How many bytes may be added to ``before`` bytes."""
        return round(before * self.share) if self.share is not None else self.bytes or 0


def parse_bytes(text: str) -> int:
    """The number of bytes that ``text`` says. kB, MB, GB are decimal, KiB, MiB, GiB binary.

    Raises:
        ValueError: ``text`` is no size.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if not match or match[2].upper() not in _UNITS:
        raise ValueError(f"`{text}` is no size (like 40MB or 40MiB)")
    return round(float(match[1]) * _UNITS[match[2].upper()])


def parse_growth(text: str) -> Growth:
    """The limit that ``text`` says.

    Raises:
        ValueError: ``text`` is neither a share nor a size.
    """
    if match := _PERCENT.fullmatch(text.strip()):
        return Growth(float(match[1]) / 100, None)
    try:
        return Growth(None, parse_bytes(text))
    except ValueError:
        raise ValueError(f"`{text}` is no growth (like 5% or 2MB)") from None


def parse_duration(text: str) -> int:
    """The number of seconds that ``text`` says, like ``90s``, ``30m``, ``36h`` or ``7d``.

    Raises:
        ValueError: ``text`` is no time.
    """
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError(f"`{text}` is no time (like 36h or 7d)")
    return round(float(match[1]) * _SECONDS[match[2]])
