"""The filesystem that layers make, one stacked upon the other, and what each of them hides of those below.

Each path is visited once when it is written and once when it is hidden, so the work is linear in the entries.

Sources: the OCI image specification, "Image Layer Filesystem Changeset"; where it leaves open what happens, what
Docker's graph drivers do.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from tinyship.errors import ImageError
from tinyship.sizes.layer import FOLDER, HARDLINK, SYMLINK, Contents

_HOPS = 40
MOST_IMPLIED = 1 << 28
"""Letters that the paths of folders without entries may have together; those of real images have some thousands."""

Cause: TypeAlias = Literal[
    "overwritten", "metadata", "removed", "removed with its folder", "folder emptied", "replaced"
]
"""How bytes died: by other content at the same path; by the same content with other metadata (``RUN chmod``); by a
whiteout; by one of a folder around it; by an opaque folder; by something of another type at the path or around it."""


class File(NamedTuple):
    """A path that the final filesystem shows.

    Args:
        path: relative to the root.
        kind: of ``tinyship.sizes.tar``.
        size: live bytes; 0 for every hard link of a file but the first.
        layer: the number of the layer that wrote it, from 0.
        inode: the same for all hard links of a file.
    """

    path: str
    kind: int
    size: int
    layer: int
    inode: int


class Dead(NamedTuple):
    """A file that a layer holds and a later one hides.

    Args:
        path: relative to the root.
        size: dead bytes.
        written: the number of the layer that holds it, from 0.
        hidden: the number of the layer that hid it.
        cause: how.
    """

    path: str
    size: int
    written: int
    hidden: int
    cause: Cause


class Stack:
    """The filesystem that the layers so far make. An inode is a file, a folder or a link that some layer wrote.

    ``folders`` has the names in each folder, with their inodes; a name that is a folder has an entry of its own there.
    """

    def __init__(self) -> None:
        self.folders: dict[str, dict[str, int]] = {"": {}}
        self.kinds = bytearray()
        self.sizes: array[int] = array("q")
        self.prints: array[int] = array("Q")
        self.layers: array[int] = array("l")
        self.names: array[int] = array("l")  # how many paths show an inode
        self.paths: list[str] = []
        self.links: dict[int, str] = {}
        self.strippable: dict[int, int] = {}
        self.held: list[int] = []
        self.dead: list[Dead] = []
        self.first = 0
        self.implied = 0
        self.lost = 0
        self.twice = 0
        self.below: list[str] = []

    def add(self, contents: Contents) -> None:
        """Stack one more layer: first what it hides, then what it holds, in whatever order it says both."""
        number = len(self.held)
        self.held.append(0)
        for folder in contents.opaques:
            self._empty(folder, number)
        for path in contents.whiteouts:
            parent, _, name = path.rpartition("/")
            names = self.folders.get(parent)
            if names and name in names:
                self._hide(names, parent, name, number, "removed")
        self._imply(contents, number)
        self._reserve(contents, number)
        waiting = self._place(contents, number)
        for _ in range(_HOPS):
            before = len(waiting)
            waiting = [at for at in waiting if not self._link(contents.paths[at], contents.links[at], number)]
            if len(waiting) in {0, before}:
                break
        self.lost += len(waiting)

    def _imply(self, contents: Contents, number: int) -> None:
        """Make the folders that whiteouts are in, as graph drivers do; those with an entry of their own will come."""
        around = {*contents.opaques, *(path.rpartition("/")[0] for path in contents.whiteouts)}
        if around:
            coming = {path for path, kind in zip(contents.paths, contents.kinds, strict=True) if kind == FOLDER}
            for folder in sorted(around - coming):
                self._folder(folder, number)

    def files(self) -> Iterator[File]:
        """What the filesystem shows; the first path of an inode bears its bytes."""
        seen = bytearray(len(self.paths))
        for folder, names in self.folders.items():
            before = f"{folder}/" if folder else ""
            for name, inode in names.items():
                size = 0 if seen[inode] else self.sizes[inode]
                seen[inode] = 1
                yield File(before + name, self.kinds[inode], size, self.layers[inode], inode)

    def notices(self) -> Iterator[str]:
        """What was odd, in words."""
        if self.lost:
            yield f"{self.lost} hard links lead to files that are not there: they count as nothing"
        if self.twice:
            yield f"{self.twice} bytes are written twice in one layer: they are transferred, but never on disk"
        if self.below:
            some = ", ".join(f"/{path}" for path in self.below[:3])
            yield f"layers write below links of other layers ({some}): engines differ in where that ends up"

    def _reserve(self, contents: Contents, number: int) -> None:
        """Make an inode of each entry."""
        self.first = len(self.paths)
        self.kinds += contents.kinds
        self.sizes += contents.sizes
        self.prints += contents.prints
        self.paths += contents.paths
        self.layers += array("l", [number]) * len(contents.paths)
        self.names += array("l", [0]) * len(contents.paths)
        for at, spare in contents.strippable.items():
            self.strippable[self.first + at] = spare
        for at, link in contents.links.items():
            self.links[self.first + at] = link

    def _place(self, contents: Contents, number: int) -> list[int]:
        """Put every entry at its path; hard links that lead to nothing yet are left to the caller."""
        folders, kinds, names = self.folders, contents.kinds, self.names
        held = 0
        waiting = []
        inode = self.first - 1
        last, real, inside = "", "", folders[""]
        for at, path in enumerate(contents.paths):
            inode += 1
            kind = kinds[at]
            if kind == HARDLINK:
                if not self._link(path, contents.links[at], number):
                    waiting.append(at)
                last = "\0"  # the folder that is at hand may be gone
                continue
            parent, _, name = path.rpartition("/")
            if not name:
                continue  # the root
            if parent != last:
                last, real, found = parent, parent, folders.get(parent)
                if found is None:
                    real, found = self._folder(parent, number)
                inside = found
            if name in inside and not (kind == FOLDER and self.kinds[inside[name]] == FOLDER):
                self._replace(inside, real, name, inode, number)
                last = "\0"
            held += contents.sizes[at]
            inside[name] = inode
            names[inode] = 1
            if kind == FOLDER:
                folders.setdefault(f"{real}/{name}" if real else name, {})
        self.held[number] += held
        return waiting

    def _link(self, path: str, target: str, number: int) -> bool:
        """Give a file one more path; False where there is none."""
        parent, _, name = path.rpartition("/")
        inode = self._lookup(target, number)
        if inode is None or self.kinds[inode] == FOLDER or not name:
            return False
        self.names[inode] += 1  # before anything is hidden, which may be its other path
        real, inside = self._folder(parent, number)
        if inside.get(name) == inode:
            self.names[inode] -= 1
            return True
        if name in inside:
            self._replace(inside, real, name, inode, number)
        inside[name] = inode
        return True

    def _lookup(self, path: str, number: int) -> int | None:
        """What stands at a path; links of folders in the same layer are followed."""
        parent, _, name = path.rpartition("/")
        inside: dict[str, int] | None = self.folders.get(parent)
        if inside is None:
            inside = self._followed(parent, number)
        return inside.get(name) if inside else None

    def _followed(self, path: str, number: int) -> dict[str, int] | None:
        """The names in a folder that is reached by way of links of the same layer."""
        real, hops = "", 0
        left = path.split("/")[::-1]
        while left:
            name = left.pop()
            inode = self.folders[real].get(name)
            if inode is None:
                return None
            if self.kinds[inode] == FOLDER:
                real = f"{real}/{name}" if real else name
            elif self.kinds[inode] == SYMLINK and self.layers[inode] == number and hops < _HOPS:
                hops += 1
                left += _led(real, self.links[inode])
                real = ""
            else:
                return None
        return self.folders[real]

    def _replace(self, inside: dict[str, int], parent: str, name: str, inode: int, number: int) -> None:
        """Hide what stands at a path that something else is written to."""
        old = inside[name]
        same = self.kinds[old] == self.kinds[inode]
        if not same:
            cause: Cause = "replaced"
        elif self.kinds[old] == SYMLINK:
            cause = "metadata" if self.links.get(old) == self.links.get(inode) else "overwritten"
        else:
            alike = self.sizes[old] == self.sizes[inode] and self.prints[old] == self.prints[inode]
            cause = "metadata" if alike else "overwritten"
        self._hide(inside, parent, name, number, cause)

    def _hide(self, inside: dict[str, int], parent: str, name: str, number: int, cause: Cause) -> None:
        """Take a name away, and all that is below it."""
        inode = inside.pop(name)
        path = f"{parent}/{name}" if parent else name
        if self.kinds[inode] == FOLDER:
            self._empty(path, number, "removed with its folder" if cause == "removed" else cause)
            self.folders.pop(path, None)
        self._forget(inode, number, cause)

    def _empty(self, folder: str, number: int, cause: Cause = "folder emptied") -> None:
        """Hide all that a folder holds."""
        waiting = [folder]
        while waiting:
            path = waiting.pop()
            names = self.folders.get(path)
            if names is None:
                continue
            for name, inode in names.items():
                if self.kinds[inode] == FOLDER:
                    waiting.append(f"{path}/{name}" if path else name)
                self._forget(inode, number, cause)
            if path == folder:
                names.clear()
            else:
                del self.folders[path]

    def _forget(self, inode: int, number: int, cause: Cause) -> None:
        """One path fewer shows an inode; the last one takes its bytes along."""
        self.names[inode] -= 1
        size = self.sizes[inode]
        if self.names[inode] or not size:
            return
        if self.layers[inode] == number:  # twice in one layer: the engine keeps the last one
            self.held[number] -= size
            self.twice += size
        else:
            self.dead.append(Dead(self.paths[inode], size, self.layers[inode], number, cause))

    def _folder(self, path: str, number: int) -> tuple[str, dict[str, int]]:
        """Where a folder is, and the names in it; it is made where it is not there.

        Links of the same layer are followed, as whoever unpacks it does. One of a layer below is not there for a graph
        driver, which makes a folder in its place; containerd follows it.
        """
        real, inside, hops = "", self.folders[""], 0
        left = path.split("/")[::-1] if path else []
        while left:
            name = left.pop()
            child = f"{real}/{name}" if real else name
            inode = inside.get(name)
            if inode is not None and self.kinds[inode] == SYMLINK and self.layers[inode] == number and hops < _HOPS:
                hops += 1
                left += _led(real, self.links[inode])
                real, inside = "", self.folders[""]
                continue
            if inode is not None and self.kinds[inode] != FOLDER:
                if self.kinds[inode] == SYMLINK:
                    self.below.append(child)
                self._hide(inside, real, name, number, "replaced")
                inode = None
            if inode is None:
                inside[name] = self._implied(child, number)
                self.folders[child] = {}
            real, inside = child, self.folders[child]
        return real, inside

    def _implied(self, path: str, number: int) -> int:
        """An inode for a folder that no layer has an entry for."""
        self.implied += len(path)
        if self.implied > MOST_IMPLIED:
            raise ImageError("the image has more folders than any that ships", hint="It is not read to its end.")
        self.kinds.append(FOLDER)
        self.sizes.append(0)
        self.prints.append(0)
        self.paths.append(path)
        self.layers.append(number)
        self.names.append(1)
        return len(self.paths) - 1


def _led(folder: str, link: str) -> list[str]:
    """The parts of the path that a link in a folder leads to, the last one first; above the root is the root."""
    parts: list[str] = [] if link.startswith("/") else folder.split("/")
    for part in link.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return [part for part in reversed(parts) if part]
