"""What a release did, as data: ``.tinyship/release.json``, read by push, by scripts and by the next release.

The file is ``{"schema": 1, "images": [...]}``, one entry an image, sizes in bytes. It is replaced atomically. A schema
only ever gains fields, and these have defaults: older records are read, and what a newer tinyship added is passed over.
The JSON Schema that ``schema`` returns says what each field means.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

from msgspec import Struct

from tinyship import state
from tinyship.errors import TinyshipError
from tinyship.sizes.table import Row

SCHEMA = 1
_LOCK = "release.lock"

Change: TypeAlias = Callable[["Release"], "Release"]
"""What is done to an entry."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of one image of the pipeline, in bytes; None where not known."""

    stage: str
    image: str
    unpacked: int | None
    pull: int | None
    unique: int | None
    layers: int
    dead: int | None = None

    @classmethod
    def of(cls, row: Row) -> Sizes:
        """The sizes that a row of the size table shows."""
        pull = None if row.estimated else row.pull
        return cls(row.stage, row.image, row.unpacked, pull, row.unique, row.layers, row.dead)


@dataclass(frozen=True, slots=True)
class Previous:
    """The last release of another commit, to measure growth against."""

    version: str
    commit: str
    sizes: tuple[Sizes, ...]


@dataclass(frozen=True, slots=True)
class Pushed:
    """A tag in a registry, and the digest of the manifest that it names."""

    reference: str
    digest: str


@dataclass(frozen=True, slots=True)
class BaseImage:
    """An image that a release stands on, and the digest of the manifest that was taken."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a container of an image runs, as the image's config says it.

    Args:
        exposed_ports: like ``8080/tcp``.
        user: empty where none is set, which is root.
        entrypoint: its ENTRYPOINT.
        command: its CMD.
        has_healthcheck: it has a HEALTHCHECK that is not NONE.
    """

    exposed_ports: tuple[str, ...] = ()
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    has_healthcheck: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """One released image.

    Args:
        image: the repository's name, without a tag.
        version: as it was tagged, with ``-dirty`` where the tree was.
        commit: the full commit; empty where there is no repository.
        tree: a digest of what git said of the working tree; tells push whether it moved.
        dirty: whether the tree held changes that no commit has.
        source: the repository's URL without credentials; empty where unknown.
        created: the commit's date, RFC 3339; empty where unknown.
        platform: ``os/architecture`` of the image; several have a comma between them.
        id: the engine's id of the image.
        tags: the tags in the engine.
        sizes: of each image of the pipeline.
        smoke: whether it passed its smoke test; None where that was not run.
        pushed: what was pushed, and its digests; those of the first registry of ``push.to`` come first.
        previous: what growth is measured against; None for the first release.
        given: the version was given by the settings or a flag; no git tag says it.
        branch: that HEAD was on; empty where it was on none.
        bases: the images that it stands on, as they were when it was built; empty where that is not known.
        run: what a container of it runs; None in the records of a tinyship that did not ask.
        raw_version: the version before it was made a tag, which has no ``+``; empty in the records of a tinyship that
            did not tell.
    """

    image: str
    version: str
    commit: str
    tree: str
    dirty: bool
    source: str
    created: str
    platform: str
    id: str
    tags: tuple[str, ...]
    sizes: tuple[Sizes, ...]
    smoke: bool | None = None
    pushed: tuple[Pushed, ...] = ()
    previous: Previous | None = None
    given: bool = False
    branch: str = ""
    bases: tuple[BaseImage, ...] = ()
    run: Runtime | None = None
    raw_version: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """By which two entries are of one release: the image's id, the version, the commit."""
        return (self.id, self.version, self.commit)

    @property
    def reference(self) -> str:
        """The image in the engine, by its version where it has such a tag."""
        return f"{self.image}:{self.version if self.version in self.tags else self.tags[0]}"


