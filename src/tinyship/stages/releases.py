"""The releases of one image, from all that knows of some: git tags, git notes, this folder's history, the registry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

from tinyship import versions
from tinyship.errors import GitError
from tinyship.git import versiontags
from tinyship.git.versiontags import VersionTag
from tinyship.kept import history, notes
from tinyship.kept.history import Entry, moment
from tinyship.plan import Action
from tinyship.stages import history as kept
from tinyship.stages import published
from tinyship.stages.scope import Scope
from tinyship.tagging.tags import sanitise

_UNTAGGED = re.compile(r"-g[0-9a-f]{7}$|-dirty$")
"""The end of a version that is between two tags, and so needs none."""

Place: TypeAlias = Literal["tag", "note", "here", "registry"]


@dataclass(frozen=True, slots=True)
class Known:
    """A release of an image, or a git tag that no release is known of; sizes in bytes.

    Args:
        image: the repository's name, without a tag.
        version: as it was tagged.
        commit: the full commit; empty where unknown.
        date: of the commit, RFC 3339; of the release where that is unknown, else empty.
        digest: of its manifest in a registry; empty where none is known.
        pull: compressed bytes that a pull transfers; None where not known.
        unpacked: files on disk, all layers, uncompressed; None where not known.
        tag: the git tag of this version on this commit; empty where there is none.
        places: that know of it: a git ``tag``, a git ``note``, ``here`` for this folder, a ``registry``.
    """

    image: str
    version: str
    commit: str
    date: str
    digest: str
    pull: int | None
    unpacked: int | None
    tag: str
    places: tuple[Place, ...]

    @property
    def is_tag_only(self) -> bool:
        """Whether there is a git tag, and nothing that says it was ever released."""
        return self.places == ("tag",)

    @property
    def is_untagged(self) -> bool:
        """Whether a registry has it as a version that no git tag names."""
        return "registry" in self.places and not self.tag and not _UNTAGGED.search(self.version)


def plan(scope: Scope, *, registry: bool) -> tuple[Action, ...]:
    """What ``known`` would do."""
    return (Action("read", "git tags"), *kept.plan_show(scope, fetch=False, registry=registry))


def known(scope: Scope, *, registry: bool = False) -> tuple[Known, ...]:
    """The releases of an image, the newest first.

    Args:
        registry: ask the first registry of ``push.to``, too.

    Raises:
        GitError: git is missing or refuses.
    """
    there = published.releases(scope) if registry else ()
    entries = kept.known(scope, there)
    tags = versiontags.read(scope.root, scope.settings.version)
    return merged(scope.settings.image, entries, tags, _Places.of(scope, there))


@dataclass(frozen=True)
class _Places:
    """Which releases each place knows, by their keys; and the digests that the registry has."""

    note: frozenset[history.Key] = frozenset()
    here: frozenset[history.Key] = frozenset()
    registry: frozenset[history.Key] = frozenset()
    digests: frozenset[str] = frozenset()

    @classmethod
    def of(cls, scope: Scope, there: Iterable[Entry]) -> _Places:
        noted: tuple[Entry, ...] = ()
        if scope.settings.size.notes:
            with suppress(GitError):  # which was told of when all of them were read
                noted = notes.read(scope.root).entries
        entries = tuple(there)
        return cls(
            note=_keys(noted),
            here=_keys(history.read(scope.root).entries),
            registry=_keys(entries),
            digests=frozenset(entry.digest for entry in entries if entry.digest),
        )

    def knowing(self, entry: Entry) -> tuple[Place, ...]:
        """The places that know a release."""
        key = _key(entry)
        found: list[Place] = ["note"] if key in self.note else []
        found += ["here"] if key in self.here else []
        found += ["registry"] if key in self.registry or entry.digest in self.digests else []
        return tuple(found) or ("here",)  # the record of a tinyship that kept no history


def merged(
    image: str, entries: Sequence[Entry], tags: Sequence[VersionTag], places: _Places = _Places()
) -> tuple[Known, ...]:
    """Releases and git tags as one list, the newest first: by the commits' dates, then by version.

    A release belongs to the tag of its version on its commit; where its commit is not known, its version decides.
    """
    by_commit = {(_name(tag.version), tag.commit): tag for tag in tags}
    by_version = {_name(tag.version): tag for tag in tags}
    found: list[Known] = []
    taken: set[str] = set()
    for entry in entries:
        name = _name(entry.version)
        tag = by_commit.get((name, entry.commit)) if entry.commit else by_version.get(name)
        taken |= {tag.name} if tag else set()
        found.append(_known(entry, tag, places.knowing(entry)))
    found += [
        Known(image, tag.version, tag.commit, tag.date, "", None, None, tag.name, ("tag",))
        for tag in tags
        if tag.name not in taken
    ]
    return tuple(sorted(found, key=_age, reverse=True))


def _known(entry: Entry, tag: VersionTag | None, places: tuple[Place, ...]) -> Known:
    sizes = next((sizes for sizes in entry.sizes if sizes.stage == "release"), None)
    return Known(
        image=entry.image,
        version=entry.version,
        commit=entry.commit or (tag.commit if tag else ""),
        date=entry.created or (tag.date if tag else "") or entry.recorded,
        digest=entry.digest,
        pull=sizes.pull if sizes else None,
        unpacked=sizes.unpacked if sizes else None,
        tag=tag.name if tag else "",
        places=("tag", *places) if tag else places,
    )


def _age(known: Known) -> tuple[datetime, tuple[Any, ...]]:
    return moment(known.date), versions.order(known.version)


def _keys(entries: Iterable[Entry]) -> frozenset[history.Key]:
    return frozenset(_key(entry) for entry in entries)


def _key(entry: Entry) -> history.Key:
    return (entry.image, _name(entry.version), entry.commit)


def _name(version: str) -> str:
    """A version as every place has it: a git tag may have characters that an image's tag cannot have, or a prefix."""
    return sanitise(version).removeprefix("v")
