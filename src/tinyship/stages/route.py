"""What a promotion is told: which image of the project, from where, and to which tags of which repositories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tinyship import record, reference
from tinyship.errors import ConfigError, NothingPushed, NothingReleased
from tinyship.reference import DIGEST, TAG
from tinyship.stages import goals
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.settings.load import Loaded

RELEASE = "release"
"""How the digest is named that the record has of the release."""


def concerned(images: Sequence[Loaded], source: str, target: str) -> tuple[Loaded, ...]:
    """Of a project's images those that a promotion is for: all where tags are named alone.

    Raises:
        ConfigError: it is for one of several, and nothing says for which.
    """
    names = (source, *(part.strip() for part in target.split(",")))
    whole = [name for name in names if name != RELEASE and not TAG.fullmatch(name)]
    if len(images) == 1 or not whole:
        return tuple(images)
    for name in whole:
        repository = f"/{'' if DIGEST.fullmatch(name) else reference.parse(name).repository}"
        if found := [one for one in images if repository.endswith(f"/{one.settings.image}")]:
            return tuple(found[:1])
    if len(whole) == len(names) and not DIGEST.fullmatch(source):
        return tuple(images[:1])
    raise ConfigError(
        f"`{source}` and `{target}` do not say which of the project's {len(images)} images is meant",
        hint="Name the source by its full reference: `registry.example.com/lacion/foo:1.0`.",
    )


def source(scope: Scope, named: str) -> tuple[str, str]:
    """The repository where an image is, and its tag or its digest there.

    Raises:
        ConfigError: nothing can be called so.
        Refused: it is the release's, and nothing is released or pushed.
    """
    if named == RELEASE:
        return _released(scope)
    if TAG.fullmatch(named) or DIGEST.fullmatch(named):
        return goals.repositories(scope.settings)[0], named
    found = reference.parse(named)
    return f"{found.host}/{found.repository}", found.manifest


def _released(scope: Scope) -> tuple[str, str]:
    image = scope.settings.image
    release = record.read(scope.root).find(image)
    if not release:
        raise NothingReleased("nothing is released yet", hint="`invoke release push` comes first.")
    if not release.pushed:
        raise NothingPushed(f"version {release.version} is in no registry yet", hint="`invoke push` comes first.")
    pushed = release.pushed[0]
    return pushed.reference.rpartition(":")[0], pushed.digest


def targets(scope: Scope, named: str) -> Iterator[tuple[str, str]]:
    """The repository and the tag of each goal, once.

    Raises:
        ConfigError: one of them is no tag.
    """
    seen: set[tuple[str, str]] = set()
    for part in (part.strip() for part in named.split(",")):
        if TAG.fullmatch(part):
            goal = goals.repositories(scope.settings)[0], part
        else:
            found = reference.parse(part)
            if found.digest:
                raise ConfigError(f"`{part}` is a digest, and an image is promoted to a tag")
            if not part.endswith(f":{found.tag}"):
                raise ConfigError(f"`{part}` has no tag", hint=f"Which one is meant? `{part}:latest` is one.")
            goal = f"{found.host}/{found.repository}", found.tag
        if goal not in seen:
            seen.add(goal)
            yield goal
