"""Which names of tags promise to name one image for ever, by what ``push.tags`` make of versions and commits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from string import Formatter

from tinyship import versions
from tinyship.git.gittags import SHORT
from tinyship.tagging import released, tags
from tinyship.versions import Scheme, Version

_ANY = "[A-Za-z0-9_.-]+"
_NUMBER = "[0-9]{1,5}"
_VALUES = {
    "version": _ANY,
    "commit": "[0-9a-f]{40}",
    "short_commit": f"[0-9a-f]{{{SHORT}}}",
    "major": _NUMBER,
    "minor": _NUMBER,
    "patch": _NUMBER,
    "date": "[0-9]{8}",
    "branch": _ANY,
}
_COMMIT = re.compile(rf"[0-9a-f]{{40}}|(?=[a-f]*[0-9])[0-9a-f]{{{SHORT}}}")
_DIRTY = "-dirty"
_USUAL = versions.Version("0.0.0", 0, (0, 0, 0), is_prerelease=False, order=())
"""What versions are like where a project has none."""

Known = Callable[[], Iterable[str]]
"""Gives the versions of a project, in any order; called where a tag alone does not tell what it is."""


def is_promise(tag: str, templates: Iterable[str], scheme: Scheme = "auto", known: Known = tuple) -> bool:
    """Whether a tag is one that may never name another image, as far as its name tells.

    What a template with a version or a commit in it makes is a promise; what one of shortened versions, of a date or of
    neither makes goes from release to release. A tag of a version's first numbers, ``1.4``, may be both: it is a
    promise where the project has that very version. Where no template tells, a tag that is like the project's versions
    or like a commit is a promise.

    Args:
        tag: as a registry has it.
        templates: of ``push.tags``.
        scheme: how versions are read.
        known: the project's versions.
    """
    every = tuple(templates)
    fixed = [values for one in every if tags.is_fixed(one) and (values := _read(one, tag)) is not None]
    stays = any(_holds(values, scheme, known) for values in fixed)
    for template in every:
        names = tags.fields(template)
        if tags.is_fixed(template) or "branch" in names or _read(template, tag) is None:
            continue
        if not stays or "patch" not in names:  # all numbers of a version are the version
            return any(values.get("version") in set(known()) for values in fixed if "version" in values)
    if stays:
        return True
    version = released.read(tag, scheme, tags.affixes(every))
    return bool(_COMMIT.fullmatch(tag)) or _is_version(version, tag, scheme, known)


def _read(template: str, tag: str) -> Mapping[str, str] | None:
    """What stands in a tag for the names of a template; None where the template makes no such tag."""
    pattern, seen = "", set[str]()
    for literal, name, _, _ in Formatter().parse(template):
        pattern += re.escape(literal)
        if name:
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{_VALUES[name]})"
            seen.add(name)
    found = re.fullmatch(pattern, tag)
    return found.groupdict() if found else None


def _holds(values: Mapping[str, str], scheme: Scheme, known: Known) -> bool:
    """Whether what stands in a tag of a version or of a commit is one; what a tree with changes made is no promise."""
    text = values.get("version")
    return text is None or _is_version(versions.parse(text, scheme), text, scheme, known)


def _is_version(version: Version | None, text: str, scheme: Scheme, known: Known) -> bool:
    if not version or text.endswith(_DIRTY):
        return False
    if len(version.numbers) > 1 and len(str(version.numbers[0])) < released.DATE:
        return True
    parsed = (versions.parse(name, scheme) for name in known())
    usual = max((one for one in parsed if one), key=lambda one: len(one.numbers), default=_USUAL)
    return released.is_like(version, usual)
