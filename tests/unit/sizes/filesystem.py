"""The oracle of the accounting: a filesystem as a plain table of paths, slow and by the book."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field

from making import (
    Entry,
)


def led(folder: tuple[str, ...], target: str) -> tuple[str, ...]:
    """Where a link in a folder leads; those of these tests go down only."""
    return tuple(target[1:].split("/")) if target.startswith("/") else (*folder, *target.split("/"))


@dataclass
class Node:
    """A file, a folder or a link of the oracle's filesystem."""

    kind: str
    layer: int
    size: int = 0
    target: str = ""


@dataclass
class Filesystem:
    """A filesystem as a plain table of paths, slow and by the book."""

    nodes: dict[tuple[str, ...], Node] = field(default_factory=dict)

    def remove(self, path: tuple[str, ...]) -> None:
        """Take a path away, with what is below it."""
        for other in [one for one in self.nodes if one[: len(path)] == path]:
            del self.nodes[other]

    def parents(self, path: tuple[str, ...], number: int) -> tuple[str, ...]:
        """Where the folder really is, made where it is missing."""
        real: tuple[str, ...] = ()
        for name in path:
            here = self.nodes.get((*real, name))
            if here is not None and here.kind == "link" and here.layer == number:
                real = self.parents(led(real, here.target), number)
                continue
            real = (*real, name)
            if here is None or here.kind != "folder":
                self.remove(real)
                self.nodes[real] = Node("folder", number)
        return real

    def find(self, path: tuple[str, ...], number: int) -> Node | None:
        """What stands at a path, by way of links of this layer."""
        real: tuple[str, ...] = ()
        for name in path[:-1]:
            here = self.nodes.get((*real, name))
            if here is not None and here.kind == "link" and here.layer == number:
                real = led(real, here.target)
            else:
                real = (*real, name)
        return self.nodes.get((*real, path[-1]))

    def apply(self, entries: list[Entry], number: int) -> None:
        """Stack one more layer."""
        made = []
        for entry in entries:
            *above, name = (part for part in entry.path.split("/") if part)
            if name == ".wh..wh..opq":
                for path in [one for one in self.nodes if one[: len(above)] == tuple(above) and len(one) > len(above)]:
                    self.nodes.pop(path, None)
            elif name.startswith(".wh."):
                self.remove((*above, name[4:]))
            else:
                made.append(entry)
        for entry in entries:
            *above, name = (part for part in entry.path.split("/") if part)
            if name.startswith(".wh."):
                self.parents(tuple(above), number)
        later = [entry for entry in made if not self.put(entry, number)]
        before = None
        while before != len(later):
            before = len(later)
            later = [entry for entry in later if not self.put(entry, number)]

    def put(self, entry: Entry, number: int) -> bool:
        """Write one entry; False for a hard link to what is not there."""
        path = tuple(entry.path.split("/"))
        if entry.type == tarfile.LNKTYPE:
            node = self.find(tuple(entry.target.split("/")), number)
            if node is None or node.kind == "folder":
                return False
        elif entry.type == tarfile.DIRTYPE:
            node = Node("folder", number)
        elif entry.type == tarfile.SYMTYPE:
            node = Node("link", number, len(entry.target), entry.target)
        elif entry.type == tarfile.REGTYPE:
            node = Node("file", number, len(entry.content))
        else:
            node = Node("device", number)
        real = (*self.parents(path[:-1], number), path[-1])
        here = self.nodes.get(real)
        if here is node:
            return True
        if here is not None and not (here.kind == node.kind == "folder"):
            self.remove(real)
        self.nodes[real] = node
        return True

    def inodes(self) -> dict[int, Node]:
        """All that is shown, hard links once."""
        return {id(node): node for node in self.nodes.values()}
