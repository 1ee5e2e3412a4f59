"""The releases that a registry has: what their manifests say of each, for where no history and no notes are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tinyship import reference, versions
from tinyship.errors import TinyshipError
from tinyship.events import Notice
from tinyship.kept.history import Entry, is_sound
from tinyship.kept.record import Sizes
from tinyship.registry import images
from tinyship.registry.client import Repository
from tinyship.sizes.image import diff_ids
from tinyship.stages import goals, weighing
from tinyship.stages.scope import Scope
from tinyship.versions import Scheme

_MOST = 50
"""Tags whose manifests are asked for, the highest versions."""
_LIKE = re.compile(r"v?\d+(?:\.\d+)+.*")
"""A version, or one with a word behind it that is none of the version's, like ``1.4-lts``."""
_REVISION = "org.opencontainers.image.revision"
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def releases(scope: Scope) -> tuple[Entry, ...]:
    """An entry for each version that is a tag in the first registry of ``push.to``, from the manifests alone.

    ``pull`` is known of each; ``unpacked`` where all its layers were looked at here before. A registry that cannot be
    asked is worth a warning.
    """
    name = goals.repositories(scope.settings)[0]
    known = weighing.known(scope)
    try:
        with scope.repository(name) as repository:
            tags = versioned(repository, scope.settings.version.scheme)[:_MOST]
            found = [_entry(scope, repository, tag, known) for tag in tags]
    except TinyshipError as error:
        scope.events(Notice(f"the releases in the registry are not known: {error.message}", "warning"))
        return ()
    # A tag that moves, like 1.4, names what a longer one, like 1.4.2, names too.
    longest = sorted((entry for entry in found if entry), key=lambda entry: len(entry.version))
    return tuple({entry.digest: entry for entry in longest}.values())


def versioned(repository: Repository, scheme: Scheme) -> tuple[str, ...]:
    """The tags of a repository that are versions, the highest first.

    Raises:
        RegistryError: the repository is not there, or the registry does not list them.
    """
    named = (tag for tag in repository.tags() if reference.TAG.fullmatch(tag) and _LIKE.fullmatch(tag))
    return tuple(sorted(named, key=lambda tag: versions.order(tag, scheme), reverse=True))


def commit(scope: Scope, repository: Repository, digest: str) -> str:
    """The full commit that an image of ours was made of, by its label; empty where that cannot be read or trusted."""
    if any(label.partition("=")[0] == _REVISION for label in scope.settings.labels):
        return ""  # the label says what the settings have it say
    try:
        found = images.find(repository, digest).labels.get(_REVISION, "")
    except TinyshipError:
        return ""
    return found if _COMMIT.fullmatch(found) else ""


def _entry(scope: Scope, repository: Repository, tag: str, known: Mapping[str, int]) -> Entry | None:
    """What one tag names; None where that is no image, and no reason to leave out the others."""
    try:
        image = images.find(repository, tag)
        chain = diff_ids(image.config, tag)
    except TinyshipError:
        return None
    unpacked = sum(known[layer] for layer in chain) if all(layer in known for layer in chain) else None
    date = _date(image.config)
    entry = Entry(
        image=scope.settings.image,
        version=tag,
        commit=image.labels.get(_REVISION, ""),
        created=date,
        recorded=date,
        digest=image.index_digest or image.digest,
        sizes=(Sizes("release", f"{scope.settings.image}:{tag}", unpacked, image.pull, None, len(image.layers)),),
    )
    return entry if is_sound(entry) else None


def _date(config: Mapping[str, Any]) -> str:
    """When a config says that it was made, RFC 3339 with a time zone; empty where it says nothing that can be read."""
    try:
        found = datetime.fromisoformat(str(config.get("created") or ""))
    except ValueError:
        return ""
    return found.isoformat() if found.tzinfo else ""
