"""Opens an image that a user names: a stage, an image of the engine, a file or folder, a git revision, a registry's.

What is named is looked for in this order; a scheme before it says where to look: ``engine:``, ``file:``, ``git:``,
``registry:``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from msgspec import Struct

from tinyship import reference
from tinyship.engine import images
from tinyship.engine.images import Image
from tinyship.errors import ConfigError, EngineUnreachable, ImageError, RegistryError, TinyshipError
from tinyship.git import revision
from tinyship.kept.history import Entry
from tinyship.registry import images as remote
from tinyship.registry.client import Repository
from tinyship.sizes import account, archive, compression, explain, layer, layout, oci
from tinyship.sizes.account import Account
from tinyship.sizes.feed import Truncated
from tinyship.sizes.layer import Contents
from tinyship.sizes.tar import Damaged
from tinyship.stages import history, size, weighing
from tinyship.stages.scope import Scope
from tinyship.tagging.tags import sanitise

_SCHEMES = ("engine", "file", "git", "registry")
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{4,64}")
_STAGES = ("base", "build", "release")
_ANCESTORS = 200
"""Commits whose tags are looked for in a registry."""
_VERSION = re.compile(r"v?\d+(?:\.\d+)+[\w.-]*")
_SUFFIXES = (".tar", ".tgz", ".tar.gz", ".tar.zst", ".oci")


class Opened(Struct, frozen=True):
    """An image whose layers were read.

    Args:
        account: of its bytes.
        where: ``engine``, ``file`` or ``registry``.
        pull: compressed bytes that a pull transfers; None where neither a manifest nor an estimate says.
        estimated: whether ``pull`` is an estimate.
        base: how many of its layers belong to its base image.
        base_name: the base image; empty where it is none of the project's.
        reference: by which the engine has it; empty where it does not.
        path: of the file or folder that it was read from; None where it was none.
    """

    account: Account
    where: str
    pull: int | None
    estimated: bool
    base: int
    base_name: str
    reference: str = ""
    path: Path | None = None

    @property
    def unique(self) -> int | None:
        """Unpacked bytes beyond the base; None where the base is not known."""
        return sum(self.account.held[self.base :]) if self.base else None


def read(scope: Scope, named: str, *, platform: str = "", estimated: bool = False) -> Opened:
    """Open an image and read its layers.

    Args:
        named: ``base``, ``build``, ``release``; a reference, a tag of this project's image or an id in the engine; a
            path of an archive or a layout, with ``@name`` behind it where there are several images; a git revision
            that was released; a reference in a registry.
        platform: ``os/architecture[/variant]``, where there are several.
        estimated: find out what its layers would take in a registry, where no manifest says it.

    Raises:
        ImageError: there is no such image, or it cannot be read.
        EngineError: the engine failed on the way.
        RegistryError: the registry did not give it.
    """
    scheme, colon, rest = named.partition(":")
    if colon and scheme in _SCHEMES:
        found = _WAYS[scheme](scope, rest, platform, estimated)
        if found is None:
            raise ImageError(f"there is no {_WORDS[scheme]} {rest}", hint="Without a scheme all places are looked in.")
        return found
    if not named.strip():
        raise ConfigError("an image without a name cannot be looked at")
    failed: TinyshipError | None = None
    ways = _ways(named)
    for way in ways:
        try:
            if found := _WAYS[way](scope, named, platform, estimated):
                return found
        except EngineUnreachable as error:
            failed = error
        except ImageError as error:
            if way != "file" or not _is_word(named):
                raise
            failed = failed or error  # a file that happens to have the name of a branch
        except RegistryError as error:
            why = "the engine cannot be asked" if failed else f"{named} is not in the engine"
            error.message = f"{why}, and {error.message}"
            raise
    if failed:
        raise failed
    if named in _STAGES:
        raise missing(named)
    places = " and ".join(f"no {_WORDS[way]}" for way in ways)
    hint = "`invoke --help size.explain` has the forms."
    raise ImageError(f"there is no image {named}: {places} is called so", hint=hint)


def missing(stage: str) -> ImageError:
    """The error where the engine does not have the image of a stage."""
    return ImageError(f"there is no {stage} image in the engine", hint="`invoke release` makes it.")


def concerned(scopes: Sequence[Scope], *names: str) -> Sequence[Scope]:
    """Of a project's images those that names are about: all, unless one names an image or means the same for all."""
    for named in names:
        scheme, _, rest = named.partition(":")
        bare = rest if scheme in _SCHEMES else named
        whole = bare.partition("@")[0]
        repository = whole.rpartition(":")[0]
        image = [one for one in scopes if f"/{repository or whole}".endswith(f"/{one.settings.image}")]
        if image:
            return image
        is_path = bare.startswith((".", "/", "~")) or whole.endswith(_SUFFIXES)
        if scheme in {"file", "registry"} or repository or "@" in bare or is_path:
            return scopes[:1]
    return scopes


