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
        pull: compressed bytes that a pull transfers, from the registry's manifest.
        unique: what lies above the base image that this image stands on.
        layers: the number of layers.
        change: unpacked bytes gained since the last release, negative when it shrank.
        note: what else is worth saying.
    """

    stage: str
    image: str
    unpacked: int
    pull: int | None
    unique: int | None
    layers: int
    change: int | None
    note: str = ""
