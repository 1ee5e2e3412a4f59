"""What a push or a promotion did, as lines: the digest in each repository, its tags, the bytes that went there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tinyship.units import size

if TYPE_CHECKING:
    from tinyship.stages.delivering import Arrival
    from tinyship.stages.promote import Promoted
    from tinyship.stages.push import Delivery


def lines(delivery: Delivery) -> Iterator[str]:
    """The lines of one image."""
    for arrival in delivery.arrivals:
        if not arrival.tags:
            yield f"{arrival.repository}: no tag is this image's"
            continue
        yield f"{arrival.repository}@{arrival.digest}"
        for tag in arrival.tags:
            yield f"  {arrival.repository}:{tag}{'' if tag in arrival.given else '  (was there)'}"
        yield f"  {_bytes(arrival)}"
    if delivery.pull is not None:
        yield f"{delivery.release.image}: pull size {size(delivery.pull)}"


def promotion(promoted: Promoted) -> Iterator[str]:
    """The lines of one promotion."""
    yield promoted.source
    for tag in promoted.tags:
        before = "was there" if tag.before == promoted.digest else f"named {tag.before}" if tag.before else "is new"
        yield f"  {tag.reference}  ({before})"
    counts = ((promoted.sent, "sent"), (promoted.mounted, "taken over"), (promoted.present, "already there"))
    told = ", ".join(f"{size(count)} {how}" for count, how in counts if count)
    yield f"  {told or 'nothing sent'}"


def _bytes(arrival: Arrival) -> str:
    upload = arrival.upload
    if upload is None:
        return "nothing sent: the image was there"
    if upload.sent is None or upload.present is None:  # of several platforms the engine does not say it
        told = f"{_layers(upload.layers_sent)} sent, {upload.layers_present} already there"
        return told if upload.layers_sent + upload.layers_present else "sent; the engine does not say how much"
    sent = f"{size(upload.sent)} sent ({_layers(upload.layers_sent)})"
    present = f"{size(upload.present)} already there ({_layers(upload.layers_present)})"
    return ", ".join(part for part, count in ((sent, upload.layers_sent), (present, upload.layers_present)) if count)


def _layers(count: int) -> str:
    return f"{count} layer{'' if count == 1 else 's'}"
