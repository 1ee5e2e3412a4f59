"""What decides the image that a build makes, as named parts: of these two builds differ, or one has nothing to do.

What a secret holds is no part, because no builder builds anew for it; nor are credentials, proxies and where a cache is
taken from, which lead to the same image.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from tinyship import reference
from tinyship.context import part
from tinyship.context.fingerprint import Fingerprint
from tinyship.dockerfiles import named, sources
from tinyship.errors import ConfigError, ContextError, TinyshipError
from tinyship.settings import options
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.engine.request import BuildRequest

FILES, CONTEXTS, BASES, DOCKERFILE, IMAGE = "files", "contexts", "bases", "Dockerfile", "image"
NOWHERE = ""
"""The id of an image that an engine does not have."""


class Given(Struct, frozen=True):
    """What something is made of, as it was at one moment.

    Args:
        parts: by kind and name; see ``memory.Parts``.
        moment: another one after every change of a file, even one that was taken back.
        files: of the context, as far as they matter; None where there are none.
        from_registries: it stands on images that registries may have moved meanwhile, and on no others.
    """

    parts: dict[str, dict[str, str]]
    moment: str
    files: Fingerprint | None = None
    from_registries: bool = False


class Unknown(TinyshipError):
    """What decides an image cannot be known before it is built; the message says what of it."""


def of_request(scope: Scope, request: BuildRequest, *, again: bool = False) -> Given:
    """What a build is made of.

    Args:
        again: look at the files anew, whatever this scope has seen of them.

    Raises:
        Unknown: a file cannot be read, which a build may not need; or an image's name is made by the builder.
        TinyshipError: the engine failed, or a file that is needed cannot be read.
    """
    context = request.context
    text = context.text
    bases = list(_bases(scope, request, text))
    wanted = sources.of(text) if all(base.is_plain for base in bases) else None
    files = _files(scope, context.root, context.patterns, again) if wanted is None or wanted else None
    if files and wanted:
        files = part.only(files, wanted)
    folders = {
        name: _files(scope, source, (), again)
        for name, source in request.contexts.items()
        if isinstance(source, Path) and name in text
    }
    parts = {
        DOCKERFILE: {"own": digest(context.own_text), "sent": digest(text), "name": digest(context.dockerfile_name)},
        FILES: {"": files.digest} if files else {},
        CONTEXTS: {name: of.digest for name, of in folders.items()},
        BASES: {base.name: base.what for base in bases},
        "args": {name: digest(value) for name, value in request.args.items()},
        "labels": {name: digest(value) for name, value in request.labels.items()},
        "settings": {name: digest(value) for name, value in _settings(scope, request).items() if value},
    }
    moments = [of.moment for of in (files, *folders.values()) if of]
    return Given(parts, combined(moments, _stamps(request)), files, bool(bases) and all(one.moves for one in bases))


def digest(text: str) -> str:
    """A digest of a text, short enough to be kept by the thousand."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def combined(*parts: object) -> str:
    """One digest of several values; only what JSON can hold."""
    return digest(json.dumps(parts))


def _files(scope: Scope, root: Path, patterns: tuple[str, ...], again: bool) -> Fingerprint:
    try:
        return scope.files(root, patterns, again=again)
    except ContextError as error:
        raise Unknown(error.message) from error


def _settings(scope: Scope, request: BuildRequest) -> dict[str, str]:
    """The settings that reach the builder and change what it makes, as text."""
    inline = [dict(entry.attributes) for entry in request.cache_to if entry.kind == "inline"]
    return {
        "builder": scope.settings.builder,
        "DOCKER_BUILDKIT": os.environ.get("DOCKER_BUILDKIT", ""),
        "target": request.target,
        "network": request.network,
        "extra_hosts": _text(request.extra_hosts),
        "shm_size": str(request.shm_size or ""),
        "ulimits": _text(request.ulimits),
        "platforms": _text(request.platforms),
        "epoch": "" if request.epoch is None else str(request.epoch),
        "secrets": _text(sorted(request.secrets)),
        "ssh": _text(sorted(request.ssh)),
        "attests": _text(dict(request.attests)),
        "cache_to": _text(inline),
        "contexts": _text(sorted(request.contexts)),
    }


def _text(value: object) -> str:
    return json.dumps(value) if value else ""


class _Base(Struct, frozen=True):
    """An image that a Dockerfile names.

    Args:
        name: without a digest.
        what: its digest where it is pinned, or its id in the engine, empty where it has none.
        is_plain: it is known that it does nothing of its own in a build that is FROM it.
        moves: it is from a registry, as far as is known, and by a tag that may move there.
    """

    name: str
    what: str
    is_plain: bool
    moves: bool


def _bases(scope: Scope, request: BuildRequest, text: str) -> Iterator[_Base]:
    elsewhere = options.is_address(scope.settings.builder)
    for place in named.places(text, request.args):
        if not place.is_known:
            raise Unknown(f"what `{place.name}` is in line {place.line} of the Dockerfile only the builder knows")
        source = _context(request, place.name)
        if isinstance(source, Path):
            continue
        full = source.removeprefix(options.IMAGE) if source else place.name
        name, _, pin = full.partition("@")
        try:
            reference.parse(full)
        except ConfigError:
            raise Unknown(f"`{full}` is no name of an image") from None
        found = None if elsewhere else scope.image(full)
        is_plain = place.keyword != "FROM" or bool(found and not found.on_build)
        moves = not pin and (found is None or bool(found.digests))
        yield _Base(name, pin or (found.id if found else NOWHERE), is_plain, moves)


def _context(request: BuildRequest, name: str) -> Path | str | None:
    """The named context that an image's name leads to, as BuildKit looks for it."""
    full = reference.tagged(name)
    return next((source for key, source in request.contexts.items() if key in {name, full, full[:-7]}), None)


def _stamps(request: BuildRequest) -> list[tuple[int, ...]]:
    """What the file system says of the Dockerfile and of the ignore files."""
    file = request.context.dockerfile
    ignore = (file.with_name(f"{file.name}.dockerignore"), request.context.root / ".dockerignore")
    return [stamp(one) for one in (file, *ignore)]


def stamp(file: Path) -> tuple[int, ...]:
    """What the file system says of a file, which moves with every change of it; empty where there is none."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return (found.st_ctime_ns, found.st_ino, found.st_mtime_ns, found.st_size)
