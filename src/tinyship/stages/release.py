"""The release stage: builds the tiny image, tags it, weighs it, and writes down what was made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC

from msgspec import Struct

from tinyship.engine import images
from tinyship.engine.images import Image
from tinyship.errors import ArtifactError, EngineError
from tinyship.events import Notice
from tinyship.kept import record
from tinyship.kept.record import BaseImage, Release, Sizes
from tinyship.plan import Action
from tinyship.reference import familiar
from tinyship.sizes import budgets
from tinyship.sizes.table import Row
from tinyship.stages import building, history, pins, uptodate
from tinyship.stages.scope import Scope
from tinyship.tagging.tags import sanitise

_TAKEN = 3
"""How often another release may take the only name of an image that is released."""


class Released(Struct, frozen=True):
    """What a release made: its entry in the record, and the rows of its size table."""

    release: Release
    rows: tuple[Row, ...]


def local_tags(scope: Scope) -> tuple[str, ...]:
    """The tags in the engine: ``local`` and the version; the commit too where the tree is clean."""
    now = scope.revision
    commit = (now.commit,) if now.commit and not now.dirty else ()
    return ("local", sanitise(now.full_version), *commit)


def plan(scope: Scope) -> tuple[Action, ...]:
    """What ``make`` would do."""
    release = scope.settings.release
    how = building.described(release, scope.settings.platforms, scope.settings.attests)
    first, *others = local_tags(scope)
    name = scope.settings.image
    return (
        Action("build", f"{name}:{first}", how),
        *building.actions(release.outputs, scope.settings.cache_to),
        *(Action("tag", f"{name}:{tag}") for tag in others),
        *history.plan_before(scope),
        *(Action("check", budgets.describe(budget)) for budget in scope.settings.size.budgets),
        Action("write", ".tinyship/release.json"),
        *history.plan_released(),
    )


def check(scope: Scope) -> None:
    """Raise what ``make`` would raise for files that are missing, or for settings, before anything is made."""
    building.check(scope, building.of_release(scope, f"{scope.settings.image}:{local_tags(scope)[0]}"), "release")


def foresee(scope: Scope, artifacts: Sequence[str] = (), *, force: bool = False) -> None:
    """Say why ``make`` would build the image, or why not; nothing is built or changed.

    Args:
        artifacts: that would be made before.
    """
    names = [f"{scope.settings.image}:{tag}" for tag in local_tags(scope)]
    more = [f"`{artifact}` is made before it" for artifact in artifacts]
    request = building.of_release(scope, names[0])
    if uptodate.foresee_build(scope, "release", request, force=force, more=more):
        scope.together.planned.update(names)


def check_artifacts(scope: Scope) -> None:
    """Raise ArtifactError for artifacts of the build stage that are not there."""
    build = scope.settings.build
    missing = [artifact for artifact in (build.artifacts if build else ()) if not (scope.root / artifact).exists()]
    if missing:
        raise ArtifactError(
            f"there is no {' and no '.join(missing)}",
            hint="`invoke build` makes the artifacts; `invoke release` without `--only` does it by itself.",
            stage="release",
            image=scope.settings.image,
        )


def make(scope: Scope, *, force: bool = False) -> Released:
    """Build the release image, tag it, check the budgets and write the record.

    Args:
        force: build even where nothing that decides the image changed.

    Raises:
        BuildFailed: a step of the Dockerfile failed.
        BudgetExceeded: a budget is broken; its ``rows`` hold the sizes. The image stays as ``local``, without a record.
    """
    for _ in range(_TAKEN):
        try:
            return _make(scope, force=force)
        except EngineError as error:
            if "no such image" not in error.message.lower() or not scope.engine.containerd_store:
                raise
            scope.events(Notice("another release took the image's only name, and the engine let it go: building again"))
            scope.forget()
    return _make(scope, force=force)


def _make(scope: Scope, *, force: bool) -> Released:
    for notice in scope.revision.notices:
        scope.events(Notice(notice))
    settings, name = scope.settings.release, scope.settings.image
    tree = scope.tree
    first, *others = local_tags(scope)
    with scope.stage("release", f"{name}:{first}", f"building from {settings.dockerfile}") as outcome:
        check_artifacts(scope)
        result = uptodate.build(scope, "release", lambda: building.of_release(scope, f"{name}:{first}"), force=force)
        outcome.word = result.word
    last = record.read(scope.root).find(name)
    from tinyship.stages import size  # a plan needs none of it

    before = history.before(scope)
    rows = size.rows(scope, release=f"{name}:{first}", before=before.sizes if before else ())
    broken = budgets.broken(scope.settings.size.budgets, rows, before.sizes if before else ())
    rows = size.with_notes(rows, scope.settings.size.budgets, broken, before.sizes if before else ())
    if broken:
        earlier = f"{name}:{before.version}" if before else ""
        broken = size.explained(scope, broken, lambda row: earlier if row.stage == "release" else "")
        raise size.exceeded(broken, rows, f"{name}:{scope.revision.full_version}")
    image = _image(scope, result.image_id)
    for reference in (f"{name}:{tag}" for tag in others):
        if not image or familiar(reference) not in image.tags:
            images.tag(scope.engine, result.image_id, reference)
    rows = tuple(_renamed(row, f"{name}:{sanitise(scope.revision.full_version)}") for row in rows)
    release = _still_pushed(last, _entry(scope, result.image_id, tree, rows, before))
    record.update(scope.root, release)
    history.released(scope, release, last)
    scope.keep_revision()
    return Released(release, rows)


def _still_pushed(last: Release | None, release: Release) -> Release:
    """A release with what came of it after it was made, where it is the one that was released last."""
    if not last or (last.id, last.version, last.commit) != (release.id, release.version, release.commit):
        return release
    pull = next((sizes.pull for sizes in last.sizes if sizes.stage == "release"), None)
    sizes = tuple(replace(entry, pull=pull) if entry.stage == "release" else entry for entry in release.sizes)
    return replace(release, pushed=last.pushed, sizes=sizes, smoke=last.smoke)


def _renamed(row: Row, reference: str) -> Row:
    return replace(row, image=reference) if row.stage == "release" else row


def _image(scope: Scope, image_id: str) -> Image | None:
    """The release image, by its name where that was looked at already."""
    found = scope.image(f"{scope.settings.image}:{local_tags(scope)[0]}")
    return found if found and found.id == image_id else scope.image(image_id)


def _entry(scope: Scope, image_id: str, tree: str, rows: tuple[Row, ...], before: record.Previous | None) -> Release:
    now = scope.revision
    image = _image(scope, image_id)
    return Release(
        image=scope.settings.image,
        version=sanitise(now.full_version),
        commit=now.commit,
        tree=tree,
        dirty=now.dirty,
        source=now.source,
        created=now.date.astimezone(UTC).isoformat() if now.date else "",
        platform=",".join(scope.settings.platforms) or (f"{image.os}/{image.architecture}" if image else ""),
        id=image_id,
        tags=local_tags(scope),
        sizes=tuple(Sizes.of(row) for row in rows),
        previous=before,
        given=now.is_given,
        raw_version=now.full_version,
        branch=now.branch,
        bases=tuple(BaseImage(base.name, base.digest) for base in pins.bases(scope)),
        run=record.Runtime(image.exposed_ports, image.user, image.entrypoint, image.command, image.has_healthcheck)
        if image
        else None,
    )
