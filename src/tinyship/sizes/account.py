"""Which bytes of an image are live and which are dead, and what wrote and what hid each of them.

Live is what the final filesystem shows; dead is what the layers hold beside it.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from tinyship.errors import ImageError
from tinyship.sizes.image import Image
from tinyship.sizes.layer import MOST_ENTRIES
from tinyship.sizes.stack import Cause, Dead, File, Stack


@dataclass(frozen=True, slots=True)
class Account:
    """An image's bytes, each in its place.

    Args:
        image: that was read.
        held: bytes that each layer holds.
        live: bytes of each layer that the final filesystem shows.
        files: what the final filesystem shows, in no order that matters.
        dead: what is hidden, in the order in which it was.
        sizes: bytes of each inode.
        prints: fingerprint of the content of each inode.
        links: the targets of links, by inode.
        strippable: bytes of symbols in programs, by inode.
        notices: what is missing or odd, in words.
    """

    image: Image
    held: tuple[int, ...]
    live: tuple[int, ...]
    files: tuple[File, ...]
    dead: tuple[Dead, ...]
    sizes: array[int]
    prints: array[int]
    links: dict[int, str]
    strippable: dict[int, int]
    notices: tuple[str, ...]

    @property
    def unpacked(self) -> int:
        """Bytes on disk, all layers."""
        return sum(self.held)

    @property
    def dead_bytes(self) -> int:
        """Bytes that a layer holds and the final filesystem does not show."""
        return sum(one.size for one in self.dead)


def take(image: Image) -> Account:
    """Account for every byte of an image.

    Raises:
        ImageError: it has more entries than any image that ships.
    """
    if sum(layer.contents.weight for layer in image.layers) > MOST_ENTRIES:
        raise ImageError(f"{image.name} has more than {MOST_ENTRIES:,} files", hint="It is not read to its end.")
    stack = Stack()
    for layer in image.layers:
        stack.add(layer.contents)
    files = tuple(stack.files())
    live = [0] * len(image.layers)
    for file in files:
        live[file.layer] += file.size
    return Account(
        image=image,
        held=tuple(stack.held),
        live=tuple(live),
        files=files,
        dead=tuple(stack.dead),
        sizes=stack.sizes,
        prints=stack.prints,
        links=stack.links,
        strippable=stack.strippable,
        notices=(*image.notices, *stack.notices()),
    )


__all__ = ["Account", "Cause", "Dead", "File", "take"]
