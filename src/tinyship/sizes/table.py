"""The rows of the size table: one image of the pipeline each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One image and its sizes, in bytes. None: not known, or without meaning for this row.

    Args:
        stage: ``base``, ``build`` or ``release``.
        image: the reference.
        unpacked: files on disk, all layers, uncompressed.
        pull: compressed bytes that a pull transfers, from the registry's manifest, or estimated.
        unique: what lies above the base image that this image stands on.
        layers: the number of layers.
        change: unpacked bytes gained since the last release, negative when it shrank.
        note: what else is worth saying.
        dead: bytes that layers hold and the final filesystem does not show; known where the layers were read.
        estimated: ``pull`` is an estimate: what the layers would be, compressed as engines do it.
    """

    stage: str
    image: str
    unpacked: int
    pull: int | None
    unique: int | None
    layers: int
    change: int | None
    note: str = ""
    dead: int | None = None
    estimated: bool = False
