"""Takes an image out of an engine only while it is what it was judged to be: all of its names, or none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.engine.faults import said, translated
from tinyship.errors import EngineError
from tinyship.reference import familiar

Told = Callable[[str, bool], None]
"""Is called with a name, and whether it is gone or back again."""


def remove(engine: Engine, image_id: str, names: Sequence[str], told: Told) -> str:
    """Remove an image with its names, where it still has these and no others.

    An engine cannot be asked to remove a name only while it names a certain image. But it can be asked to remove an
    image by its id, and refuses that where the image has several names. So of several names all but one go first, right
    after a look at them; the last goes with the image.

    Args:
        engine: that has it.
        image_id: what was judged.
        names: all that it had then; none where it had none.
        told: hears of each name, or of the id where there are none, once it is gone, or is back.

    Returns:
        why it is still there; empty where it is not.
    """
    taken: list[str] = []
    if len(names) != 1 or engine.is_podman or engine.containerd_store:
        found = images.find(engine, image_id)
        if not found:
            return ""
        if more := sorted(set(found.tags) - set(names)):
            return _other(more[0])
        present = [name for name in names if name in found.tags]
        if names and not present:
            return "its names were taken from it meanwhile"
        for name in present[:-1]:
            if images.untag(engine, name):
                taken.append(name)
                told(name, True)
    refused = _delete(engine, image_id, set(names), told)
    if refused:
        for name in taken:
            _give_back(engine, name, image_id, told)
    return refused


def _delete(engine: Engine, image_id: str, names: set[str], told: Told) -> str:
    """Delete an image that has at most one name; why that is refused, where it is."""
    from docker.errors import APIError, NotFound

    with translated(f"removing {image_id}"):
        try:
            answer = engine.api.remove_image(image_id)
        except NotFound:
            return ""
        except APIError as error:
            words = said(error)
            if "more than one tag" in words:  # Podman's, which it calls a fault of its own
                return "it has got another name meanwhile"
            if error.response is None or error.response.status_code != 409:
                raise
            return _delete_by_name(engine, image_id, names, told) if "repositories" in words else _reason(words)
    gone = [familiar(entry["Untagged"]) for entry in answer or () if "@" not in entry.get("Untagged", "@")]
    for name in gone or [image_id]:
        told(name, True)
    return ""


def _delete_by_name(engine: Engine, image_id: str, names: set[str], told: Told) -> str:
    """Delete an image that has the digest of another repository beside its name: the name goes first, then the rest."""
    found = images.find(engine, image_id)
    if not found:
        return ""
    if more := sorted(set(found.tags) - names):
        return _other(more[0])
    for name in found.tags:
        if not images.untag(engine, name):
            return "a container uses it"
        told(name, True)
    left = images.find(engine, image_id)
    if left and not left.tags:
        images.remove(engine, image_id)
    return ""


def _other(name: str) -> str:
    return f"it is {name} by now"


def _give_back(engine: Engine, name: str, image_id: str, told: Told) -> None:
    """Give an image a name again, unless another has it by now."""
    with suppress(EngineError):
        if images.find(engine, name) is None:
            images.tag(engine, image_id, name)
            told(name, False)


def _reason(words: str) -> str:
    if "container" in words:
        return "a container uses it"
    return "another image stands on it" if "child" in words or "dependent" in words else words
