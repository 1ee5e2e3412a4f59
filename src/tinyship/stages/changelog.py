"""What a release changed since the one before: its commits, what the image gained, and the bases that moved."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tinyship import versions
from tinyship.errors import ConfigError, GitError
from tinyship.git import changes, revision, versiontags
from tinyship.git.changes import Changes
from tinyship.git.revision import SHORT
from tinyship.git.versiontags import VersionTag
from tinyship.kept.history import Entry
from tinyship.plan import Action
from tinyship.stages import history
from tinyship.stages.scope import Scope
from tinyship.tagging.tags import is_final, sanitise

FIRST = 100
"""Commits of a first release, which has no end, that are told of."""


@dataclass(frozen=True, slots=True)
class Resized:
    """What an image weighed before and after, in bytes; None where not known."""

    image: str
    unpacked_before: int | None
    unpacked: int | None
    pull_before: int | None
    pull: int | None


@dataclass(frozen=True, slots=True)
class Rebased:
    """A base image whose digest is another one; empty where the image did not stand on it."""

    image: str
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of a release.

    Args:
        version: of the release; a short commit where it has none.
        commit: of the release.
        since: the version before it, or what was named; empty for the first release.
        since_commit: of that.
        changes: the commits.
        sizes: of each image whose sizes are known of both releases.
        bases: of each image, those that are known of both releases and differ.
        notices: what is missing.
    """

    version: str
    commit: str
    since: str
    since_commit: str
    changes: Changes
    sizes: tuple[Resized, ...] = ()
    bases: tuple[Rebased, ...] = ()
    notices: tuple[str, ...] = ()


def plan() -> tuple[Action, ...]:
    """What ``notes`` would do."""
    return (Action("read", "git log"), Action("read", ".tinyship/history.jsonl"))


def notes(scope: Scope, start: str = "", end: str = "", *, authors: bool = False) -> Notes:
    """The notes of one image's release.

    Args:
        start: a version or what git knows as a commit; the release before where empty: the highest lower version whose
            tag ``end`` stands on, which is no pre-release where ``end`` is none.
        end: as ``start``; HEAD where empty.
        authors: name them.

    Raises:
        ConfigError: there is no such commit.
        GitError: there is no repository, or git is missing or refuses.
    """
    tags = versiontags.read(scope.root, scope.settings.version)
    until = _commit(scope, "--to", end, tags) if end else scope.revision.commit
    if not until:
        raise GitError(f"{scope.root} has no commit, so there are no changes to tell of")
    version, released = _version(scope, until, end, tags)
    if start:
        since = _commit(scope, "--from", start, tags)
        before = start
    else:
        last = _last(scope, until, version, released=released)
        since, before = (last.commit, last.version) if last else ("", "")
    found = changes.read(scope.root, since, until, most=0 if since else FIRST, authors=authors)
    cut = (
        f"the clone is shallow: commits{' and tags' if not start else ''} are missing; "
        "`git fetch --unshallow --tags` fetches them",
    )
    made = Notes(version, until, before, since, found, notices=cut if found.cut else ())
    return _weighed(scope, made) if since else made


def joined(every: Iterable[Notes]) -> tuple[Notes, ...]:
    """The notes of several images of one repository: one for each range of commits, with the sizes of all images."""
    found: dict[tuple[str, str, str], Notes] = {}
    for one in every:
        key = (one.version, one.commit, one.since_commit)
        known = found.get(key)
        found[key] = replace(known, sizes=known.sizes + one.sizes, bases=known.bases + one.bases) if known else one
    return tuple(found.values())


def _commit(scope: Scope, flag: str, named: str, tags: tuple[VersionTag, ...]) -> str:
    """The commit that git knows by a name, or that is tagged as this version."""
    by_version = next((tag.commit for tag in tags if named in {tag.version, tag.name}), "")
    found = by_version or revision.resolve(scope.root, named)
    if not found:
        raise ConfigError(
            f"`{flag}={named}`: git knows no such commit, tag or branch",
            hint="`git fetch --tags` fetches a remote's tags.",
        )
    return found


def _version(scope: Scope, until: str, end: str, tags: tuple[VersionTag, ...]) -> tuple[str, bool]:
    """The version at the end of the range, and whether it is one that is, or is to be, released."""
    now = scope.revision
    named = next((tag for tag in tags if end in {tag.version, tag.name}), None)
    if named:
        return named.version, True
    if until == now.commit and (now.tag or (now.is_given and re.match(r"v?\d", now.version))):
        return now.version, True
    here = next((tag for tag in tags if tag.commit == until), None)
    if here:
        return here.version, True
    return (now.version if until == now.commit else until[:SHORT]), False


def _last(scope: Scope, until: str, version: str, *, released: bool) -> VersionTag | None:
    """The release before: of the version tags that a commit stands on, the highest that is lower."""
    below = versiontags.read(scope.root, scope.settings.version, merged=until)
    scheme = scope.settings.version.scheme
    final = released and is_final(version, scheme)
    for tag in below:
        if tag.commit == until or (final and not is_final(tag.version, scheme)):
            continue
        if not released or versions.order(tag.version, scheme) < versions.order(version, scheme):
            return tag
    return None


def _weighed(scope: Scope, notes: Notes) -> Notes:
    """The notes with what is known of the images of both releases."""
    entries = history.known(scope)
    before, after = _entry(entries, notes.since_commit, notes.since), _entry(entries, notes.commit, notes.version)
    if not before or not after:
        return notes
    (old, old_pull), (new, new_pull) = _sizes(before), _sizes(after)
    name = scope.settings.image
    known = (old is not None and new is not None) or (old_pull is not None and new_pull is not None)
    sizes = (Resized(name, old, new, old_pull, new_pull),) if known else ()
    return replace(notes, sizes=sizes, bases=_rebased(name, before, after))


def _entry(entries: Iterable[Entry], commit: str, version: str) -> Entry | None:
    """The release of a commit, of the version in question where there are several."""
    ours = [entry for entry in entries if entry.commit == commit and not entry.dirty]
    named = [entry for entry in ours if entry.version.removeprefix("v") == sanitise(version).removeprefix("v")]
    return next(iter(reversed(named or ours)), None)


def _sizes(entry: Entry) -> tuple[int | None, int | None]:
    found = next((sizes for sizes in entry.sizes if sizes.stage == "release"), None)
    return (found.unpacked, found.pull) if found else (None, None)


def _rebased(image: str, before: Entry, after: Entry) -> tuple[Rebased, ...]:
    old, new = ({base.name: base.digest for base in entry.bases} for entry in (before, after))
    if not old or not new:
        return ()
    names = dict.fromkeys((*old, *new))
    return tuple(
        Rebased(image, name, old.get(name, ""), new.get(name, "")) for name in names if old.get(name) != new.get(name)
    )
