"""What is known of each image in a repository of a registry."""

from __future__ import annotations

from datetime import UTC, datetime

from tinyship.cleaning.stock import Known, Rules, Stock, order
from tinyship.registry.contents import Content, Contents

SIGNED = "sha256:" + "a" * 64
SIGNATURE = "sha256:" + "b" * 64
MADE = datetime(2026, 1, 1, tzinfo=UTC)


def test_order() -> None:
    """Oldest first: what is no version, then by version, commits after their tag."""
    ordered = ["", "0.9.0", "1.0.0-rc.1", "1.0.0", "1.0.0-dirty", "1.0.0-2-gabcdef0", "1.0.0-10-gabcdef0", "1.0.1"]
    assert sorted([*ordered[3:], *ordered[:3]], key=lambda text: order(text, "auto")) == ordered


def test_image_and_its_signature() -> None:
    """An image is the project's by its label, and dated by the later of two dates; its signature is none of its own."""
    labels = {"tinyship.project": "lacion/foo", "org.opencontainers.image.version": "1.0.0"}
    contents = Contents(
        {"latest": SIGNED, "1.0.0": SIGNED, f"sha256-{'a' * 64}.sig": SIGNATURE},
        {SIGNED: Content(SIGNED, labels=labels, created=MADE), SIGNATURE: Content(SIGNATURE)},
    )
    released = MADE.replace(month=2)
    stock = Stock(contents, Rules("lacion/foo"), Known(released={SIGNED: released}))
    assert stock.owned == {SIGNED}
    assert stock.named[SIGNED] == ("1.0.0", "latest")
    assert stock.version(SIGNED) == "1.0.0"
    assert stock.made(SIGNED) == released
    assert stock.referrer_of(SIGNATURE) == SIGNED
    assert not stock.referrer_of(SIGNED)
