"""Advice on images that real engines built: which line it is about, and what following it saves."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import pytest

from tinyship.context.source import Context
from tinyship.engine import builder, images
from tinyship.engine.buildkit.solve import BuildKitBuilder
from tinyship.engine.classic import ClassicBuilder
from tinyship.engine.connect import Engine
from tinyship.engine.request import BuildRequest
from tinyship.events import ignore
from tinyship.sizes import account, archive, lines
from tinyship.sizes.account import Account
from tinyship.sizes.advice import Advice, advise
from tinyship.sizes.packages import find

pytestmark = pytest.mark.engine

Kind: TypeAlias = type[BuildKitBuilder | ClassicBuilder]

WASTEFUL = """\
FROM {base}
ARG SIZE=700
RUN mkdir -p /var/lib/apt/lists && \\
    # as apt-get update does
    dd if=/dev/zero of=/var/lib/apt/lists/x bs=1000 count=$SIZE
RUN rm -r /var/lib/apt/lists
COPY data /app/data
RUN chmod 700 /app/data
RUN ["dd", "if=/dev/zero", "of=/tmp/left", "bs=1000", "count=20"]
"""
BETTER = """\
FROM {base}
ARG SIZE=700
RUN mkdir -p /var/lib/apt/lists && \\
    dd if=/dev/zero of=/var/lib/apt/lists/x bs=1000 count=$SIZE && \\
    rm -r /var/lib/apt/lists
COPY data /app/data
RUN ["dd", "if=/dev/zero", "of=/dev/null", "bs=1000", "count=20"]
"""


def built(engine: Engine, root: Path, tag: str, text: str, kind: Kind | None) -> Account:
    """The account of an image of this Dockerfile."""
    (root / "Dockerfile").write_text(text)
    request = BuildRequest(context=Context.open(root, root / "Dockerfile"), tags=(tag,), args={"SIZE": "600"})
    (kind(engine) if kind else builder.choose(engine, "auto")).build(request, ignore)
    found = images.find(engine, tag)
    assert found
    platform = f"{found.os}/{found.architecture}" if engine.containerd_store else ""
    return account.take(archive.read(images.saved(engine, found.id), tag, platform=platform))


def advised(taken: Account, text: str) -> list[Advice]:
    """The advice on what stands above the base image, in the order of its lines."""
    places = lines.layers(text, taken.image, base=1)
    every = lines.placed(advise(taken, find(taken), base=1), places)
    return sorted((one for one in every if one.layer > 0), key=lambda one: one.line or 0)


def follow(engine: Engine, root: Path, namespace: str, base: str, kind: Kind | None) -> None:
    (root / "data").write_bytes(b"d" * 12_345)
    before = built(engine, root, f"{namespace}/wasteful:1", WASTEFUL.format(base=base), kind)
    found = advised(before, WASTEFUL)
    assert [(one.rule, one.line, one.saving) for one in found] == [
        ("apt-lists", 3, 600_000),
        ("metadata", 7, 12_345),
        ("temporary", 9, 20_000),
    ]
    after = built(engine, root, f"{namespace}/better:1", BETTER.format(base=base), kind)
    assert advised(after, BETTER) == []
    assert before.unpacked - after.unpacked == sum(one.saving for one in found)


@pytest.mark.needs("buildkit", "classic")
@pytest.mark.parametrize("kind", [BuildKitBuilder, ClassicBuilder], ids=["buildkit", "classic"])
def test_following_advice(engine: Engine, tmp_path: Path, namespace: str, busybox: str, kind: Kind) -> None:
    """An image of a Dockerfile that is mended as advised is smaller by exactly what was said."""
    follow(engine, tmp_path, namespace, busybox, kind)


@pytest.mark.needs("podman")
def test_following_advice_with_podman(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """The same with the builder of Podman."""
    follow(engine, tmp_path, namespace, busybox, None)
