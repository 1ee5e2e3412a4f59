"""Which images of a repository in a registry stay, and which go, with all of their tags: rules over plain facts.

A registry deletes by digest, and all tags of a digest go with it: so an image stays or goes as a whole, and the first
reason to stay that holds for one of its tags is the reason. What no rule protects goes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tinyship import labels, promises, released, tags, versions
from tinyship.retention import EVER, Verdict
from tinyship.versions import Scheme

if TYPE_CHECKING:
    from tinyship.registry.contents import Content, Contents

Stay: TypeAlias = Literal["final", "tagged", "last"]
"""Which versions stay whatever their age: all final ones and those of git tags; those of git tags; none of them."""

_REFERRER = re.compile(r"sha256-([0-9a-f]{64})(?:\.[a-z]+)?")
"""The tag of what belongs to a digest: signatures, attestations, the index of its referrers."""
_DESCRIBED = re.compile(r"(.+)-(\d+)-g[0-9a-f]{7,}")
_DIRTY = "-dirty"
_CHANGED = "it, or a tag of it, changed since the first look"


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


@dataclass(frozen=True, slots=True)
class Going:
    """A manifest that is to be deleted.

    Args:
        digest: of it.
        tags: that go with it; none for what an index that goes listed.
        held: digests that have to be gone before it.
    """

    digest: str
    tags: tuple[str, ...]
    held: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a repository.

    Args:
        verdicts: one for each image, those of the highest versions first.
        ours: those of them that are of this project's images.
        rounds: what goes; each round when the one before it is gone, so that nothing is listed that is not there.
    """

    verdicts: tuple[Verdict, ...] = ()
    ours: tuple[Verdict, ...] = ()
    rounds: tuple[tuple[Going, ...], ...] = ()


def judge(
    name: str, contents: Contents, rules: Rules, known: Known, *, only: Iterable[Going] | None = None
) -> Judgement:
    """What stays and what goes.

    Args:
        name: of the repository, with its registry, for the verdicts.
        contents: what it has.
        rules: what stays.
        known: what the project knows.
        only: what was to go at an earlier look; whatever else there is, or has other tags by now, stays.
    """
    shelf = _Shelf(contents, rules, known)
    allowed = None if only is None else {(one.digest, frozenset(one.tags)) for one in only}
    reasons = _reasons(shelf, allowed)
    going = [digest for digest in shelf.named if not reasons[digest].stays]
    verdicts = {digest: _verdict(name, shelf, digest, reasons[digest]) for digest in shelf.ordered}
    ours = tuple(one for digest, one in verdicts.items() if digest in shelf.owned)
    return Judgement(tuple(verdicts.values()), ours, _rounds(shelf, going))


def unneeded(repositories: Iterable[tuple[Contents, Iterable[str]]]) -> int:
    """The bytes that no manifest needs any more when some are gone.

    Args:
        repositories: of one registry, which keeps a blob once for all of them: what each had, and the digests that are
            gone.
    """
    needed: set[str] = set()
    left: dict[str, int] = {}
    for contents, gone in repositories:
        away = set(gone)
        for digest, content in contents.manifests.items():
            if digest in away:
                left.update(content.blobs)
            else:
                needed.update(content.blobs)
    return sum(size for blob, size in left.items() if blob not in needed)


@dataclass(frozen=True, slots=True)
class _Reason:
    stays: bool
    text: str


class _Shelf:
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
        images = self._images(digest)
        return (images[0].labels or {}).get(key, "") if images else ""

    def version(self, digest: str) -> str:
        """The version of an image: of its tags the one that is most of one, or what its label says."""
        told = self.label(digest, labels.VERSION)
        names = self.named[digest]
        if told and tags.sanitise(told) in self._cut(names):
            return told
        read = (self._read(tag) for tag in names if self.is_promise(tag))
        return max(read, key=len, default="") or told

    def _cut(self, names: Iterable[str]) -> set[str]:
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
            rules, bare = self.rules, tag.removesuffix(_DIRTY)
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
    bare = version.removesuffix(_DIRTY)
    match = _DESCRIBED.fullmatch(bare)
    base, commits = (match[1], int(match[2])) if match else (bare, 0)
    return versions.order(base, scheme), commits, version.endswith(_DIRTY)


def _reasons(shelf: _Shelf, allowed: set[tuple[str, frozenset[str]]] | None) -> dict[str, _Reason]:
    own = {digest: _own(shelf, digest) for digest in shelf.named if not shelf.referrer_of(digest)}
    if allowed is not None:
        for digest, text in own.items():
            if not text and (digest, frozenset(shelf.named[digest])) not in allowed:
                own[digest] = _CHANGED
    if own and all(digest in shelf.owned and not text for digest, text in own.items()):
        own[shelf.ordered[0]] = "the last tag of the repository"  # whatever the rules are
    found = {digest: _Reason(bool(text), text) for digest, text in own.items()}
    _protect(shelf, found)
    for digest, one in found.items():
        if not one.stays:
            found[digest] = _Reason(False, _goes(shelf, digest))
    referrers = [digest for digest in shelf.named if shelf.referrer_of(digest)]
    staying = -1
    while staying != (staying := sum(one.stays for one in found.values())):
        for digest in referrers:
            found[digest] = _follows(shelf, digest, found)
            if allowed is not None and (digest, frozenset(shelf.named[digest])) not in allowed:
                found[digest] = _Reason(True, _CHANGED)
        _protect(shelf, found)
    return found


