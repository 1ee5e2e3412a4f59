"""What is to be built and what came of it, as plain data that every builder takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from tinyship.credentials import Credential

if TYPE_CHECKING:
    from tinyship.context.source import Context


def no_credentials(host: str) -> None:
    """Know no credentials for any host."""


class Secret(Struct, frozen=True):
    """A value that only ``RUN --mount=type=secret`` sees; it is read when the build asks for it.

    Exactly one of the two is set.

    Args:
        env: the variable that holds it.
        file: the file that holds it, absolute.
    """

    env: str = ""
    file: Path | None = None


class CacheEntry(Struct, frozen=True):
    """Somewhere that a build's cache is taken from, or put to.

    Args:
        kind: ``registry``, ``local`` or ``inline``.
        attributes: as ``docker build --cache-from`` and ``--cache-to`` take them, without ``type``; paths absolute.
    """

    kind: str
    attributes: Mapping[str, str]


class Output(Struct, frozen=True):
    """Something that a build makes beside the image in the engine.

    Args:
        kind: ``local`` puts the files of the image into a folder, ``tar`` into a tar; ``oci`` and ``docker`` put the
            image into an archive; ``image`` keeps it where it was built, or with ``push=true`` in its registry.
        attributes: as ``docker build --output`` takes them, without ``type`` and ``dest``.
        dest: the folder or file, absolute; None for ``image``.
    """

    kind: Literal["local", "tar", "oci", "docker", "image"]
    attributes: Mapping[str, str] = field(default_factory=dict)
    dest: Path | None = None


class Tls(Struct, frozen=True):
    """Certificates for a ``buildkitd`` behind TLS; paths absolute.

    Args:
        ca: of the authority that signed its certificate; the system's where None.
        cert: ours, where it wants to know us.
        key: ours.
        server_name: the name in its certificate, where that is not the host of its address.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str = ""


class BuildRequest(Struct, frozen=True, kw_only=True):
    """What is to be built.

    Args:
        context: the files, and the Dockerfile among them.
        tags: the references that the image gets.
        target: the stage to stop at; the last one where empty.
        args: build arguments; only such as the Dockerfile declares.
        labels: of the image.
        network: of RUN instructions, as ``docker build --network`` takes it.
        extra_hosts: ``name:address``.
        no_cache: build every step again.
        no_cache_filter: stages whose steps are all built again.
        pull: ask the registry for base images even where the engine has them.
        platforms: each ``os/architecture[/variant]``; the engine's own where there are none.
        shm_size: bytes of /dev/shm in RUN instructions; the engine's own where 0.
        ulimits: of RUN instructions, ``name=soft[:hard]``.
        epoch: seconds since 1970 that all dates in the image are set to; None leaves them as they come.
        credentials: finds those of a registry's host, when an image has to be pulled from it.
        secrets: by their ids.
        ssh: sockets of SSH agents, by their ids, for ``RUN --mount=type=ssh``.
        contexts: named contexts: a folder, absolute, or an image as ``docker-image://reference``.
        cache_from: where cached steps are taken from, beside the builder's own cache.
        cache_to: where the steps of this build are put.
        attests: attestations by type (``provenance``, ``sbom``), each with its parameters as in ``mode=max``.
        outputs: what is made beside the image in the engine.
        state: the project's folder, whose ``.tinyship`` remembers what a builder was told; without it BuildKit misses
            contents that change under the same size and time.
    """

    context: Context
    tags: tuple[str, ...]
    target: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    network: str = ""
    extra_hosts: tuple[str, ...] = ()
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    pull: bool = False
    platforms: tuple[str, ...] = ()
    shm_size: int = 0
    ulimits: tuple[str, ...] = ()
    epoch: int | None = None
    credentials: Callable[[str], Credential | None] = no_credentials
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    ssh: Mapping[str, Path] = field(default_factory=dict)
    contexts: Mapping[str, Path | str] = field(default_factory=dict)
    cache_from: tuple[CacheEntry, ...] = ()
    cache_to: tuple[CacheEntry, ...] = ()
    attests: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[Output, ...] = ()
    state: Path | None = None


class BuildResult(Struct, frozen=True):
    """What was built.

    Args:
        image_id: the engine's id of the image.
        cached: every step came from the cache.
        responses: what BuildKit says of the image in the engine and of each output, in their order, by its own keys
            (``containerimage.digest`` is the digest of what was pushed); nothing from other builders.
        is_certain: the builder said itself that this is the image; else it is the one that bore its name afterwards,
            which somebody else may have made meanwhile.
    """

    image_id: str
    cached: bool
    responses: tuple[Mapping[str, str], ...] = ()
    is_certain: bool = True
