"""Who stays and who goes when a project is cleaned, and why: rules over plain facts, one reason for each.

What protects an image is asked in one order, and the first that does is its reason. A rule only ever protects: what no
rule protects goes. Nothing here asks an engine, a registry or git.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["image", "container", "artifact", "tag", "manifest", "cache"]
SCHEMA = 1
DESCENDED = "a tag or a branch descends from its commit"
"""Why a release stays that `clean.keep_git: all` alone keeps."""
EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one thing, and why.

    Args:
        kind: what it is; a ``tag`` and a ``manifest`` are those of a registry.
        name: as people know it.
        stays: whether it does.
        reason: why it stays, or why it goes.
        bytes: that go with it and with nothing else; of what stays, those it holds; None where not known.
        also: further names of the same thing, which stay or go with it.
    """

    kind: Kind
    name: str
    stays: bool
    reason: str
    bytes: int | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Removed:
    """One thing that is gone: an artifact, a container, an image's name or an image without one, a tag, build cache."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that was to go and is still there, and why."""

    kind: Kind
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What a clean did, as far as it came.

    Args:
        task: that was run, like ``clean.images``.
        removed: what is gone, and nothing else.
        stayed: what was judged to stay.
        refused: what was to go, and is still there.
        freed: bytes, measured before and after; None where that could not be measured.
        freeable: bytes at most that a registry frees when it collects its garbage; None where none was cleaned.
        complete: whether it came to its end.
        error: what ended it before; empty where nothing did.
    """

    task: str
    removed: tuple[Removed, ...] = ()
    stayed: tuple[Verdict, ...] = ()
    refused: tuple[Refusal, ...] = ()
    freed: int | None = None
    complete: bool = True
    error: str = ""
    freeable: int | None = None

    def as_json(self) -> dict[str, Any]:
        """As it stands in ``.tinyship/clean.json``."""
        return {
            "schema": SCHEMA,
            "task": self.task,
            "complete": self.complete,
            "error": self.error,
            "freed": self.freed,
            **({} if self.freeable is None else {"freeable": self.freeable}),
            "removed": [{"kind": one.kind, "name": one.name} for one in self.removed],
            "kept": [
                *({"kind": one.kind, "name": one.name, "reason": one.why} for one in self.refused),
                *(
                    {"kind": one.kind, "name": name, "reason": one.reason}
                    for one in self.stayed
                    for name in (one.name, *one.also)
                ),
            ],
        }


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one image that bears a project's label.

    Args:
        id: the engine's.
        repository: of the project's images, the one that it is one of.
        names: those of its names that are the project's; none where it has no name at all.
        release: whether it is one.
        made: by which releases are ordered, older ones first.
        version: orders those of one moment.
        commit: the full commit that it was made of; empty where it does not say.
        local: whether it is tagged ``local``.
        containers: that use it, also stopped ones.
        foreign: names that are not the project's.
        owner: the other project whose label it bears, too; empty where there is none.
        carries: the images that stand on it: their ids, and what people call them.
        bytes: that go with it; None where not known.
    """

    id: str
    repository: str
    names: tuple[str, ...] = ()
    release: bool = True
    made: datetime = EVER
    version: tuple[int, ...] = ()
    commit: str = ""
    local: bool = False
    containers: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    owner: str = ""
    carries: Mapping[str, str] = field(default_factory=dict)
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Git:
    """What git says of commits.

    Args:
        reached: by commit, how: "the tag v1.0.0 names its commit".
        cut_off: history is not all here, so that a commit that nothing reaches may be reached elsewhere.
    """

    reached: Mapping[str, str] = field(default_factory=dict)
    cut_off: bool = False


def old_releases(images: Sequence[Facts], *, keep: Mapping[str, int], git: Git) -> dict[str, Verdict]:
    """Which releases go; by their ids.

    Args:
        images: those that bear the project's label.
        keep: by a repository, how many of its releases stay in any case.
        git: what it reaches.
    """
    latest = _latest(images, keep)
    reasons = {
        image.id: _used(image) or _of_release(image, latest, git) or _never_judged(image, git) for image in images
    }
    return _verdicts(images, reasons, goes=lambda image: _too_old(keep[image.repository]))


def for_git_alone(images: Sequence[Facts], *, keep: Mapping[str, int], git: Git) -> dict[str, tuple[Facts, ...]]:
    """By values of `clean.keep_git` that keep less, the images that would go then, too, unless others stand on them.

    Args:
        images: as ``old_releases`` has them.
        keep: likewise.
        git: what it reaches as it is set.
    """
    named = {commit: why for commit, why in git.reached.items() if why != DESCENDED}
    staying = {key for key, verdict in old_releases(images, keep=keep, git=git).items() if verdict.stays}
    found: dict[str, tuple[Facts, ...]] = {}
    for way, reached in (("named", named), ("none", {})):
        if len(reached) < len(git.reached):
            then = old_releases(images, keep=keep, git=Git(reached, git.cut_off))
            more = tuple(image for image in images if image.id in staying and not then[image.id].stays)
            if more and more not in found.values():
                found[way] = more
    return found


