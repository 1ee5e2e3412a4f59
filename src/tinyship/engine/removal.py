"""Takes an image out of an engine only while it is what it was judged to be: all of its names, or none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.engine.faults import said, translated
from tinyship.errors import EngineError

Told = Callable[[str, bool], None]
"""Is called with a name, and whether it is gone or back again."""


def remove(engine: Engine, image_id: str, names: Sequence[str], told: Told) -> str:
    """Remove an image with its names, where it still has these and no others.

    An engine cannot be asked to remove a name only while it names a certain image. So all names but one go by
    themselves, each looked at before; the last goes with the image, by its id, which the engine refuses where the image
    has got another name meanwhile.

    Args:
        engine: that has it.
        image_id: what was judged.
        names: all that it had then; none where it had none.
        told: hears of each name, or of the id where there are none, once it is gone, or is back.

    Returns:
        why it is still there; empty where it is not.
    """
    found = images.find(engine, image_id)
    if not found:
        return ""
    if more := sorted(set(found.tags) - set(names)):
        return f"it is {more[0]} by now"
    present = [name for name in names if name in found.tags]
    if names and not present:
        return "its names were taken from it meanwhile"
    *first, last = present or [""]
    taken: list[str] = []
    for name in first:
        if _names(engine, name, image_id) and images.untag(engine, name):
            taken.append(name)
            told(name, True)
    refused = _delete(engine, image_id, last)
    if refused:
        for name in taken:
            _give_back(engine, name, image_id, told)
        return refused
    told(last or image_id, True)
    return ""


def _delete(engine: Engine, image_id: str, last: str) -> str:
    """Delete an image that has at most one name; why that is refused, where it is."""
    from docker.errors import APIError, NotFound

    with translated(f"removing {last or image_id}"):
        try:
            engine.api.remove_image(image_id)
        except NotFound:
            return ""
        except APIError as error:
            if error.response is None or error.response.status_code != 409:
                raise
            words = said(error)
            if "multiple" in words or "repositories" in words:
                return _delete_by_name(engine, image_id, last)
            return _reason(words)
    return ""


def _delete_by_name(engine: Engine, image_id: str, last: str) -> str:
    """Delete an image that has a digest of another repository beside its name; the name goes first, then the rest."""
    found = images.find(engine, image_id)
    if not found or found.tags != (last,):
        return "it has got another name meanwhile"
    if not images.untag(engine, last):
        return "a container uses it"
    left = images.find(engine, image_id)
    if left and not left.tags:
        images.remove(engine, image_id)
    return ""


def _names(engine: Engine, name: str, image_id: str) -> bool:
    found = images.find(engine, name)
    return found is not None and found.id == image_id


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
