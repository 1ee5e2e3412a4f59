"""The notes of a release as Markdown. Words from git are others': they are escaped, and stay words.

Source: the GitHub Flavored Markdown specification, "Backslash escapes".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from tinyship.codes import without_codes
from tinyship.git.changes import KINDS, Change, Changes
from tinyship.git.revision import SHORT
from tinyship.units import change, size

if TYPE_CHECKING:
    from tinyship.stages.changelog import Notes, Rebased, Resized

_HEADINGS = {"breaking": "Breaking changes", "features": "Features", "fixes": "Fixes", "others": "Others"}
_ACTIVE = re.compile(r"([\\`*\[\]<>~|]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|://)")
_FIRST = re.compile(r"^(\d*)([.)]|[+-]|#(?=#*\s))(?=[\s#])")
_DIGITS = 12


def lines(notes: Sequence[Notes]) -> Iterator[str]:
    """The notes, with an empty line between those of different releases."""
    for number, one in enumerate(notes):
        yield from ("",) * bool(number)
        yield from _release(one)


def escaped(text: str) -> str:
    """A line of text of which Markdown reads nothing but letters; a URL is no link."""
    plain = _ACTIVE.sub(lambda match: "&#58;//" if match[1] == "://" else f"\\{match[1]}", without_codes(text))
    return _FIRST.sub(r"\1\\\2", plain)


def _release(notes: Notes) -> Iterator[str]:
    yield f"## {escaped(notes.version)}"
    first = "No release before it is known here." if notes.changes.cut else "The first release."
    yield from ("", f"Changes since {escaped(notes.since)}." if notes.since else first)
    yield from _changes(notes.changes)
    yield from _section("Sizes", (text for one in notes.sizes for text in _resized(one)))
    yield from _section("Base images", (_rebased(one) for one in notes.bases))
    for notice in notes.notices:
        yield from ("", f"> {notice}")


def _changes(changes: Changes) -> Iterator[str]:
    if not changes.commits:
        yield from ("", "No commits.")
    elif changes.conventional:
        for kind in KINDS:
            yield from _section(_HEADINGS[kind], (_change(one, one.kind != "others") for one in changes.of(kind)))
    else:
        breaking, rest = changes.of("breaking"), [one for one in changes.commits if one.kind != "breaking"]
        yield from _section(_HEADINGS["breaking"], (_change(one) for one in breaking))
        yield from _section("Changes" if breaking else "", (_change(one) for one in rest))
    if changes.more:
        yield from ("", f"And {changes.more:,} more.")


def _section(heading: str, entries: Iterable[str]) -> Iterator[str]:
    for number, entry in enumerate(entries):
        if not number:
            yield from ("", f"### {heading}", "") if heading else ("",)
        yield f"- {entry}"


def _change(one: Change, without_prefix: bool = False) -> str:
    scope = f"**{escaped(one.scope)}:** " if without_prefix and one.scope else ""
    text = escaped(one.text if without_prefix else one.subject) or "(no message)"
    author = f", {escaped(one.author)}" if one.author else ""
    return f"{scope}{text} ({one.commit[:SHORT]}{author})"


def _resized(one: Resized) -> Iterator[str]:
    pairs = (("unpacked", one.unpacked_before, one.unpacked), ("pull", one.pull_before, one.pull))
    for name, before, after in pairs:
        if before is not None and after is not None:
            gained = change(after - before) if after != before else "unchanged"
            yield f"{escaped(one.image)}: {name} {size(before)}, now {size(after)} ({gained})"


def _rebased(one: Rebased) -> str:
    before, after = (digest.removeprefix("sha256:")[:_DIGITS] for digest in (one.before, one.after))
    if not before or not after:
        return f"{escaped(one.image)}: {'now also on' if after else 'no longer on'} {escaped(one.name)}"
    return f"{escaped(one.image)}: {escaped(one.name)} was {before}, is {after}"
