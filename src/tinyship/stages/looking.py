"""Looks into images: explains one, compares two, asks a registry what a pull of one would transfer."""

from __future__ import annotations

from dataclasses import replace

from msgspec import Struct

from tinyship import reference
from tinyship.engine import images
from tinyship.engine.images import Image
from tinyship.errors import TinyshipError
from tinyship.events import Notice
from tinyship.kept import record
from tinyship.registry import images as registry_images
from tinyship.sizes import budgets, diff, explain, packages
from tinyship.sizes.account import Account
from tinyship.sizes.diff import Diff
from tinyship.sizes.image import diff_ids
from tinyship.stages import opening, size, weighing
from tinyship.stages.scope import Scope
from tinyship.stages.size import Weighed


class Remote(Struct, frozen=True):
    """An image in a registry, as its manifest alone tells it. Sizes are in bytes.

    Args:
        reference: that was asked for.
        platform: ``os/architecture[/variant]``.
        digest: of its manifest.
        pull: compressed bytes that a pull transfers: config and layers.
        unique_pull: those of the layers beyond the base image; None where it stands on none of the project's.
        unpacked: of its files on disk; None where not every layer was looked at before.
        layers: how many.
    """

    reference: str
    platform: str
    digest: str
    pull: int
    unique_pull: int | None
    unpacked: int | None
    layers: int


def against(scope: Scope, named: str, *, estimated: bool = False) -> Weighed:
    """The release in the engine against an image that is named as ``opening.read`` takes it.

    Raises:
        ImageError: there is no release, or no such image.
    """
    latest = f"{scope.settings.image}:local"
    there = images.find(scope.engine, latest)
    released = latest if there else size.released(scope)
    if not there and not images.find(scope.engine, released):
        raise opening.missing("release")
    _warn_of_stale(scope, there)
    ours = opening.read(scope, f"engine:{released}", estimated=estimated)
    theirs = opening.read(scope, named, estimated=estimated)
    before = (record.Sizes("release", named, theirs.account.unpacked, theirs.pull, theirs.unique, 0),)
    rows = size.rows(scope, release=released, before=before, estimated=estimated)
    limits = scope.settings.size.budgets
    compared = _difference(theirs.account, ours.account)
    broken = tuple(
        budgets.explained(one, ours.account, base=ours.base, diff=compared) if one.row.stage == "release" else one
        for one in budgets.broken(limits, rows, before)
    )
    return Weighed(size.with_notes(rows, limits, broken, before), broken, compared, before)


def _warn_of_stale(scope: Scope, there: Image | None) -> None:
    """Say so where what was built last is not of this commit."""
    made_of = there.labels.get("org.opencontainers.image.revision", "") if there else ""
    now = scope.revision.commit
    if made_of and now and made_of != now:
        text = f"what is measured was made of {made_of[:7]}, and HEAD is {now[:7]}: `invoke release` makes it anew"
        scope.events(Notice(text, "warning"))


def compare(scope: Scope, before: str, after: str, *, platform: str = "") -> Diff:
    """What differs in the second of two images; see ``opening.read`` for how they are named."""
    first = opening.read(scope, before, platform=platform)
    second = opening.read(scope, after, platform=platform)
    ours, theirs = second.account.image.platform, first.account.image.platform
    if ours != theirs:
        scope.events(
            Notice(f"{before} is for {theirs or 'no platform'}, {after} for {ours or 'no platform'}", "warning")
        )
    return _difference(first.account, second.account)


def difference(scope: Scope, before: str, after: Account) -> Diff:
    """What differs in an image that was read, compared with one that is named as ``opening.read`` takes it."""
    return _difference(opening.read(scope, before).account, after)


def _difference(first: Account, second: Account) -> Diff:
    """What differs, packages included."""
    gains = diff.packages(packages.sizes(packages.find(first)), packages.sizes(packages.find(second)))
    return replace(diff.compare(first, second), packages=gains)


def remote(scope: Scope, named: str) -> tuple[Remote, ...]:
    """What a registry says of an image, one entry a platform; no layer is pulled.

    Raises:
        RegistryError: it has no such image, or does not give the manifest.
    """
    wanted = reference.parse(named.removeprefix("registry:"))
    known = weighing.known(scope)
    try:
        bases = size.bases(scope)
    except TinyshipError:  # an engine is not needed for this
        bases = ()
    found = []
    with scope.reading(str(wanted)) as repository:
        for each in registry_images.platforms(repository, wanted.manifest):
            image = registry_images.find(repository, each.digest)
            chain = diff_ids(image.config, named)
            below, _ = explain.base_of(chain, bases)
            found.append(
                Remote(
                    reference=named,
                    platform=each.platform,
                    digest=each.digest,
                    pull=each.pull,
                    unique_pull=sum(layer.size for layer in image.layers[below:]) if below else None,
                    unpacked=sum(known[layer] for layer in chain) if all(layer in known for layer in chain) else None,
                    layers=len(image.layers),
                )
            )
    return tuple(found)