def _is_word(named: str) -> bool:
    return "/" not in named and "." not in named


def _ways(named: str) -> tuple[str, ...]:
    """Where a name without a scheme may lead; a word alone is not looked for at Docker Hub."""
    if named in _STAGES:
        return ("engine",)
    if named.startswith((".", "/", "~")) or named.partition("@")[0].endswith(_SUFFIXES):
        return ("file", "engine")
    return ("engine", "file", "git", *(("registry",) if "/" in named else ()))


def _from_engine(scope: Scope, named: str, platform: str, estimated: bool) -> Opened | None:
    for candidate in filter(_may_be_in_engine, _in_engine(scope, named)):
        image = images.find(scope.engine, candidate)
        if image:
            found = weighing.read(scope, image, name=candidate, platform=platform, estimated=estimated)
            return _opened(scope, found, "engine", reference=image.id)
    return None


def _in_engine(scope: Scope, named: str) -> Iterator[str]:
    """What a name may be in the engine."""
    settings = scope.settings
    if named == "release":
        yield size.released(scope)
    elif named == "build" and settings.build:
        yield f"{settings.image}:{settings.build.tag}"
    elif named == "base" and settings.base:
        yield settings.base[0].name
    if not any(mark in named for mark in "/:@"):
        yield f"{settings.image}:{named}"
    yield named


def _may_be_in_engine(named: str) -> bool:
    """Whether an engine can be asked for it; it says no to what is neither a reference nor an id."""
    if _ID.fullmatch(named):
        return True
    try:
        reference.parse(named)
    except ConfigError:
        return False
    return True


def _from_file(scope: Scope, named: str, platform: str, estimated: bool) -> Opened | None:
    path, at, wanted = Path(named).expanduser(), "", ""
    if not path.exists():
        before, at, wanted = named.partition("@")
        path = Path(before).expanduser()
        if not at or not path.exists():
            return None
    if path.is_dir():
        if not layout.is_layout(path):
            raise ImageError(f"the folder {path} is no image layout: it has no index.json")
        image = layout.read(path, wanted=wanted, platform=platform, estimated=estimated)
    else:
        pieces = layout.pieces(path)
        image = archive.read(pieces, str(path), wanted=wanted, platform=platform, estimated=estimated)
    if wanted:
        image = replace(image, name=f"{path}@{wanted}")
    return _opened(scope, account.take(image), "file", path=path)


def _from_git(scope: Scope, named: str, platform: str, estimated: bool) -> Opened | None:
    """The image of a release: the engine's, where it still bears the tags of that release, or else a registry's."""
    entry = history.release_of(scope, named)
    name = scope.settings.image
    registries = [f"{registry}/" for registry in scope.settings.push.to] or [""]
    if entry is None:
        return _published(scope, [f"{registry}{name}" for registry in registries], named, platform, estimated)
    label = f"{name}:{entry.version}"
    for tag in (entry.version, entry.commit):
        image = images.find(scope.engine, f"{name}:{tag}") if tag else None
        if image and _is_of(image, entry):
            found = weighing.read(scope, image, name=label, platform=platform, estimated=estimated)
            return _opened(scope, found, "engine", reference=image.id)
    for number, registry in enumerate(registries if entry.digest else (), 1):
        try:
            return _from_registry(scope, f"{registry}{name}@{entry.digest}", platform, estimated)
        except RegistryError:
            if number == len(registries):
                raise
    raise ImageError(
        f"{name}:{entry.version}, released from {entry.commit[:7]}, is no longer in the engine, and was never pushed",
        hint="`git checkout` it and `invoke release` make it again.",
    )


