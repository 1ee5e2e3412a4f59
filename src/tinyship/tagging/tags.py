"""The tags that a release is pushed under: templates filled in from what git says, and which of them may move."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC
from string import Formatter
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from tinyship import versions
from tinyship.git.revision import Revision
from tinyship.settings.grammar import TAG_LENGTH
from tinyship.tagging.released import Affixes, finals
from tinyship.versions import Scheme

Follows = Literal["", "all", "major", "minor", "patch", "branch", "date"]

_NUMBERS = re.compile(r"(?:\d+!)?v?(\d+)(?:\.(\d+))?(?:\.(\d+))?", re.I)
_NUMERIC = re.compile(r"[0-9.]")
_FIXED = {"version", "commit", "short_commit"}
_OF_VERSIONS = {"version", "major", "minor", "patch"}
_LINES = {"all": 0, "major": 1, "minor": 2, "patch": 3}


class Tag(Struct, frozen=True):
    """A tag of a release.

    Args:
        name: as Docker takes it.
        moving: it goes from release to release, like ``latest``; a tag that does not is a promise.
        follows: whose last release a moving tag names: that of ``all``, of the same ``major``, ``minor`` or ``patch``
            number, which is the highest version; or that of a ``branch`` or ``date``, which is the last push. Empty
            for a tag that does not move.
    """

    name: str
    moving: bool
    follows: Follows = ""


class Tags(Struct, frozen=True):
    """The tags of a release, in the order of their templates, and what should be said of them.

    ``affixes`` are what the templates write before and behind a version, by which versions are found among a
    registry's tags: ``{version}-alpine`` has ("", "-alpine").
    """

    tags: tuple[Tag, ...]
    notices: tuple[str, ...] = ()
    affixes: Affixes = ()


def render(templates: Iterable[str], revision: Revision) -> Tags:
    """Fill in the templates.

    ``latest`` and shortened versions are those of releases: never of a pre-release, a version between two tags, or a
    dirty tree; ``settle`` decides whether they move. ``{major}`` alone is left out before 1.0. A dirty tree has its
    version only, because no commit is what it holds. A branch's tag follows every clean push, and so does that of a
    date: the date is the commit's, a day has many commits, and "the one of that day" is the last.

    Args:
        templates: of ``push.tags``, checked when the settings were read.
        revision: what git says.
    """
    every = tuple(templates)
    values = _values(revision)
    tags: dict[str, Tag] = {}
    made_of: dict[str, str] = {}
    notices = []
    for template in dict.fromkeys(every):
        names = fields(template)
        if why := _unfit(names, values, revision):
            notices.append(f"tag `{template}` is left out: {why}")
            continue
        text = template.format_map(values)
        name = sanitise(text)
        if name in tags:
            notices.append(f"`{made_of[name]}` and `{template}` are one tag, `{name}`")
        else:
            notices += _said(text, name, template)
        follows = _follows(names)
        if name not in tags or not follows:  # what is a promise of one template is no moving tag of another
            tags[name] = Tag(name, bool(follows), follows)
        made_of.setdefault(name, template)
    return Tags(tuple(tags.values()), tuple(notices), affixes(every))


def settle(tags: Tags, version: str, known: Iterable[str], scheme: Scheme = "auto") -> Tags:
    """Leave out each tag that follows versions and that a higher one has: ``latest`` is never moved back.

    Only final versions count; which names are versions, and which are commits, dates or tags that move themselves,
    ``released.finals`` tells.

    Args:
        tags: as ``render`` made them.
        version: of the release, without anything before it.
        known: names of git tags, without their prefix, and of tags in the registry, in any order.
        scheme: how versions are read.
    """
    own = versions.parse(version, scheme)
    final = own if own and own.is_final else None
    rivals = [one for one in finals(known, scheme, tags.affixes, final) if final and one.order > final.order]
    kept, notices = [], []
    for tag in tags.tags:
        if tag.follows not in _LINES:
            kept.append(tag)
        elif not final:
            notices.append(f"`{tag.name}` stays: {version} is no released version")
        elif above := [one for one in rivals if one.line(_LINES[tag.follows]) == final.line(_LINES[tag.follows])]:
            higher = max(above, key=lambda one: versions.order(one.text, scheme))
            notices.append(f"`{tag.name}` stays: {higher.text} is higher than {version}")
        else:
            kept.append(tag)
    return replace(tags, tags=tuple(kept), notices=(*tags.notices, *notices))


def fields(template: str) -> set[str]:
    """The names in braces of a template."""
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def is_fixed(template: str) -> bool:
    """Whether what a template makes names one release for ever, by its version or its commit."""
    return bool(fields(template) & _FIXED)


def affixes(templates: Iterable[str]) -> Affixes:
    """What templates of nothing but a version write before and behind it, the longest first.

    What could be numbers of the version itself, as in ``{major}.0``, is none.
    """
    found = set()
    for template in templates:
        names = fields(template)
        if names and names <= _OF_VERSIONS:
            prefix, suffix = template.partition("{")[0], template.rpartition("}")[2]
            if not _NUMERIC.search(f"{prefix[-1:]} {suffix[:1]}"):
                found.add((prefix, suffix))
    return tuple(sorted(found, key=lambda affix: (-len("".join(affix)), affix)))


def sanitise(text: str) -> str:
    """A text as a tag that Docker takes; each character that it does not take becomes ``-``."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text).lstrip(".-")[:TAG_LENGTH] or "untagged"


