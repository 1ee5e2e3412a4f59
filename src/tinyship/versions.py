"""Versions as numbers that can be compared: Semantic Versioning and PEP 440, and one order over both."""

from __future__ import annotations

import re
from typing import Any, Literal

from msgspec import Struct

Scheme = Literal["auto", "semver", "pep440"]
SCHEMES: tuple[Scheme, ...] = ("auto", "semver", "pep440")

_Identifier = tuple[int, int, str]
_NUMBERED = re.compile(r"([A-Za-z]+)([0-9]+)")
_PIECES = re.compile(r"[0-9]+|[^0-9]+")
_PHASES = {"a": "alpha", "b": "beta", "rc": "rc"}
_RELEASED = (2, ())


class Version(Struct, frozen=True):
    """A version that was understood.

    Args:
        text: as it was written.
        epoch: of PEP 440, ``1!2.0``; 0 everywhere else.
        numbers: those before any letter: (1, 4, 2); as many as were written.
        is_prerelease: it comes before the release that it is named after: ``1.0.0-rc.1``, ``1.0a1``, ``1.0.dev3``.
        order: compares with that of other versions; equal where neither comes first, as builds of one version do.
    """

    text: str
    epoch: int
    numbers: tuple[int, ...]
    is_prerelease: bool
    order: tuple[Any, ...]

    @property
    def is_final(self) -> bool:
        """Whether it is a release: no pre-release. Post-releases and builds are releases."""
        return not self.is_prerelease

    def line(self, length: int) -> tuple[int, ...]:
        """The first numbers, with 0 for those that are not written: what versions of one line share."""
        return (self.numbers + (0,) * length)[:length]


def parse(text: str, scheme: Scheme = "auto") -> Version | None:
    """Understand a version; None where it is none. A ``v`` before the first number is no part of it.

    Calendar versions and those with four numbers are versions as PEP 440 has them. Some texts mean one thing to
    Semantic Versioning and another to PEP 440, and the scheme decides:

    - ``1.0.0-1`` is a pre-release (semver) or the first post-release (pep440); so is ``1.0.0-post1``;
    - ``1.0.0-rc10`` comes before ``1.0.0-rc2`` in semver, which compares such words letter by letter; in pep440 and
      ``auto`` the 10 is a number, as it is for everybody in ``1.0.0-rc.10``;
    - ``1.0.0+5`` is a build of 1.0.0, neither above nor below it (semver), or a local version above it (pep440).

    Args:
        text: the version, without what projects write before it in git tags, apart from ``v``.
        scheme: ``semver``: the three numbers of Semantic Versioning 2.0.0, strictly; ``pep440``: Python's; ``auto``:
            Semantic Versioning where the text is that, strictly, and PEP 440 otherwise.

    Source: semver.org/spec/v2.0.0.html, section 11; packaging.python.org, version specifiers.
    """
    if not text.isascii() or not text or text != text.strip():  # both libraries are more forgiving than tags are
        return None
    found = _semver(text, numbered=scheme == "auto") if scheme != "pep440" else None
    return _pep440(text) if found is None and scheme != "semver" else found


def order(text: str, scheme: Scheme = "auto") -> tuple[Any, ...]:
    """A key that sorts any texts: what is no version comes first, its numbers as numbers; equal texts alone are equal.

    Of versions that are equal but for their builds, the one whose build sorts last comes last.
    """
    version = parse(text, scheme)
    return (1, version.order, _natural(text), text) if version else (0, (), _natural(text), text)


def _semver(text: str, *, numbered: bool) -> Version | None:
    import semver

    try:
        found = semver.Version.parse(text[1:] if text[:1] in {"v", "V"} else text)
    except ValueError:
        return None
    numbers = (found.major, found.minor, found.patch)
    pre = (1, _identifiers(found.prerelease, numbered=numbered)) if found.prerelease else _RELEASED
    return Version(text, 0, numbers, bool(found.prerelease), _key(0, numbers, pre))


def _pep440(text: str) -> Version | None:
    from packaging.version import Version as Pep440

    try:
        found = Pep440(text)
    except ValueError:  # InvalidVersion is one; so is what Python says of thousands of digits
        return None
    pre: tuple[int, tuple[_Identifier, ...]] = _RELEASED
    if found.pre:
        pre = (1, ((1, 0, _PHASES[found.pre[0]]), (0, found.pre[1], "")))
    elif found.dev is not None and found.post is None:
        pre = (0, ())  # 1.0.dev1 comes before 1.0a1
    local = tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in (found.local or "").split("."))
    key = _key(found.epoch, found.release, pre, found.post, found.dev, local if found.local else ())
    return Version(text, found.epoch, found.release, found.is_prerelease, key)


def _key(
    epoch: int,
    numbers: tuple[int, ...],
    pre: tuple[int, tuple[_Identifier, ...]],
    post: int | None = None,
    dev: int | None = None,
    local: tuple[_Identifier, ...] = (),
) -> tuple[Any, ...]:
    """The order of PEP 440, in which that of Semantic Versioning finds its place: 1.0 is 1.0.0."""
    while numbers[-1:] == (0,):
        numbers = numbers[:-1]
    return (epoch, numbers, pre, -1 if post is None else post, (1, 0) if dev is None else (0, dev), local)


def _identifiers(prerelease: str, *, numbered: bool) -> tuple[_Identifier, ...]:
    """The identifiers of a pre-release: numbers first, then words; ``numbered`` reads ``rc2`` as ``rc.2``."""
    found: list[_Identifier] = []
    for identifier in prerelease.split("."):
        match = _NUMBERED.fullmatch(identifier) if numbered else None
        for part in match.groups() if match else (identifier,):
            found.append((0, int(part), "") if part.isdecimal() else (1, 0, part))
    return tuple(found)


def _natural(text: str) -> tuple[_Identifier, ...]:
    """The text's numbers as numbers, where these are short enough to be any."""
    return tuple(
        (0, int(piece), "") if piece.isdecimal() and len(piece) < 20 else (1, 0, piece)
        for piece in _PIECES.findall(text)
    )
