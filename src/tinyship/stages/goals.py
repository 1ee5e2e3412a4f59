"""Where a release goes and under which tags: what ``push.to`` and ``push.tags`` come to for one revision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from tinyship.errors import Refused, TinyshipError
from tinyship.git import revision
from tinyship.git.revision import Revision
from tinyship.kept.record import Release
from tinyship.stages.scope import Scope
from tinyship.tagging import tags
from tinyship.tagging.tags import Tag, Tags

if TYPE_CHECKING:
    from tinyship.settings.schema import Settings


def repositories(settings: Settings) -> tuple[str, ...]:
    """The repositories that the image is pushed to, ``[registry/]name``, each once, in the order of ``push.to``."""
    return tuple(dict.fromkeys(f"{registry}/{settings.image}" for registry in settings.push.to)) or (settings.image,)


def wanted(scope: Scope, now: Revision) -> Tags:
    """The tags that ``push.tags`` come to, fixed ones first; what must not move is still among them."""
    rendered = tags.render(scope.settings.push.tags, now)
    kept, notices = [], [*rendered.notices]
    for tag in sorted(rendered.tags, key=lambda tag: tag.moving):
        if tag.follows == "branch" and "." in tag.name and tags.is_final(tag.name, scope.settings.version.scheme):
            notices.append(f"tag `{tag.name}` is left out: a branch's tag moves, and it is called as a version is")
        else:
            kept.append(tag)
    return structs.replace(rendered, tags=tuple(kept), notices=tuple(notices))


def settled(scope: Scope, rendered: Tags, now: Revision, there: Iterable[str]) -> Tags:
    """These tags without those that follow a higher version than this one.

    Args:
        rendered: as ``wanted`` gives them.
        now: the revision that they are of.
        there: the tags that a registry has; the repository's git tags are looked at beside them.
    """
    settings = scope.settings.version
    if not any(tag.moving for tag in rendered.tags):
        return rendered
    known = (*revision.known_versions(scope.root, settings), *there)
    return tags.settle(rendered, now.version, known, settings.scheme)


def of_release(scope: Scope, release: Release) -> Revision:
    """The revision that a release is of, with the version that it was given.

    Raises:
        Refused: git says another version by now than the release has.
    """
    now = scope.revision
    if tags.sanitise(now.full_version) == release.version:
        return now
    if release.given:
        return replace(
            now, version=(release.raw_version or release.version).removesuffix("-dirty"), tag="", is_given=True
        )
    raise Refused(
        f"version {release.version} was released, and the version is {now.full_version} now",
        hint="A git tag came or went: run `invoke release` again.",
        stage="push",
        image=scope.settings.image,
    )


def elsewhere(scope: Scope, version: str, commit: str) -> tuple[str, str] | None:
    """The git tag of a version and the commit that it is on, where that is another one; None where there is none such.

    Args:
        version: as git tags would have it, not as Docker's do.
        commit: that is, or is to be, released as this version.
    """
    name = revision.tag_of(scope.settings.version, version)
    try:
        found = revision.tag_commit(scope.root, name)
    except TinyshipError:  # without a repository there are no tags
        return None
    return (name, found) if found and found != commit else None


def is_promise(tag: Tag, now: Revision) -> bool:
    """Whether a tag may never name another image: a moving one may, and one of a tree with changes."""
    return not tag.moving and not now.dirty


def is_of_commit(tag: Tag, now: Revision) -> bool:
    """Whether a tag tells the commit and no version: several versions of one commit want it, and the first keeps it."""
    told = now.commit and now.short_commit in tag.name
    return bool(told) and tags.sanitise(now.full_version) not in tag.name


def carrier(tags: Iterable[Tag], now: Revision) -> Tag:
    """The tag that the engine pushes under: the one that other releases are least likely to want at the same time."""
    every = list(tags)
    by_commit = (tag for tag in every if not tag.moving and now.commit and now.short_commit in tag.name)
    return next(by_commit, every[0])
