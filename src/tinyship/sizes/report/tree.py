"""The bytes of an image as a tree of instruction, folder and file that is small enough to look at.

Nothing is left out: what is too small to be seen is one node of its folder, so that the sums stay exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from tinyship.sizes.account import Account, Dead

MOST = 2000
"""Nodes of a tree."""

_APART = MOST // 3 - 2  # each may have two more below it, for what is too small: live and dead


class Node(NamedTuple):
    """A part of an image. Sizes in bytes.

    Args:
        number: its own; a parent's is smaller.
        parent: the number of the node around it; -1 for the image as a whole.
        name: relative to its parent; empty for the image and its layers.
        path: from the root of the image; of its folder, where it is what is too small to be seen apart.
        size: live and dead bytes, those of all nodes below it among them.
        dead: of these, the dead ones.
        files: how many files it stands for.
        layer: that holds it, from 0; -1 for the image.
        killed: how it died, where it is one dead file.
        rest: whether it is what is too small to be seen apart.
    """

    number: int
    parent: int
    name: str
    path: str
    size: int
    dead: int
    files: int
    layer: int
    killed: Dead | None = None
    rest: bool = False


@dataclass(slots=True)
class _Part:
    """A folder or a file of a layer; a layer is a folder."""

    name: str
    path: str
    layer: int
    size: int = 0
    dead: int = 0
    files: int = 0
    dead_files: int = 0
    killed: Dead | None = None
    folders: dict[str, _Part] = field(default_factory=dict)
    leaves: list[_Part] = field(default_factory=list)

    def add(self, size: int, dead: bool) -> None:
        self.size += size
        self.files += 1
        if dead:
            self.dead += size
            self.dead_files += 1


def tree(account: Account) -> tuple[Node, ...]:
    """The nodes, the image first, at most ``MOST``; none where it holds no bytes."""
    whole = _Part("", "", -1)
    layers = [_Part("", "", number) for number in range(len(account.held))]
    for file in account.files:
        if file.size:
            _put(whole, layers[file.layer], file.path, file.size, None)
    for one in account.dead:
        if one.size:
            _put(whole, layers[one.written], one.path, one.size, one)
    if not whole.size:
        return ()
    whole.folders = {str(part.layer): part for part in layers if part.size}
    return tuple(_nodes(whole))


def _put(whole: _Part, layer: _Part, path: str, size: int, killed: Dead | None) -> None:
    dead = killed is not None
    whole.add(size, dead)
    layer.add(size, dead)
    at, end = layer, path.find("/")
    start = 0
    while end >= 0:
        name = path[start:end]
        inner = at.folders.get(name)
        if inner is None:
            inner = at.folders[name] = _Part(name, path[:end], layer.layer)
        at = inner
        at.add(size, dead)
        start, end = end + 1, path.find("/", end + 1)
    leaf = _Part(path[start:], path, layer.layer, killed=killed)
    leaf.add(size, dead)
    at.leaves.append(leaf)


def _nodes(whole: _Part) -> Iterator[Node]:
    """The largest parts as nodes of their own, and for each of them what is left of it."""
    nodes: list[Node] = []
    parts: list[_Part] = []
    waiting: list[tuple[int, str, int, int, _Part]] = [(-whole.size, "", 0, -1, whole)]
    pushed = 0
    while waiting and len(nodes) < _APART:
        _, _, _, parent, part = heappop(waiting)
        name = part.name
        while parent > 0 and not part.leaves and len(part.folders) == 1:  # a lone folder shares the node of its parent
            (part,) = part.folders.values()
            name = f"{name}/{part.name}"
        nodes.append(_node(part, len(nodes), parent, name))
        parts.append(part)
        for inner in (*part.folders.values(), *part.leaves):
            pushed += 1
            heappush(waiting, (-inner.size, inner.path, pushed, nodes[-1].number, inner))
    yield from nodes
    yield from _rests(nodes, parts, waiting)


def _rests(nodes: list[Node], parts: list[_Part], waiting: list[tuple[int, str, int, int, _Part]]) -> Iterator[Node]:
    """What is left of each part: one node of live bytes, and one of dead ones."""
    left: dict[int, list[int]] = {}
    for _, _, _, parent, part in waiting:
        sums = left.setdefault(parent, [0, 0, 0, 0])
        sums[0] += part.size - part.dead
        sums[1] += part.files - part.dead_files
        sums[2] += part.dead
        sums[3] += part.dead_files
    number = len(nodes)
    for parent, (live, files, dead, dead_files) in sorted(left.items()):
        if parts[parent].size in (live, dead):
            continue  # nothing of it is a node of its own: it stands for all
        around = nodes[parent]
        for size, count, gone in ((live, files, 0), (dead, dead_files, dead)):
            if count:
                yield Node(number, parent, "", around.path, size, gone, count, around.layer, rest=True)
                number += 1


def _node(part: _Part, number: int, parent: int, name: str) -> Node:
    return Node(number, parent, name, part.path, part.size, part.dead, part.files, part.layer, part.killed)
