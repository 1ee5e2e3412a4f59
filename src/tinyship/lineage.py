"""The images of a project as a graph: what each of them holds, what it stands on, and the layers that they share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Stage: TypeAlias = Literal["base", "build", "release", "external"]
How: TypeAlias = Literal["FROM", "artifacts", "uses"]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer, which is the same one wherever its digest is.

    Args:
        digest: of its tar, the diff id.
        unpacked: bytes of its files on disk; None where it was not read.
    """

    digest: str
    unpacked: int | None


@dataclass(frozen=True, slots=True)
class Node:
    """An image.

    Args:
        image: its reference in the engine.
        stage: ``base``, ``build`` or ``release`` of the project, or ``external``: it comes from elsewhere.
        of: the names of the project's images whose stage it is, several where they share a base image.
        id: the engine's; empty where the engine does not have it.
        layers: the lowest first.
    """

    image: str
    stage: Stage
    of: tuple[str, ...] = ()
    id: str = ""
    layers: tuple[Layer, ...] = ()

    @property
    def is_there(self) -> bool:
        """Whether the engine has it."""
        return bool(self.id)

    @property
    def unpacked(self) -> int | None:
        """Bytes of its files on disk, all layers; None where not known."""
        return _bytes(self.layers) if self.is_there else None


@dataclass(frozen=True, slots=True)
class Edge:
    """An image and one that it stands on.

    Args:
        image: the reference of the one.
        on: the reference of the other.
        how: ``FROM``: its last stage begins with that one's layers; ``artifacts``: it gets files that a container of
            that one made; ``uses``: its Dockerfile names that one elsewhere, in another stage or as a source of files.
    """

    image: str
    on: str
    how: How


@dataclass(frozen=True, slots=True)
class Shared:
    """What an image has in common with one that it stands on.

    Args:
        layers: of the one that are layers of the other.
        of: how many layers the other has.
        unpacked: bytes of their files on disk; None where one of them was not read.
    """

    layers: int
    of: int
    unpacked: int | None


@dataclass(frozen=True, slots=True)
class Total:
    """What several images hold together. Bytes are of files on disk.

    Args:
        images: that are counted: those whose layers are known.
        layers: each once, however many of the images have it.
        unpacked: bytes of these.
        apart: bytes that the images would have if none shared a layer.
        missing: the references of images that are not counted.
    """

    images: int
    layers: int
    unpacked: int
    apart: int
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lineage:
    """The images of a project, those that they stand on, and what leads from the ones to the others.

    Args:
        nodes: each once.
        edges: each once; none leads from an image to itself.
        notes: what is not known, and why.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    notes: tuple[str, ...] = ()

    def node(self, image: str) -> Node:
        """The image with this reference."""
        return next(node for node in self.nodes if node.image == image)

    def below(self, image: str) -> tuple[Edge, ...]:
        """What leads from an image to those that it stands on."""
        return tuple(edge for edge in self.edges if edge.image == image)

    def tops(self) -> tuple[Node, ...]:
        """The images that no other one stands on, and one of each ring, so that every image is below one of these."""
        carrying = {edge.on for edge in self.edges}
        found = [node for node in self.nodes if node.image not in carrying]
        seen = {image for node in found for image in self._reached(node.image)}
        for node in self.nodes:
            if node.image not in seen:
                found.append(node)
                seen |= self._reached(node.image)
        return tuple(found)

    def shared(self, edge: Edge) -> Shared | None:
        """The layers that both ends of an edge have; None where the engine does not have both."""
        image, on = self.node(edge.image), self.node(edge.on)
        if not image.is_there or not on.is_there:
            return None
        common = _common(image, on)
        return Shared(len(common), len(on.layers), _bytes(common))

    def is_stale(self, edge: Edge) -> bool:
        """Whether an image was made from another one than now has the name of what it is FROM."""
        image, on = self.node(edge.image), self.node(edge.on)
        if edge.how != "FROM" or not image.is_there or not on.is_there:
            return False
        begin = [layer.digest for layer in image.layers[: len(on.layers)]]
        return begin != [layer.digest for layer in on.layers]

    def unique(self, image: str) -> int | None:
        """Bytes of an image's layers that none of those has which it stands on; None where that is not known."""
        node = self.node(image)
        lower = [self.node(edge.on) for edge in self.below(image)]
        is_known = all(self.node(edge.on).is_there for edge in self.below(image) if edge.how == "FROM")
        if not node.is_there or not is_known:
            return None
        theirs = {layer.digest for one in lower for layer in one.layers}
        return _bytes(layer for layer in node.layers if layer.digest not in theirs)

    def total(self, stage: Stage | None = None) -> Total:
        """What all images hold together, or those of one stage; each layer counts once."""
        wanted = [node for node in self.nodes if stage in {None, node.stage}]
        known = [(node, node.unpacked) for node in wanted]
        counted = [node for node, unpacked in known if unpacked is not None]
        layers = {layer.digest: layer.unpacked or 0 for node in counted for layer in node.layers}
        return Total(
            images=len(counted),
            layers=len(layers),
            unpacked=sum(layers.values()),
            apart=sum(unpacked for _, unpacked in known if unpacked is not None),
            missing=tuple(node.image for node, unpacked in known if unpacked is None),
        )

    def _reached(self, image: str) -> set[str]:
        found: set[str] = set()
        to_do = [image]
        while to_do:
            if (one := to_do.pop()) not in found:
                found.add(one)
                to_do += [edge.on for edge in self.below(one)]
        return found


def _common(image: Node, on: Node) -> tuple[Layer, ...]:
    """The layers of one that the other has too, by their digests, each as often as both have it."""
    left = [layer.digest for layer in image.layers]
    found = []
    for layer in on.layers:
        if layer.digest in left:
            left.remove(layer.digest)
            found.append(layer)
    return tuple(found)


def _bytes(layers: Iterable[Layer]) -> int | None:
    sizes = [layer.unpacked for layer in layers]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None
