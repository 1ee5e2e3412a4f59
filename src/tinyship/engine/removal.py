"""Takes an image out of an engine only while it is what it was judged to be: all of its names, or none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.engine.faults import said, status, translated
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
    last = set(names)
    there = False
    if len(names) != 1 or engine.is_podman or engine.containerd_store:
        found = images.find(engine, image_id)
        if not found:
            return ""
        there = True
        if more := sorted(set(found.tags) - set(names)):
            return _other(more[0])
        present = [name for name in names if name in found.tags]
        if names and not present:
            return "its names were taken from it meanwhile"
        last = set(present[-1:])
        for name in present[:-1]:
            if images.untag(engine, name):
                taken.append(name)
                told(name, True)
    refused = _delete(engine, image_id, last, told, there=there)
    if refused:
        for name in taken:
            _give_back(engine, name, image_id, told)
    return refused


def _delete(engine: Engine, image_id: str, names: set[str], told: Told, *, there: bool) -> str:
    """Delete an image that has at most one name; why that is refused, where it is.

    Args:
        engine: that has it.
        image_id: of the image.
        names: the one that it has.
        told: as ``remove`` has it.
        there: whether it was there a moment ago.
    """
    with translated(f"removing {image_id}"):
        try:
            answer = images.delete(engine, image_id)
        except Exception as error:
            words, code = said(error), status(error)
            if code is not None and "more than one tag" in words:  # Podman's, which it calls a fault of its own
                return "it has got another name meanwhile"
            if code == 409:
                return _delete_by_name(engine, image_id, names, told) if "repositories" in words else _reason(words)
            if code is None or not there or images.find(engine, image_id):
                raise
            answer = []  # containerd's store may miss what it has just taken away itself
    if answer is None:
        if not there:
            return ""
        if images.find(engine, image_id):
            return "the engine did not find it"
    if answer:
        gone = [familiar(entry["Untagged"]) for entry in answer if "@" not in entry.get("Untagged", "@")]
    else:
        gone = sorted(name for name in names if images.find(engine, name) is None)
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