def leftovers(images: Sequence[Facts]) -> dict[str, Verdict]:
    """Which images without a name go; by their ids. What has a name is not touched."""
    reasons = {image.id: _used(image) or ("it has a name" if image.names else "") for image in images}
    return _verdicts(images, reasons, goes=lambda _: "it has no name")


def everything(images: Sequence[Facts]) -> dict[str, Verdict]:
    """Which of all images go; by their ids: those that nobody else needs."""
    return _verdicts(images, {image.id: _used(image) for image in images}, goes=lambda _: "everything goes")


def asks(verdicts: Iterable[Verdict], above: float) -> tuple[int, int] | None:
    """How many of how many go, where that is a larger share than may go without being asked for; else None.

    What is made again by itself does not count: artifacts, containers, and images without a name.

    Args:
        verdicts: of all that is the project's.
        above: the share, from 0 to 1.
    """
    counted = [one for one in verdicts if one.kind in {"image", "tag"} and _is_name(one.name)]
    going = sum(not one.stays for one in counted)
    return (going, len(counted)) if going and going > above * len(counted) else None


def _is_name(name: str) -> bool:
    """Whether it is not an id, which is what images without a name are shown by."""
    return ":" in name or "/" in name


def _too_old(keep: int) -> str:
    return f"not one of the last {keep} releases" if keep > 1 else "not the last release"


def _latest(images: Iterable[Facts], keep: Mapping[str, int]) -> dict[str, int]:
    """The last releases of each repository by their ids, with the place of each: 1 for the last."""
    by_repository: dict[str, list[Facts]] = {}
    for image in images:
        if image.release and image.names:
            by_repository.setdefault(image.repository, []).append(image)
    return {
        image.id: place
        for repository, some in by_repository.items()
        for place, image in enumerate(sorted(some, key=_order, reverse=True)[: keep[repository]], 1)
    }


def _order(image: Facts) -> tuple[object, ...]:
    """Later for later releases; of two of one commit (``1.0.0``, ``1.0.0-dirty``) ``local`` is the later one."""
    return (image.made, image.version, image.local, image.id)


def _used(image: Facts) -> str:
    """Why an image may not go whatever is cleaned; empty where it may."""
    if image.containers:
        return f"the container {image.containers[0]} uses it{_more(len(image.containers) - 1)}"
    if image.owner:
        return f"it is {image.owner}'s, too"
    if image.foreign:
        return f"shared: it is {image.foreign[0]}, too"
    return ""


def _of_release(image: Facts, latest: Mapping[str, int], git: Git) -> str:
    """Why a release stays."""
    if image.id in latest:
        place = latest[image.id]
        return "the last release" if place == 1 else f"one of the last releases: number {place}"
    if image.local:
        return "it is tagged `local`"
    if image.names and image.commit in git.reached:
        return git.reached[image.commit]
    return ""


def _never_judged(image: Facts, git: Git) -> str:
    """Why an image stays that cleaning releases is not about, or that cannot be judged."""
    if not image.names:
        return "it has no name: `clean` removes it"
    if not image.release:
        return "it is no release"
    if git.cut_off and image.commit:
        return "git's history is cut off here: what reaches its commit is not known"
    return ""


def _verdicts(images: Sequence[Facts], reasons: dict[str, str], *, goes: Callable[[Facts], str]) -> dict[str, Verdict]:
    """The verdicts, once what stays has protected what it stands on."""
    known = {image.id: image for image in images}
    moved = True
    while moved:
        moved = False
        for image in images:
            holder = next((other for other in image.carries if other not in known or reasons[other]), "")
            if holder and not reasons[image.id]:
                reasons[image.id] = f"{image.carries[holder]} stands on it"
                moved = True
    return {image.id: _verdict(image, reasons[image.id], goes) for image in images}


def _verdict(image: Facts, reason: str, goes: Callable[[Facts], str]) -> Verdict:
    why = reason or (goes(image) if image.names else "it has no name")
    return Verdict("image", name_of(image), bool(reason), why, image.bytes, image.names[1:])


def name_of(image: Facts) -> str:
    """What an image is shown as: its first name, or the beginning of its id."""
    return image.names[0] if image.names else short(image.id)


def short(image_id: str) -> str:
    """An image's id as people read it."""
    return image_id.removeprefix("sha256:")[:12]


def _more(count: int) -> str:
    return f", and {count} more" if count else ""