def is_final(version: str, scheme: Scheme = "auto") -> bool:
    """Whether a version is that of a release: neither a pre-release nor one between two tags."""
    found = versions.parse(version, scheme)
    return bool(found and found.is_final)


def _values(revision: Revision) -> dict[str, str]:
    numbers = _NUMBERS.match(revision.version)
    major, minor, patch = numbers.groups(default="0") if numbers else ("", "", "")
    return {
        "version": revision.full_version,
        "major": major,
        "minor": minor,
        "patch": patch,
        "commit": revision.commit,
        "short_commit": revision.short_commit,
        "branch": revision.branch,
        "date": revision.date.astimezone(UTC).strftime("%Y%m%d") if revision.date else "",
    }


def _unfit(names: set[str], values: dict[str, str], revision: Revision) -> str:
    """Why a template does not go with a revision; empty where it does."""
    empty = sorted(name for name in names if not values[name])
    if empty:
        return f"there is no {' and no '.join(empty)}"
    if "version" in names:
        return ""
    if revision.dirty:
        return "the tree has changes that no commit has"
    follows = _follows(names)
    if follows not in _LINES:
        return ""
    if not revision.released or not is_final(revision.version, revision.scheme):
        return f"{revision.full_version} is no released version"
    if follows == "major" and not int(values["major"]):
        return "0 promises nothing, so nobody should follow all versions before 1.0"
    return ""


def _follows(names: set[str]) -> Follows:
    """What a template of these names follows; empty where it does not move."""
    if names & _FIXED:
        return ""
    if "branch" in names:
        return "branch"
    if "date" in names:
        return "date"
    if "major" not in names:
        return "all"
    return "patch" if {"minor", "patch"} <= names else "minor" if "minor" in names else "major"


def _said(text: str, name: str, template: str) -> list[str]:
    """What should be said of a text that is pushed under a name."""
    if name != text:
        cut = f", {TAG_LENGTH} at most: what is behind them is cut off" if len(text.lstrip(".-")) > TAG_LENGTH else ""
        return [f"tag `{text}` is pushed as `{name}`: Docker takes letters, digits, `_`, `.` and `-`{cut}"]
    if name != name.lower() and fields(template):
        return [f"tag `{name}` keeps its upper case: to Docker, `{name.lower()}` is another tag"]
    return []
