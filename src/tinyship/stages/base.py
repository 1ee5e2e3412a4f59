"""The base stage: builds, imports or pulls each base image, in the order of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship import credentials, inputs, labels
from tinyship.engine import images
from tinyship.events import about
from tinyship.plan import Action
from tinyship.stages import building, rootfs
from tinyship.stages.scope import Made, Scope

if TYPE_CHECKING:
    from tinyship.settings.schema import Base


def plan(scope: Scope) -> tuple[Action, ...]:
    """What ``make`` would do."""
    verbs = {"dockerfile": "build", "rootfs": "import", "pull": "pull"}
    return tuple(
        action
        for base in scope.settings.base
        for action in (Action(verbs[_way(base)], base.name, made_from(base)), *building.actions((), base.cache_to))
    )


def check(scope: Scope) -> None:
    """Raise what ``make`` would raise for files that are missing, or for settings, before anything is made."""
    for number, base in enumerate(scope.settings.base):
        if base.dockerfile:
            building.check(scope, building.of_base(scope, base), f"base[{number}]")
        if base.rootfs:
            rootfs.check(scope.root, base)


def make(scope: Scope, *, force: bool = False) -> tuple[Made, ...]:
    """Bring each base image up to date.

    Args:
        force: make imported and pulled images again even where nothing says that they changed.

    Raises:
        TinyshipError: one could not be made; names it. Those before it stay.
    """
    return tuple(_once(scope, base, force=force) for base in scope.settings.base)


def made_from(base: Base) -> str:
    """What a base image is made of, in words."""
    if base.dockerfile:
        return building.described(base, base.platforms)
    if base.rootfs:
        return f"from {rootfs.describe(base.rootfs)}"
    return f"by digest {base.pull[:19]}…"


def _way(base: Base) -> str:
    return "dockerfile" if base.dockerfile else "rootfs" if base.rootfs else "pull"


def _once(scope: Scope, base: Base, *, force: bool) -> Made:
    """Make a base image, once in a run, however many images stand on it."""
    return scope.together.once(("base", base.name), lambda: _make(scope, base, force=force))


def _make(scope: Scope, base: Base, *, force: bool) -> Made:
    doing = {"dockerfile": "building", "rootfs": "importing", "pull": "pulling"}[_way(base)]
    with scope.stage("base", base.name, f"{doing} {made_from(base)}") as outcome:
        make = {"dockerfile": _build, "rootfs": _import, "pull": _pull}[_way(base)]
        image_id, outcome.word = make(scope, base, force)
    return Made("base", base.name, image_id, outcome.word, outcome.seconds, made_from(base))


def _build(scope: Scope, base: Base, force: bool) -> tuple[str, str]:
    result = building.build(scope, building.of_base(scope, base))
    return result.image_id, "up to date" if result.cached else "built"


def _import(scope: Scope, base: Base, force: bool) -> tuple[str, str]:
    recipe = rootfs.recipe(scope.root, base)
    present = images.find(scope.engine, base.name)
    if present and not force and inputs.remembered(scope.root, base.name, present.id) == recipe:
        return present.id, "up to date"
    own = [
        f"LABEL {key}={value}"
        for key, value in labels.own(scope.settings, "base", owner=scope.owners.get(base.name, "")).items()
    ]
    image_id = images.import_rootfs(
        scope.engine,
        rootfs.chunks(scope.root, base, about(base.name, scope.events)),
        name=base.name,
        changes=[*base.changes, *own],
        events=about(base.name, scope.events),
    )
    inputs.remember(scope.root, base.name, image_id, recipe)
    return image_id, "imported"


def _pull(scope: Scope, base: Base, force: bool) -> tuple[str, str]:
    present = images.find(scope.engine, base.name)
    if present and not force and any(digest.endswith(f"@{base.pull}") for digest in present.digests):
        return present.id, "up to date"
    credential = credentials.find(credentials.host_of(base.name))
    image_id = images.pull(
        scope.engine, base.name, base.pull, credential=credential, events=about(base.name, scope.events)
    )
    return image_id, "pulled"