def _own(shelf: _Shelf, digest: str) -> str:
    """Why an image stays for its own sake; empty where nothing says so."""
    rules, known = shelf.rules, shelf.known
    if owner := shelf.owner(digest):
        return owner
    if digest in known.recorded:
        return "`.tinyship/release.json` names it"
    if place := shelf.last.get(digest):
        return "the last release" if place == 1 else f"one of the last releases: number {place}"
    names = shelf.named[digest]
    if moving := next((tag for tag in names if not shelf.is_promise(tag)), ""):
        return f"`{moving}` goes from release to release, and names it"
    if text := _of_version(shelf, digest):
        return text
    if rules.age:
        made = shelf.made(digest)
        if made is None:
            return "nothing says how old it is"
        if rules.now - made < rules.age:
            return f"younger than {_days(rules.age)}: of {made.astimezone(UTC):%Y-%m-%d}"
    if known.cut_off and rules.stay != "last":
        return "git's history is cut off here: which tags there are is not known"
    if shelf.unreadable:
        return f"{shelf.unreadable} cannot be read, so that it is not known what it lists"
    return ""


def _of_version(shelf: _Shelf, digest: str) -> str:
    rules, known = shelf.rules, shelf.known
    if rules.stay == "last":
        return ""
    version = shelf.version(digest)
    has_tag = tags.sanitise(version) in shelf._cut(shelf.named[digest])
    if version and has_tag and rules.stay == "final" and tags.is_final(version, rules.scheme):
        return "a final version, which others may name"
    if has_tag and version in known.versions:
        return f"the git tag {known.versions[version]} has its version"
    commit = shelf.label(digest, labels.REVISION)
    if commit in known.commits and not version.endswith(_DIRTY):
        return f"the git tag {known.commits[commit]} has its commit"
    return ""


def _protect(shelf: _Shelf, found: dict[str, _Reason]) -> None:
    """Let what stays keep what it lists, and what it is about."""
    left = [digest for digest, one in found.items() if one.stays]
    while left:
        holder = left.pop()
        for digest in _leads_to(shelf, holder):
            if digest in found and not found[digest].stays:
                text = "lists it" if digest != shelf.content(holder).subject else "belongs to it"
                found[digest] = _Reason(True, f"`{shelf.named[holder][0]}` {text}")
                left.append(digest)


def _leads_to(shelf: _Shelf, holder: str) -> Iterator[str]:
    for digest in shelf.below([holder]):
        if digest != holder:
            yield digest
        if subject := shelf.content(digest).subject:
            yield subject


def _goes(shelf: _Shelf, digest: str) -> str:
    rules = shelf.rules
    version = shelf.version(digest)
    what = "" if tags.is_final(version, rules.scheme) else "no final version, "
    old = f", and older than {_days(rules.age)}" if rules.age else ""
    late = f"not one of the last {rules.keep} releases" if rules.keep > 1 else "not the last release"
    return f"{what if rules.stay == 'final' else ''}{late}{old}"


def _follows(shelf: _Shelf, digest: str, found: Mapping[str, _Reason]) -> _Reason:
    """What becomes of a signature and the like: it stays and goes with what it belongs to."""
    subject, seen = shelf.referrer_of(digest), {digest}
    while subject and subject not in seen and subject in shelf.named and shelf.referrer_of(subject):
        seen.add(subject)
        subject = shelf.referrer_of(subject)
    holders = [one for one in shelf.holders.get(subject, ()) if one in found and not shelf.referrer_of(one)]
    staying = next((one for one in holders if found[one].stays), "")
    if staying:
        return _Reason(True, f"it belongs to `{shelf.named[staying][0]}`, which stays")
    if holders:
        return _Reason(False, f"it belongs to `{shelf.named[holders[0]][0]}`, which goes")
    return _Reason(True, "not known to be ours: what it belongs to is not here")


def _verdict(name: str, shelf: _Shelf, digest: str, reason: _Reason) -> Verdict:
    first, *more = (f"{name}:{tag}" for tag in shelf.named[digest])
    family = shelf.below([digest])
    blobs = {blob: size for one in family for blob, size in shelf.content(one).blobs.items()}
    if not reason.stays:
        inside = Counter(blob for one in family for blob in shelf.content(one).blobs)
        blobs = {blob: size for blob, size in blobs.items() if inside[blob] == shelf.users[blob]}
    return Verdict("tag", first, reason.stays, reason.text, sum(blobs.values()), tuple(more))


def _rounds(shelf: _Shelf, going: Sequence[str]) -> tuple[tuple[Going, ...], ...]:
    """What goes, in its order: indexes before what they list, images before what belongs to them."""
    away = set(going)
    staying = {digest for holder in shelf.named if holder not in away for digest in _leads_to(shelf, holder)}
    staying |= shelf.below(shelf.known.recorded)
    untagged = shelf.below(going) - staying - set(shelf.named)
    every = {*going, *(digest for digest in untagged if not shelf.content(digest).fault)}
    before: dict[str, set[str]] = {digest: set() for digest in every}
    for digest in every:
        content = shelf.content(digest)
        for below in content.lists:
            if below in every:
                before[below].add(digest)
        if (subject := shelf.referrer_of(digest)) in every:
            before[digest].add(subject)
    rounds: list[tuple[Going, ...]] = []
    left = set(every)
    while left:
        ready = sorted(digest for digest in left if not before[digest] & left) or sorted(left)
        rounds.append(
            tuple(Going(digest, shelf.named.get(digest, ()), tuple(sorted(before[digest]))) for digest in ready)
        )
        left -= set(ready)
    return tuple(rounds)


def _days(age: timedelta) -> str:
    count = age / timedelta(days=1)
    if count < 2 and age != timedelta(days=1):
        hours = age / timedelta(hours=1)
        return f"{hours:.3g} hour{'' if hours == 1 else 's'}"
    return f"{count:.3g} day{'' if count == 1 else 's'}"
