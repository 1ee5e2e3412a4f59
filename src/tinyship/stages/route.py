"""What a promotion is told: which image of the project, from where, and to which tags of which repositories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tinyship import reference
from tinyship.errors import ConfigError, NothingPushed, NothingReleased
from tinyship.kept import record
from tinyship.reference import DIGEST, TAG
from tinyship.stages import goals
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.settings.load import Loaded

RELEASE = "release"
"""How the digest is named that the record has of the release."""


def concerned(images: Sequence[Loaded], source: str, target: str) -> tuple[Loaded, ...]:
    """Of a project's images those that a promotion is for: all where tags are named alone.

    A full reference is for the image that is pushed to that very repository. Of several such images the source's
    counts; where nothing but full references is named it makes no difference which of them it is.

    Raises:
        ConfigError: it is for one of several, and nothing says for which.
    """
    names = (source, *(part.strip() for part in target.split(",")))
    whole = [name for name in names if name != RELEASE and not TAG.fullmatch(name)]
    if len(images) == 1 or not whole:
        return tuple(images)
    theirs = {_repository(name): one for one in reversed(images) for name in goals.repositories(one.settings)}
    asked = {name: theirs.get(_repository(name)) for name in whole if not DIGEST.fullmatch(name)}
    if found := asked.get(source):
        return (found,)
    meant = {one.settings.image: one for one in asked.values() if one}
    if len(meant) == 1 or len(asked) == len(names):
        return (next(iter(meant.values()), images[0]),)
    some = [
        f"`{goals.repositories(one.settings)[0]}:{tag}`" for one, tag in zip(images, ("1.0", "stable"), strict=False)
    ]
    raise ConfigError(
        f"`{source}` and `{target}` do not say which of the project's {len(images)} images is meant",
        hint=f"Name a repository that an image of the project is pushed to: {' or '.join(some)}.",
    )


def _repository(name: str) -> tuple[str, str]:
    found = reference.parse(name)
    return found.host.lower(), found.repository


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
