"""How the sizes of an image changed from release to release. Pure: history in, rows out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tinyship.kept.history import Entry, moment


@dataclass(frozen=True, slots=True)
class Point:
    """An image as it was in one release; sizes in bytes, None where not known.

    Args:
        version: of the release.
        commit: of the release; empty where there is no repository.
        date: of the commit, RFC 3339; of the release where that is not known, else empty.
        unpacked: files on disk, all layers, uncompressed; None where only a registry knows the release.
        unpacked_change: bytes gained since the release before, negative when it shrank.
        pull: compressed bytes that a pull transfers.
        pull_change: as for unpacked.
        unique: what lies above the base image.
        layers: the number of layers.
        digest: of the release in a registry; empty until it was pushed.
    """

    version: str
    commit: str
    date: str
    unpacked: int | None
    unpacked_change: int | None
    pull: int | None
    pull_change: int | None
    unique: int | None
    layers: int
    digest: str


@dataclass(frozen=True, slots=True)
class Trend:
    """An image of one stage over the releases of a project, the first of them first.

    Args:
        image: the repository's name; of a base its reference.
        stage: ``base``, ``build`` or ``release``.
        points: one for each release.
    """

    image: str
    stage: str
    points: tuple[Point, ...]

    def last(self, count: int) -> Trend:
        """The last releases only, each with its change; all of them where ``count`` is 0."""
        return Trend(self.image, self.stage, self.points[-count:])


def trends(entries: Iterable[Entry], stage: str) -> tuple[Trend, ...]:
    """One trend for each image of a stage; the releases in the order of their commits' dates.

    Args:
        entries: of one image or several.
        stage: a release has one image of each stage, and several bases, which are told apart by name.
    """
    found: dict[str, list[Point]] = {}
    for entry in sorted(entries, key=lambda entry: (moment(entry.created or entry.recorded), moment(entry.recorded))):
        for sizes in entry.sizes:
            if sizes.stage != stage:
                continue
            points = found.setdefault(sizes.image if stage == "base" else entry.image, [])
            before = points[-1] if points else None
            points.append(
                Point(
                    version=entry.version,
                    commit=entry.commit,
                    date=entry.created or entry.recorded,
                    unpacked=sizes.unpacked,
                    unpacked_change=_change(sizes.unpacked, before.unpacked if before else None),
                    pull=sizes.pull,
                    pull_change=_change(sizes.pull, before.pull if before else None),
                    unique=sizes.unique,
                    layers=sizes.layers,
                    digest=entry.digest,
                )
            )
    return tuple(Trend(image, stage, tuple(points)) for image, points in found.items())


def _change(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else now - before