def _is_of(image: Image, entry: Entry) -> bool:
    """Whether an image is that of a release, by what its labels say: a tag may name another one by now."""
    if entry.id:
        return image.id == entry.id
    made_of, version = (image.labels.get(f"org.opencontainers.image.{key}", "") for key in ("revision", "version"))
    return made_of in {"", entry.commit} and (not version or sanitise(version) == entry.version)


def _published(scope: Scope, names: list[str], named: str, platform: str, estimated: bool) -> Opened | None:
    """The image of a release that is written down nowhere, where a registry that is pushed to has a tag for it.

    That is a version, or the commit of a revision or of the nearest that it stands on.
    """
    if not scope.settings.push.to:
        return None
    commit = revision.resolve(scope.root, named)
    ancestors = islice(revision.ancestors(scope.root, commit), _ANCESTORS)
    wanted = [*((named.removeprefix("v"),) if _VERSION.fullmatch(named) else ()), *ancestors]
    for name in names if wanted else ():
        with scope.repository(name) as repository:
            there = set(repository.tags())
        if tag := next((tag for tag in wanted if tag in there), ""):
            return _from_registry(scope, f"{name}:{tag}", platform, estimated)
    return None


def _from_registry(scope: Scope, named: str, platform: str, estimated: bool) -> Opened | None:
    try:
        wanted = reference.parse(named)
    except ConfigError as error:
        raise ImageError(f"there is no image {named}", hint=error.hint) from None
    with (
        scope.stage("size", named, "reading its layers") as outcome,
        scope.reading(named) as repository,
    ):
        there = remote.find(repository, wanted.manifest, platform=platform)
        layers = [
            (_pulled(scope, repository, one, named, estimated), one.size, compression.of_media_type(one.media_type))
            for one in there.layers
        ]
        digest = str(there.manifest["config"]["digest"])
        size_of_config = int(there.manifest["config"]["size"])
        found = account.take(oci.assembled(named, digest, there.config, layers, config_size=size_of_config))
        outcome.word = "read"
    return _opened(scope, found, "registry", pull=there.pull)


def _pulled(scope: Scope, repository: Repository, wanted: remote.RemoteLayer, name: str, estimated: bool) -> Contents:
    """What a layer in a registry holds; its blob passes by."""
    if wanted.foreign:
        raise ImageError(f"a layer of {name} is not in the registry, only linked from there")
    what = f"the layer {oci.short(wanted.digest)} of {name}"
    try:
        pieces = repository.blob(wanted.digest, size=wanted.size)
        blob = weighing.told(scope, pieces, name, label=oci.short(wanted.digest), total=wanted.size)
        return layer.read(compression.plain(blob), estimated=estimated)
    except Truncated:
        raise RegistryError(f"{what} is cut short", host=repository.host, hint="Try again.") from None
    except Damaged as error:
        raise ImageError(f"{what} cannot be read: {error}") from None


def _opened(
    scope: Scope, found: Account, where: str, *, pull: int | None = None, reference: str = "", path: Path | None = None
) -> Opened:
    """What was read, with its base; what a pull transfers is estimated where no manifest says it."""
    try:
        bases = size.bases(scope)
    except TinyshipError:  # a file can be looked at without an engine
        bases = ()
    if where != "engine":
        weighing.remember(scope, found)
    base, name = explain.base_layers(found, bases)
    known, estimated = weighing.pull_size(found) if pull is None else (pull, False)
    return Opened(found, where, known, estimated, base, name, reference, path)


_WAYS: dict[str, Callable[[Scope, str, str, bool], Opened | None]] = {
    "engine": _from_engine,
    "file": _from_file,
    "git": _from_git,
    "registry": _from_registry,
}
_WORDS = {
    "engine": "image of the engine",
    "file": "file",
    "git": "released git revision",
    "registry": "image of a registry",
}
