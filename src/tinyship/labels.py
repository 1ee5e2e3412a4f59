"""Labels and build arguments: what settings and git say of an image, as its config holds it.

Source: the annotation keys of the OCI image specification; GIT_COMMIT and VERSION are those of the article.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import UTC
from typing import TYPE_CHECKING

from tinyship.git.revision import Revision

if TYPE_CHECKING:
    from tinyship.settings.schema import Settings

AUTOMATIC = frozenset({"GIT_COMMIT", "VERSION", "BUILD_DATE", "SOURCE_DATE_EPOCH"})
"""Build arguments that come by themselves where a Dockerfile declares them."""
PROJECT = "tinyship.project"
STAGE = "tinyship.stage"
BASES = "tinyship.bases"
"""The external images that a release was made with, each as ``host/repository:tag@digest``, with spaces between."""
_OCI = "org.opencontainers.image."
VERSION = f"{_OCI}version"
REVISION = f"{_OCI}revision"
CREATED = f"{_OCI}created"
BASE_NAME = f"{_OCI}base.name"
BASE_DIGEST = f"{_OCI}base.digest"


def own(settings: Settings, stage: str, *, owner: str = "") -> dict[str, str]:
    """By which tinyship knows what it made, and cleans nothing else.

    Args:
        owner: the repository of the image that it is made for, where that is another one of the project.
    """
    return {PROJECT: owner or settings.image, STAGE: stage}


def oci(settings: Settings, revision: Revision, *, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The labels of a release: OCI's, the article's, ``more``, and the project's own, which win."""
    facts = {
        f"{_OCI}title": settings.image.rpartition("/")[2],
        VERSION: revision.full_version,
        REVISION: revision.commit,
        CREATED: _created(revision),
        f"{_OCI}source": revision.source,
        f"{_OCI}url": revision.source,
        f"{_OCI}ref.name": revision.tag or revision.branch,
        "GIT_COMMIT": revision.commit,
        "VERSION": revision.full_version,
    }
    return {key: value for key, value in facts.items() if value} | dict(more or {}) | pairs(settings.labels)


def arguments(settings: Settings, revision: Revision, declared: Set[str]) -> dict[str, str]:
    """The build arguments of those that a Dockerfile declares: git's, and the project's, which win."""
    facts = {
        "GIT_COMMIT": revision.commit,
        "VERSION": revision.full_version,
        "BUILD_DATE": _created(revision),
        "SOURCE_DATE_EPOCH": str(int(revision.date.timestamp())) if revision.date else "",
    }
    given = {key: value for key, value in facts.items() if value} | pairs(settings.args)
    return {key: value for key, value in given.items() if key in declared}


def _created(revision: Revision) -> str:
    return revision.date.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if revision.date else ""


def pairs(entries: tuple[str, ...]) -> dict[str, str]:
    """The entries of ``args`` or ``labels``, each ``KEY=value``, by their keys."""
    return {key: value for key, _, value in (entry.partition("=") for entry in entries)}
