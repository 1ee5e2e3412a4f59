"""An image's way from the engine into one repository: once, tried again as a whole, stopped where it came too late."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct

from tinyship.engine import images
from tinyship.engine import push as engine_push
from tinyship.errors import EngineError, RegistryError
from tinyship.events import Notice
from tinyship.registry import descriptor
from tinyship.running import cancelling
from tinyship.stages.place import Place
from tinyship.stages.scope import Scope

_TRIES = 3
_PAUSE = 1.0
_WATCH = 1.0
"""Seconds between two looks at a tag while the engine is on its way to it."""


class Upload(Struct, frozen=True):
    """What one repository got of an image.

    Args:
        sent: compressed bytes of the layers that were sent; None where the engine does not say.
        present: compressed bytes of the layers that the registry had, or took from another of its repositories; None
            where the engine does not say.
        layers_sent: their number.
        layers_present: theirs.
    """

    sent: int | None
    present: int | None
    layers_sent: int
    layers_present: int


def upload(scope: Scope, place: Place, tag: str, look: Callable[[], None]) -> engine_push.Pushed:
    """Let the engine push the release under one tag.

    Args:
        tag: that names it from then on.
        look: asks what the tag names, before each try, and raises where that is another release by now.

    Raises:
        RegistryError: it could not be pushed, or another release took the tag meanwhile.
    """
    reference = f"{place.name}:{tag}"
    with _named(scope, place.release.id, reference):
        pushed = _push(scope, place, tag, look)
    place.digest = pushed.digest
    place.there[tag] = pushed.digest
    place.was_given = True
    place.promised = time.monotonic()
    place.__dict__.pop("manifest", None)
    return pushed


def _push(scope: Scope, place: Place, tag: str, look: Callable[[], None]) -> engine_push.Pushed:
    reference = f"{place.name}:{tag}"
    for attempt in range(1, _TRIES + 1):
        look()
        try:
            return engine_push.push(
                scope.engine,
                reference,
                credential=scope.credential(reference),
                timeout=scope.settings.push.timeout,
                events=scope.events,
                meanwhile=_watching(look),
            )
        except RegistryError as error:
            if not error.temporary or attempt == _TRIES:
                raise
            wait = _PAUSE * 2 ** (attempt - 1)
            host = place.repository.host
            told = f"the push to {host} is tried again in {wait:g} s ({attempt + 1} of {_TRIES})"
            scope.events(Notice(f"{error.message}; {told}", "warning"))
            cancelling.sleep(wait)
    raise AssertionError("unreachable")


def _watching(look: Callable[[], None]) -> Callable[[], None]:
    """Looks every second: a push ends where its tag comes to name another image while layers are on their way."""
    looked = time.monotonic()

    def watch() -> None:
        nonlocal looked
        if time.monotonic() - looked < _WATCH:
            return
        try:
            look()
        except RegistryError as error:
            if not error.temporary:
                raise
        looked = time.monotonic()  # what cannot be told now is asked again

    return watch


def weighed(scope: Scope, place: Place, pushed: engine_push.Pushed) -> Upload:
    """Bytes of what was sent and of what was there: engines tell of layers, and the manifest has their sizes.

    Raises:
        RegistryError: the registry does not give the manifest, or another one.
    """
    if place.manifest.is_index or not pushed.sent | pushed.present:
        return Upload(None, None, len(pushed.sent), len(pushed.present))
    listed = place.manifest.parsed()
    layers = descriptor.entries(listed, "layers", place.repository.host, f"{place.name}@{pushed.digest}")
    image = images.find(scope.engine, place.release.id)
    chain = image.layers if image and len(image.layers) == len(layers) else ("",) * len(layers)
    sent = [
        layer.size
        for layer, diff_id in zip(layers, chain, strict=True)
        if any(_short(name).startswith(tuple(pushed.sent)) for name in (layer.digest, diff_id) if name and pushed.sent)
    ]
    total = sum(layer.size for layer in layers)
    return Upload(sum(sent), total - sum(sent), len(sent), len(layers) - len(sent))


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")


@contextmanager
def _named(scope: Scope, image_id: str, reference: str) -> Iterator[None]:
    """The image under the name that it is pushed as, which it loses again where it did not have it before."""
    before = images.find(scope.engine, reference)
    try:
        images.tag(scope.engine, image_id, reference)
        yield
    finally:
        with suppress(EngineError), cancelling.shielded():  # where that fails, the push failed first, and says why
            if before is None:
                images.untag(scope.engine, reference)
            elif before.id != image_id and scope.settings.push.to:
                images.tag(scope.engine, before.id, reference)
