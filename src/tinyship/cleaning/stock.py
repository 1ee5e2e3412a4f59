"""What a repository of a registry has, image by image: whose each one is, of which version, how old, what it holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tinyship import labels, versions
from tinyship.cleaning.retention import EVER
from tinyship.tagging import promises, released, tags
from tinyship.versions import Scheme

if TYPE_CHECKING:
    from tinyship.registry.contents import Content, Contents

Stay: TypeAlias = Literal["final", "tagged", "last"]
"""Which versions stay whatever their age: all final ones and those of git tags; those of git tags; none of them."""

_REFERRER = re.compile(r"sha256-([0-9a-f]{64})(?:\.[a-z]+)?")
"""The tag of what belongs to a digest: signatures, attestations, the index of its referrers."""
_DESCRIBED = re.compile(r"(.+)-(\d+)-g[0-9a-f]{7,}")
DIRTY = "-dirty"
"""What the version of a release from a tree with changes ends in."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What stays.

    Args:
        project: whose images these are: the value of the label ``tinyship.project``.
        templates: of ``push.tags``.
        scheme: how versions are read.
        keep: how many releases stay, the last ones by version.
        age: what is younger stays.
        stay: which versions do.
        now: the moment that ages are counted from.
    """

    project: str
    templates: tuple[str, ...] = ("{version}", "{commit}", "latest")
    scheme: Scheme = "auto"
    keep: int = 10
    age: timedelta = timedelta(days=30)
    stay: Stay = "final"
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Known:
    """What the project itself knows of its releases.

    Args:
        recorded: digests that the record names.
        versions: the version of each git tag, and the tag.
        commits: the full commit of each git tag, and the tag.
        released: when it was released, by digest.
        dates: the same, by the version and the commit: digests differ from registry to registry.
        cut_off: git's history is not all here, and so perhaps not all tags.
    """

    recorded: frozenset[str] = frozenset()
    versions: Mapping[str, str] = field(default_factory=dict)
    commits: Mapping[str, str] = field(default_factory=dict)
    released: Mapping[str, datetime] = field(default_factory=dict)
    dates: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    cut_off: bool = False


class Stock:
    """The images of a repository, and what can be said of each."""

    def __init__(self, contents: Contents, rules: Rules, known: Known) -> None:
        self.contents = contents
        self.rules = rules
        self.known = known
        self._promises: dict[str, bool] = {}
        named: dict[str, list[str]] = {}
        for tag, digest in contents.tags.items():
            named.setdefault(digest, []).append(tag)
        self.named = {digest: tuple(sorted(some, key=self._place)) for digest, some in named.items()}
        """The tags of each digest that has some, the most telling one first."""

    def content(self, digest: str) -> Content:
        """What is known of a manifest."""
        return self.contents.manifests[digest]

    @cached_property
    def unreadable(self) -> str:
        """A tag that leads to something of which it is not known what else it names; empty where there is none."""
        for digest, names in self.named.items():
            if self.content(digest).missing or any(self.content(one).opaque for one in self.below([digest])):
                return f"`{names[0]}`"
        return ""

    @cached_property
    def owned(self) -> frozenset[str]:
        """The digests with tags that are this project's."""
        return frozenset(digest for digest in self.named if not self.referrer_of(digest) and not self.owner(digest))

    @cached_property
    def ordered(self) -> tuple[str, ...]:
        """The digests with tags: the project's by version, the highest first, and then the others."""
        ours = sorted(self.owned, key=self.age_key, reverse=True)
        return (*ours, *sorted(set(self.named) - self.owned, key=lambda digest: self.named[digest]))

    @cached_property
    def last(self) -> dict[str, int]:
        """The last releases, with the place of each: 1 for the last."""
        inside = {below for digest in self.named for below in self.below([digest]) - {digest}}
        releases = [digest for digest in self.ordered if digest in self.owned and digest not in inside]
        return {digest: place for place, digest in enumerate(releases[: self.rules.keep], 1)}

    @cached_property
    def users(self) -> Counter[str]:
        """How many manifests need each blob."""
        return Counter(blob for content in self.contents.manifests.values() for blob in content.blobs)

    @cached_property
    def holders(self) -> dict[str, list[str]]:
        """By each digest, the digests with tags that it is behind, itself among them."""
        found: dict[str, list[str]] = {}
        for holder in self.named:
            for digest in self.below([holder]):
                found.setdefault(digest, []).append(holder)
        return found

    def below(self, digests: Iterable[str]) -> set[str]:
        """These, and all that indexes among them list."""
        found: set[str] = set()
        left = list(digests)
        while left:
            digest = left.pop()
            if digest not in found and digest in self.contents.manifests:
                found.add(digest)
                left += self.content(digest).lists
        return found

    def referrer_of(self, digest: str) -> str:
        """The digest that something belongs to, by the name of its tag; empty where it is an image of its own."""
        matches = [_REFERRER.fullmatch(tag) for tag in self.named.get(digest, ())]
        subjects = {f"sha256:{match[1]}" for match in matches if match}
        return next(iter(subjects)) if len(subjects) == 1 and all(matches) else ""

    def owner(self, digest: str) -> str:
        """Why an image is not this project's; empty where it is."""
        content = self.content(digest)
        if content.fault:
            return f"not known to be ours: {content.fault}"
        inside = self._images(digest)
        if not inside:
            return "not known to be ours: it is no image"
        for image in inside:
            if image.fault:
                return f"not known to be ours: {image.fault}"
            project = (image.labels or {}).get(labels.PROJECT, "")
            if project != self.rules.project:
                return (
                    f"it is {project[:100]}'s"
                    if project
                    else "not known to be ours: it has no label `tinyship.project`"
                )
        return ""

    def _images(self, digest: str) -> list[Content]:
        """The images that a manifest is, or that an index and the indexes in it list."""
        content = self.content(digest)
        if not content.lists:
            return [content] if content.labels is not None or content.fault else []
        return [
            image
            for below in content.images
            for image in (self._images(below) if below in self.contents.manifests else [])
        ]

    def label(self, digest: str, key: str) -> str:
        """A label of an image, of the first one of an index; empty where it has none."""
        images = self._images(digest)
        return (images[0].labels or {}).get(key, "") if images else ""

    def version(self, digest: str) -> str:
        """The version of an image: of its tags the one that is most of one, or what its label says."""
        told = self.label(digest, labels.VERSION)
        names = self.named[digest]
        if told and tags.sanitise(told) in self.cut(names):
            return told
        read = (self._read(tag) for tag in names if self.is_promise(tag))
        return max(read, key=len, default="") or told

    def cut(self, names: Iterable[str]) -> set[str]:
        """Tags, with and without what templates write around a version."""
        affixes = tags.affixes(self.rules.templates)
        cut = (name.removeprefix(prefix).removesuffix(suffix) for name in names for prefix, suffix in affixes)
        return {*names, *cut}

    def _read(self, tag: str) -> str:
        found = released.read(tag, self.rules.scheme, tags.affixes(self.rules.templates))
        return found.text if found and len(found.numbers) > 1 else ""

    def is_promise(self, tag: str) -> bool:
        """Whether a tag stays what it is, as those of versions and commits do; also of a tree with changes."""
        if tag not in self._promises:
            rules, bare = self.rules, tag.removesuffix(DIRTY)
            known = partial(tuple, self.known.versions)
            self._promises[tag] = promises.is_promise(bare, rules.templates, rules.scheme, known)
        return self._promises[tag]

    def age_key(self, digest: str) -> tuple[Any, ...]:
        """By which releases are ordered."""
        return (*order(self.version(digest), self.rules.scheme), self.made(digest) or EVER, digest)

    def made(self, digest: str) -> datetime | None:
        """The later one of when its config says that it was made, and of when this project knows of its release."""
        release = (tags.sanitise(self.version(digest)), self.label(digest, labels.REVISION))
        dates = [image.created for image in self._images(digest)]
        dates += [self.known.released.get(digest), self.known.dates.get(release)]
        return max((date for date in dates if date), default=None)

    def _place(self, tag: str) -> tuple[int, int, str]:
        """Where a tag stands among those of its image: versions first, commits last."""
        if not self.is_promise(tag):
            return 1, 0, tag
        return (0, -len(tag), tag) if self._read(tag) else (2, 0, tag)


def order(version: str, scheme: Scheme) -> tuple[Any, ...]:
    """A key that orders versions; what is some commits behind a tag comes after the tag, and not before as it reads."""
    bare = version.removesuffix(DIRTY)
    match = _DESCRIBED.fullmatch(bare)
    base, commits = (match[1], int(match[2])) if match else (bare, 0)
    return versions.order(base, scheme), commits, version.endswith(DIRTY)
