"""Images in an engine: look at them, name them, take them in, remove them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from tinyship.credentials import Credential, header, host_of
from tinyship.engine import inventory, quick
from tinyship.engine.connect import Engine
from tinyship.engine.faults import said, status, translated
from tinyship.engine.frames import frames
from tinyship.errors import EngineError, RegistryError
from tinyship.events import Events, Transfer
from tinyship.reference import familiar
from tinyship.running import cancelling

_PIECE = 1 << 20
_PAUSES = (0.1, 0.2, 0.4, 0.8)
"""Seconds before a name is given again: containerd's store fails whoever gives one while somebody else does."""


class Image(Struct, frozen=True):
    """An image as the engine inspects it.

    Args:
        id: of the config with a graph driver, of the manifest or index with the containerd store.
        tags: its references.
        digests: ``repository@sha256:...``, where it was pulled or pushed.
        layers: the diff ids of its layers, the base's first.
        created: when it says that it was made; None where it does not say.
        labels: of its config.
        exposed_ports: like ``8080/tcp``.
        has_healthcheck: its config has a HEALTHCHECK that is not NONE.
        workdir: its working directory; empty where none is set.
        user: its user; empty where none is set.
        command: its CMD.
        entrypoint: its ENTRYPOINT.
        architecture: as Go names it.
        os: as Go names it.
        on_build: what it does in a build that is FROM it.
    """

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    layers: tuple[str, ...]
    created: datetime | None
    labels: dict[str, str]
    exposed_ports: tuple[str, ...]
    has_healthcheck: bool
    workdir: str
    user: str
    command: tuple[str, ...]
    entrypoint: tuple[str, ...]
    architecture: str
    os: str
    on_build: tuple[str, ...] = ()


def find(engine: Engine, reference: str) -> Image | None:
    """The image with this reference or id; None where the engine has none."""
    client = getattr(engine, "client", None)
    if isinstance(client, quick.Client):
        with suppress(quick.Unanswered):
            found = client.inspect_image(reference)
            return _image(found) if found else None
    from docker.errors import NotFound

    with translated(f"looking at {reference}"):
        try:
            return _image(engine.api.inspect_image(reference))
        except NotFound:
            return None


def listing(engine: Engine, *, project: str) -> tuple[Image, ...]:
    """All images that bear the label of this project, those without a name included."""
    labelled = {"label": f"tinyship.project={project}"}
    found = inventory.asked_again("listing images", lambda: engine.api.images(filters=labelled))
    present = (find(engine, entry["Id"]) for entry in found)
    return tuple(image for image in present if image)


def tag(engine: Engine, image_id: str, reference: str) -> None:
    """Give an image one more name; another image that had it loses it."""
    repository, tag = _split(reference)
    with translated(f"tagging {reference}"):
        for pause in _PAUSES:
            try:
                engine.api.tag(image_id, repository, tag)
            except Exception as error:
                if "already exists" not in said(error):
                    raise
                cancelling.sleep(pause)
            else:
                return
        engine.api.tag(image_id, repository, tag)


def untag(engine: Engine, reference: str) -> bool:
    """Take a name from an image; without its last name it is removed. False where a container still uses it."""
    return _delete(engine, reference)


def remove(engine: Engine, image_id: str) -> bool:
    """Remove an image that has no name. False where a container or another image still uses it."""
    return _delete(engine, image_id)


def delete(engine: Engine, reference: str) -> list[dict[str, str]] | None:
    """Have the engine delete an image by its id, or a name of one; raises what docker-py raises.

    Returns:
        what it says that is gone; nothing where its answer was lost, but the image is gone; None where it has none.
    """
    lost = False
    client = getattr(engine, "client", None)
    if isinstance(client, quick.Client):
        try:
            return client.remove_image(reference)
        except quick.Lost:
            lost = True
        except quick.Unanswered:
            pass
    from docker.errors import NotFound

    try:
        return list(engine.api.remove_image(reference) or ())
    except NotFound:
        return [] if lost else None


def import_rootfs(engine: Engine, chunks: Iterable[bytes], *, name: str, changes: Sequence[str], events: Events) -> str:
    """Make an image of one layer from the tar of a root filesystem, streamed into the engine.

    Args:
        chunks: the tar; what it raises ends the import without an image.
        name: the image's reference.
        changes: Dockerfile instructions for its config.

    Returns:
        the image's id.

    Raises:
        EngineError: the engine refused it, or cannot read it as a tar.
    """
    # The containerd store names an image before it reads it, so that what is no tar would take the name all the same.
    repository, label = _split(name)
    incoming = f"{repository}:{label[:100]}-incoming"
    what = f"importing {name}"
    params = {"fromSrc": "-", "repo": incoming, "changes": list(changes)}  # Podman hears of no `tag` beside it
    try:
        _send(engine, "/images/create", _Counted(chunks, "rootfs", events), params=params, what=what)
        image = find(engine, incoming)
        if not image:
            raise EngineError(f"{what}: the engine said that it worked, but has no such image")
        tag(engine, image.id, name)
    finally:
        with suppress(EngineError), cancelling.shielded():  # where that fails, the import failed first
            untag(engine, incoming)
    return image.id


