"""What a request is in the words of BuildKit's Dockerfile frontend.

Source: buildkit, ``frontend/dockerui`` (config.go, attr.go, namedcontext.go) and ``frontend/attestations``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

from tinyship.engine.request import BuildRequest, CacheEntry
from tinyship.errors import ConfigError

CONTEXT, DOCKERFILE = "context", "dockerfile"
_NETWORKS = {"": "", "default": "", "bridge": "", "host": "host", "none": "none"}


def attributes(request: BuildRequest, imports: Sequence[CacheEntry] = ()) -> dict[str, str]:
    """The attributes of a build.

    Args:
        imports: ``request.cache_from`` as BuildKit is to read it.

    Raises:
        ConfigError: BuildKit has no such network.
    """
    mode = network(request)
    optional = {
        "target": request.target,
        "platform": ",".join(request.platforms),
        "force-network-mode": mode,
        "add-hosts": ",".join("=".join(entry.split(":", 1)) for entry in request.extra_hosts),
        "shm-size": str(request.shm_size or ""),
        "ulimit": ",".join(request.ulimits),
        "image-resolve-mode": "pull" if request.pull else "",
        "cache-imports": json.dumps([_entry(entry) for entry in imports]) if imports else "",
        "build-arg:SOURCE_DATE_EPOCH": "" if request.epoch is None else str(request.epoch),
    }
    no_cache = {"no-cache": ""} if request.no_cache else {}
    if request.no_cache_filter and not request.no_cache:
        no_cache = {"no-cache": ",".join(request.no_cache_filter)}
    return {
        "filename": request.context.dockerfile.name,
        **{key: value for key, value in optional.items() if value},
        **no_cache,
        **{f"build-arg:{key}": value for key, value in request.args.items()},
        **{f"label:{key}": value for key, value in request.labels.items()},
        **{f"attest:{kind}": parameters for kind, parameters in request.attests.items()},
        **{f"context:{name}": _named(name, source) for name, source in request.contexts.items()},
    }


def network(request: BuildRequest) -> str:
    """The network of RUN instructions; empty for BuildKit's own.

    Raises:
        ConfigError: BuildKit has no such network.
    """
    if request.network not in _NETWORKS:
        raise ConfigError(
            f"BuildKit has no network `{request.network}`: there are default, host and none",
            hint="`builder: classic` builds on a network of the engine's.",
        )
    return _NETWORKS[request.network]


@contextmanager
def folders(request: BuildRequest) -> Iterator[dict[str, Path]]:
    """The folders that a build may ask for, by the names that it asks with.

    A Dockerfile that is not sent as it lies there has a folder of its own for as long as the build takes, with the
    ignore file that goes with it: BuildKit looks at times and sizes to know whether to ask for a file again.
    """
    named = {_folder(name): source for name, source in request.contexts.items() if isinstance(source, Path)}
    file = request.context.dockerfile
    if request.context.pinned is None:
        yield {CONTEXT: request.context.root, DOCKERFILE: file.parent, **named}
        return
    with TemporaryDirectory(prefix="tinyship-") as name:
        folder = Path(name)
        (folder / file.name).write_bytes(request.context.sent())
        ignore = file.with_name(f"{file.name}.dockerignore")
        if ignore.is_file():
            copyfile(ignore, folder / ignore.name)
        yield {CONTEXT: request.context.root, DOCKERFILE: folder, **named}


def _named(name: str, source: Path | str) -> str:
    return f"local:{_folder(name)}" if isinstance(source, Path) else source


def _folder(name: str) -> str:
    """The name of a named context's folder, which must not be one of the two that every build has."""
    return f"named-{name}"


def _entry(entry: CacheEntry) -> dict[str, object]:
    return {"Type": entry.kind, "Attrs": dict(entry.attributes)}
