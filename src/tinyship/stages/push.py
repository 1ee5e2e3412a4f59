"""The push stage: publishes exactly what the record names, and writes down each digest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tinyship import credentials, record, revision, tags
from tinyship.engine import images
from tinyship.engine import push as engine_push
from tinyship.errors import Refused, TinyshipError
from tinyship.events import Notice
from tinyship.plan import Action
from tinyship.record import Pushed, Release
from tinyship.registry import images as remote_images
from tinyship.registry.client import Repository
from tinyship.stages import history
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.settings.schema import Settings

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a push did.

    Args:
        release: the entry of the record, with ``pushed`` filled in.
        sent: the number of layers that were sent, over all tags and registries.
        present: the number of layers that were there already.
        pull: compressed bytes that a pull transfers, from the registry's manifest; None where it did not say.
    """

    release: Release
    sent: int
    present: int
    pull: int | None


def plan(scope: Scope) -> tuple[Action, ...]:
    """What ``send`` would do with a release of this revision."""
    return (*(Action("push", reference) for reference in targets(scope.settings, scope)), *history.plan_push(scope))


def targets(settings: Settings, scope: Scope) -> tuple[str, ...]:
    """The references that a release of this revision is pushed as: registry by registry, moving tags last."""
    rendered = tags.render(settings.push.tags, scope.revision)
    ordered = sorted(rendered.tags, key=lambda tag: tag.moving)
    registries = [f"{registry}/" for registry in settings.push.to] or [""]
    return tuple(f"{registry}{settings.image}:{tag.name}" for registry in registries for tag in ordered)


def check(scope: Scope, *, allow_dirty: bool = False) -> Release:
    """The release that would be pushed.

    Raises:
        Refused: nothing is released, HEAD or the tree moved since, the tree was dirty, or the image is gone from the
            engine.
    """
    image = scope.settings.image
    release = record.read(scope.root).find(image)
    if not release:
        raise _refused(scope, "nothing is released yet", "`invoke release` comes first.")
    commit, tree = revision.state(scope.root)
    if release.commit != commit:
        raise _refused(
            scope,
            f"HEAD moved: version {release.version} was released from {release.commit[:7] or 'no commit'}, "
            f"HEAD is {commit[:7] or 'no commit'}",
            "Run `invoke release` again.",
        )
    if release.tree != tree:
        raise _refused(scope, "the working tree changed since the release", "Run `invoke release` again.")
    if release.dirty and not allow_dirty:
        changes = "\n".join(f"    {change}" for change in _first(scope.revision.changes))
        raise _refused(
            scope,
            f"version {release.version} was released from a tree with changes that no commit has:\n{changes}",
            "Commit or stash them and release again, or push with `--allow-dirty`.",
        )
    if not scope.revision.commit and not allow_dirty:
        raise _refused(
            scope,
            "without a git commit nobody can tell what this image was made of",
            "Commit the project first, or push with `--allow-dirty`.",
        )
    present = images.find(scope.engine, release.id)
    if not present:
        raise _refused(scope, "the released image is no longer in the engine", "Run `invoke release` again.")
    return release


def send(scope: Scope, *, allow_dirty: bool = False) -> Delivery:
    """Push every tag of the release to every registry, and record the digests as they come.

    Raises:
        Refused: see ``check``.
        RegistryError: a push failed; the tags that were pushed before it are in the record.
    """
    release = replace(check(scope, allow_dirty=allow_dirty), pushed=())
    for notice in tags.render(scope.settings.push.tags, scope.revision).notices:
        scope.events(Notice(notice))
    sent = present = 0
    pull: int | None = None
    for target in targets(scope.settings, scope):
        with scope.stage("push", target, "pushing") as outcome, _tagged(scope, release.id, target):
            credential = credentials.find(credentials.host_of(target))
            done = engine_push.push(
                scope.engine,
                target,
                credential=credential,
                timeout=scope.settings.push.timeout,
                events=scope.events,
            )
            outcome.word = "pushed"
        sent += done.sent
        present += done.present
        if pull is None:
            pull = _pull_size(scope, release, target, done.digest, credential)
        release = _with_pushed(release, Pushed(target, done.digest), pull)
        record.update(scope.root, release)
    history.pushed(scope, release, allow_dirty=allow_dirty)
    return Delivery(release, sent, present, pull)


def _pull_size(
    scope: Scope, release: Release, target: str, digest: str, credential: credentials.Credential | None
) -> int | None:
    """The pull size; of several platforms that of the engine's own, whose unpacked size stands beside it."""
    platform = release.platform
    if "," in platform and (image := images.find(scope.engine, release.id)):
        platform = f"{image.os}/{image.architecture}"
    try:
        with Repository.open(target, credential=credential) as repository:
            return remote_images.pull_size(repository, digest, platform=platform)
    except TinyshipError as error:
        scope.events(Notice(f"the pull size is not known: {error.message}", "warning"))
        return None


def _with_pushed(release: Release, pushed: Pushed, pull: int | None) -> Release:
    sizes = tuple(replace(entry, pull=pull) if entry.stage == "release" else entry for entry in release.sizes)
    return replace(release, pushed=(*release.pushed, pushed), sizes=sizes)


@contextmanager
def _tagged(scope: Scope, image_id: str, target: str) -> Iterator[None]:
    """The image under the name that it is pushed as, which it loses again where it did not have it before."""
    before = images.find(scope.engine, target)
    images.tag(scope.engine, image_id, target)
    try:
        yield
    finally:
        if before is None:
            images.untag(scope.engine, target)
        elif before.id != image_id and scope.settings.push.to:
            images.tag(scope.engine, before.id, target)


def _first(changes: tuple[str, ...]) -> tuple[str, ...]:
    """The first of a list of changes, and how many more there are."""
    more = len(changes) - _SHOWN
    return (*changes[:_SHOWN], f"and {more} more") if more > 0 else changes


def _refused(scope: Scope, why: str, hint: str) -> Refused:
    return Refused(why, hint=hint, stage="push", image=scope.settings.image)
