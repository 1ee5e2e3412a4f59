"""The released versions among names of all kinds, as git and registries have them: commits, dates, words, versions."""

from __future__ import annotations

from collections.abc import Iterable

from tinyship import versions
from tinyship.git.gittags import SHORT
from tinyship.versions import Scheme, Version

Affixes = tuple[tuple[str, str], ...]
"""What stands before and behind versions in names, the longest first: ("", "-alpine")."""
_COMMIT = 40
DATE = 6
"""Digits from which on a first number is a date, or the number of a build, where versions have fewer."""


def finals(known: Iterable[str], scheme: Scheme, affixes: Affixes, own: Version | None) -> list[Version]:
    """The final versions among names, each once.

    A short name such as ``1.4`` is a tag that moves where a longer version of it is known, 1.4.0 or ``own``; else it is
    version 1.4, as some projects have them. A single number is a version only where the project's own are, since
    registries are full of ``1``, of numbers of builds, and of commits without a letter. A first number of six digits
    or more is a date or a build, unless the project's own have as many.

    Args:
        known: names of git tags, without their prefix, and of tags in a registry.
        scheme: how versions are read.
        affixes: what may stand around a version.
        own: a version of the project, which others are held against; the longest of them where it is None.
    """
    parsed = (read(name, scheme, affixes) for name in known)
    found = list({version.text: version for version in parsed if version and version.is_final}.values())
    if not found:
        return []
    like = own or max(found, key=lambda one: (len(one.numbers), -_width(one)))
    every = (*found, like)
    begun = {(one.epoch, one.numbers[:length]) for one in every for length in range(1, len(one.numbers))}
    return [one for one in found if (one.epoch, one.numbers) not in begun and is_like(one, like)]


def read(name: str, scheme: Scheme, affixes: Affixes) -> Version | None:
    """The version that a name is, or has between what may stand around one; None where it is none."""
    for prefix, suffix in affixes:
        if prefix + suffix and name.startswith(prefix) and name.endswith(suffix):
            version = versions.parse(name[len(prefix) : len(name) - len(suffix)], scheme)
            if version:
                return version
    return versions.parse(name, scheme)


def is_like(version: Version, like: Version) -> bool:
    """Whether a version may be one of a project that has such versions, and no date, commit or number of a build."""
    width, usual = _width(version), _width(like)
    if width >= DATE > usual:
        return False
    if len(version.numbers) > 1:
        return True
    return len(like.numbers) == 1 and (width == usual or width not in {SHORT, _COMMIT})


def _width(version: Version) -> int:
    """The digits of the first number."""
    return len(str(version.numbers[0]))