@dataclass(frozen=True, slots=True)
class Record:
    """All that is released of a project: one entry an image."""

    images: tuple[Release, ...] = field(default=())

    def find(self, image: str) -> Release | None:
        """The entry of the image with this repository name."""
        return next((release for release in self.images if release.image == image), None)

    def with_release(self, release: Release) -> Record:
        """This record with the entry of ``release.image`` replaced or added."""
        others = tuple(entry for entry in self.images if entry.image != release.image)
        return replace(self, images=(*others, release))

    def only(self, images: Iterable[str]) -> Record:
        """The entries of these images, in their order; without those that have none."""
        found = (self.find(image) for image in images)
        return replace(self, images=tuple(release for release in found if release))

    def as_json(self) -> dict[str, Any]:
        """The record as it stands in its file."""
        return {"schema": SCHEMA, "images": [asdict(release) for release in self.images]}


@dataclass(frozen=True, slots=True)
class Outcome(Record):
    """The record after a release, and what that made.

    Args:
        released: the images that it released, by their repositories' names, in the order in which they were made; none
            where nothing was to be released, which is no failure.
    """

    released: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The record, with ``outcome``, "released" or "nothing to release", and ``released``."""
        word = "released" if self.released else "nothing to release"
        return {
            "schema": SCHEMA,
            "outcome": word,
            "released": list(self.released),
            "images": [asdict(release) for release in self.images],
        }


class _Schema(Struct, frozen=True):
    """What is read of a file first."""

    schema: int
    images: tuple[Any, ...]


def schema() -> str:
    """The JSON Schema of the file (draft 2020-12), with a description of each field."""
    return (resources.files("tinyship") / "schemas" / "release.schema.json").read_text(encoding="utf-8")


def path(root: Path) -> Path:
    """Where the record of the project at ``root`` lies."""
    return root / ".tinyship" / "release.json"


def read(root: Path) -> Record:
    """The project's record; an empty one where nothing was released yet.

    Raises:
        TinyshipError: the file is there but cannot be understood.
    """
    import msgspec

    file = path(root)
    try:
        data = file.read_bytes()
        schema = msgspec.json.decode(data, type=_Schema).schema
        if schema != SCHEMA:
            raise TinyshipError(
                f"the record {file} cannot be used: it is of schema {schema}; this tinyship knows schema {SCHEMA}",
                hint="Use the tinyship that wrote it, or a newer one; or remove it and run `invoke release` again.",
            )
        return Record(msgspec.json.decode(data, type=Record).images)
    except FileNotFoundError:
        return Record()
    except OSError as error:
        raise TinyshipError(
            f"the record {file} cannot be read: {error.strerror}",
            hint="Is `.tinyship` a folder, and this user's?",
        ) from error
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise _unusable(file, str(error)) from error


def outcome(root: Path, released: Iterable[str]) -> Outcome:
    """The record after a release of these images."""
    return Outcome(read(root).images, tuple(released))


def update(root: Path, release: Release) -> Record:
    """Put ``release`` into the project's record, beside the other images', and write it where that changes anything."""
    with state.locked(root, _LOCK):  # several images of a project may be released at once
        before = read(root)
        if before.find(release.image) == release:
            return before
        record = before.with_release(release)
        _write(root, record)
    return record


def amend(root: Path, release: Release, change: Change) -> Release | None:
    """Change the entry of a release, where it still is that release's, and write it.

    Args:
        root: the project's folder.
        release: what the entry was when it was read.
        change: gets the entry as it is now.

    Returns:
        the entry as it is now; None where the image was released anew, or its entry is gone.
    """
    with state.locked(root, _LOCK):
        record = read(root)
        entry = record.find(release.image)
        if not entry or entry.key != release.key:
            return None
        changed = change(entry)
        if changed != entry:
            _write(root, record.with_release(changed))
        return changed


def _write(root: Path, record: Record) -> None:
    state.write(root, "release.json", json.dumps(record.as_json(), indent=2) + "\n")


def _unusable(file: Path, why: str) -> TinyshipError:
    return TinyshipError(f"the record {file} cannot be used: {why}", hint="Remove it and run `invoke release` again.")
