"""The tags that a release is pushed under: templates filled in from what git says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from string import Formatter

from tinyship.revision import Revision
from tinyship.settings.grammar import TAG_LENGTH

_FINAL = re.compile(r"v?\d+(?:\.\d+)*(?:[._-]?post\d+)?(?:\+[\w.-]+)?", re.I)
_NUMBERS = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?")
_FIXED = {"version", "commit", "short_commit", "date"}


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag, and whether it is one that moves from release to release, like ``latest``."""

    name: str
    moving: bool


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of a release, in the order of their templates, and what should be said of them."""

    tags: tuple[Tag, ...]
    notices: tuple[str, ...] = ()


def render(templates: Iterable[str], revision: Revision) -> Tags:
    """Fill in the templates.

    What moves is left alone by all but released versions: ``latest`` never names a pre-release, a version between two
    tags, or a dirty tree. A dirty tree has its version only, because no commit is what it holds. A branch's tag follows
    every clean push.

    Args:
        templates: of ``push.tags``, checked when the settings were read.
        revision: what git says.
    """
    values = _values(revision)
    tags: dict[str, Tag] = {}
    notices = []
    for template in templates:
        names = fields(template)
        why = _unfit(names, values, revision)
        if why:
            notices.append(f"tag `{template}` is left out: {why}")
            continue
        text = template.format_map(values)
        name = sanitise(text)
        if name != text:
            notices.append(f"tag `{text}` is pushed as `{name}`: Docker takes letters, digits, `_`, `.` and `-`")
        tags.setdefault(name, Tag(name, not names & _FIXED))
    return Tags(tuple(tags.values()), tuple(notices))


def fields(template: str) -> set[str]:
    """The names in braces of a template."""
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def sanitise(text: str) -> str:
    """A text as a tag that Docker takes; each character that it does not take becomes ``-``."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text).lstrip(".-")[:TAG_LENGTH] or "untagged"


def is_final(version: str) -> bool:
    """Whether a version is that of a release: neither a pre-release nor one between two tags."""
    return bool(_FINAL.fullmatch(version))


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
    if names & _FIXED or "branch" in names:
        return ""
    if not revision.released or not is_final(revision.version):
        return f"{revision.full_version} is no released version"
    return ""
