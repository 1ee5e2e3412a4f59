"""Explains an image: where its bytes are, whose they are, and what in its Dockerfile would make it smaller."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tinyship import labels
from tinyship.engine import images
from tinyship.errors import ContextError
from tinyship.events import Notice
from tinyship.sizes import advice, hadolint, lines, packages, programs, syft
from tinyship.sizes.advice import Advice
from tinyship.sizes.packages import Packages
from tinyship.stages import opening, weighing
from tinyship.stages.opening import Opened
from tinyship.stages.scope import Scope


@dataclass(frozen=True, slots=True)
class Explanation:
    """An image, and where its bytes are.

    Args:
        opened: the image.
        packages: that its files belong to.
        advice: what would make it smaller, the largest saving first.
        notices: what is not known, in words.
    """

    opened: Opened
    packages: Packages
    advice: tuple[Advice, ...]
    notices: tuple[str, ...] = ()


def explain(
    scope: Scope, named: str, *, platform: str = "", estimated: bool = False, dockerfile: str = "", asks: bool = True
) -> Explanation:
    """Where the bytes of an image are; see ``opening.read`` for how it is named.

    Args:
        platform: ``os/architecture[/variant]``, where there are several.
        estimated: find out what its layers would take in a registry.
        dockerfile: that it was made of; where it is left out, that of the project's own images is known.
        asks: whether `syft` and `hadolint` are asked, where they are installed.

    Raises:
        ContextError: the Dockerfile that is named cannot be read.
    """
    opened = opening.read(scope, named, platform=platform, estimated=estimated)
    found = packages.find(opened.account)
    if asks and opened.account.held and programs.installed("syft"):
        found = _with_syft(scope, opened, found)
    advised = advice.advise(opened.account, found, base=opened.base)
    file = _dockerfile(scope, opened, dockerfile)
    if file is None:
        return Explanation(opened, found, advised)
    try:
        text = file.read_text("utf-8", "replace")
    except OSError as error:
        raise ContextError(f"the Dockerfile {file} cannot be read: {error.strerror}") from error
    places = lines.layers(text, opened.account.image, base=opened.base)
    findings, notices = hadolint.lint(file) if asks else ((), ())
    joined = hadolint.join(lines.placed(advised, places), findings, places, opened.account.image)
    return Explanation(opened, found, joined, notices)


def _with_syft(scope: Scope, opened: Opened, found: Packages) -> Packages:
    """The packages, with those that only `syft` knows; it reads the image from a file."""
    if opened.where == "registry":
        return found
    try:
        with _file(scope, opened) as path:
            scope.events(Notice("asking syft for packages without a database of their own"))
            return syft.add(opened.account, found, path)
    except OSError as error:
        why = f"the image cannot be copied for syft ({error.strerror}): packages without a database are not known"
        return packages.join(opened.account, found, (), [why])


@contextmanager
def _file(scope: Scope, opened: Opened) -> Iterator[Path]:
    """The image as a file: the one that it was read from, or one that is gone afterwards."""
    if opened.path:
        yield opened.path
        return
    with tempfile.TemporaryDirectory(prefix="tinyship-") as folder:
        path = Path(folder) / "image.tar"
        with path.open("wb") as out:
            pieces = images.saved(scope.engine, opened.reference)
            out.writelines(weighing.told(scope, pieces, opened.account.image.name, label="copy"))
        yield path


def _dockerfile(scope: Scope, opened: Opened, named: str) -> Path | None:
    """The Dockerfile of an image; None where that is not known."""
    if named:
        return scope.root / named
    its = opened.account.image.labels
    if its.get(labels.PROJECT) != scope.settings.image:
        return None
    settings = scope.settings
    names = {
        "release": settings.release.dockerfile,
        "build": settings.build.dockerfile if settings.build else "",
        "base": next((base.dockerfile for base in settings.base if base.name == opened.account.image.name), ""),
    }
    name = names.get(its.get(labels.STAGE, ""), "")
    path = scope.root / name
    return path if name and path.is_file() else None