def load(engine: Engine, chunks: Iterable[bytes], *, events: Events) -> None:
    """Take the images of a ``docker save`` archive into the engine, streamed.

    Raises:
        EngineError: the engine refused it.
    """
    what = "loading the image into the engine"
    _send(engine, "/images/load", _Counted(chunks, "image", events), params={"quiet": "1"}, what=what)


def saved(engine: Engine, reference: str) -> Iterator[bytes]:
    """The ``docker save`` archive of an image, as it comes.

    Raises:
        EngineError: the engine has no such image, or lost it, or the connection, on the way.
    """
    import requests
    import urllib3.exceptions

    api = engine.api
    what = f"reading {reference} from the engine"
    with translated(what):
        response = api._get(api._url("/images/{0}/get", reference), stream=True, timeout=None)
        api._raise_for_status(response)
    try:
        with closing(response):
            yield from response.iter_content(_PIECE)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
        with translated(what):
            raise


def pull(engine: Engine, name: str, digest: str, *, credential: Credential | None, events: Events) -> str:
    """Pull an image by its digest, and give it a name.

    Args:
        name: ``repository[:tag]``; the repository is pulled from, and the image is named so.
        digest: ``sha256:...``.

    Returns:
        the image's id.

    Raises:
        RegistryError: the registry does not have it, or does not give it.
    """
    api = engine.api
    repository, _ = _split(name)
    what = f"pulling {repository}@{digest}"
    host = host_of(repository)
    try:
        with translated(what):
            response = api._post(
                api._url("/images/create"),
                params={"fromImage": repository, "tag": digest},
                headers={"X-Registry-Auth": header(credential)},
                timeout=None,
                stream=True,
            )
        for frame in frames(response, what=what):
            _tell(frame, "pulling", events)
    except EngineError as error:
        raise RegistryError(
            error.message, host=host, hint=f"Is {host} reachable, and does {repository} have this digest?"
        ) from error
    tag(engine, f"{repository}@{digest}", name)
    image = find(engine, name)
    if not image:
        raise EngineError(f"{what}: the engine said that it worked, but has no such image")
    return image.id


def _send(engine: Engine, path: str, chunks: _Counted, *, params: dict[str, Any], what: str) -> None:
    """Stream a tar into the engine, and hear it out."""
    api = engine.api
    with translated(what):
        response = api._post(
            api._url(path),
            data=iter(chunks),
            params=params,
            headers={"Content-Type": "application/x-tar"},
            timeout=None,
            stream=True,
        )
    for _ in frames(response, what=what):
        pass
    chunks.events(Transfer(chunks.name, "sending", chunks.count, chunks.count, done=True))


class _Counted:
    """Pieces that pass through, counted and told about every few megabytes."""

    def __init__(self, chunks: Iterable[bytes], name: str, events: Events) -> None:
        self.chunks = chunks
        self.name = name
        self.events = events
        self.count = 0

    def __iter__(self) -> Any:
        told = 0
        for chunk in self.chunks:
            self.count += len(chunk)
            if self.count - told > 1 << 20:
                told = self.count
                self.events(Transfer(self.name, "sending", self.count))
            yield chunk


def _tell(frame: dict[str, Any], action: str, events: Events) -> None:
    """Turn one object of a pull or a push into an event, where it is about bytes."""
    detail = frame.get("progressDetail") or {}
    if frame.get("id") and detail.get("current"):
        events(Transfer(frame["id"], action, int(detail["current"]), int(detail.get("total") or 0)))


def _delete(engine: Engine, name: str) -> bool:
    with translated(f"removing {name}"):
        try:
            delete(engine, name)
        except Exception as error:
            if status(error) == 409:
                return False
            raise
    return True


def _split(reference: str) -> tuple[str, str]:
    repository, colon, tag = reference.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (reference, "latest")


def _image(found: dict[str, Any]) -> Image:
    config = found.get("Config") or {}
    check = (config.get("Healthcheck") or {}).get("Test") or []
    return Image(
        id=found["Id"],
        tags=tuple(familiar(name) for name in found.get("RepoTags") or ()),
        digests=tuple(familiar(name) for name in found.get("RepoDigests") or ()),
        layers=tuple((found.get("RootFS") or {}).get("Layers") or ()),
        created=_date(found.get("Created")),
        labels=dict(config.get("Labels") or {}),
        exposed_ports=tuple(config.get("ExposedPorts") or ()),
        has_healthcheck=bool(check) and check[0] != "NONE",
        workdir=config.get("WorkingDir") or "",
        user=config.get("User") or "",
        command=tuple(config.get("Cmd") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        architecture=found.get("Architecture") or "",
        os=found.get("Os") or "",
        on_build=tuple(config.get("OnBuild") or ()),
    )


def _date(text: str | None) -> datetime | None:
    """A date of the engine's."""
    if not text or text.startswith("0001-"):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
