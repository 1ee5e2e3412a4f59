"""What a builder cannot do of what is asked for: one error that names each setting, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tinyship.engine.request import BuildRequest, CacheEntry
from tinyship.errors import ConfigError

_ALONE = ("secrets", "ssh", "contexts", "cache_to", "no_cache_filter", "attests", "outputs")


def refuse(builder: str, lacking: Iterable[str], *, hint: str) -> None:
    """Raise ConfigError where something is lacking.

    Args:
        builder: as the subject of the sentence.
        lacking: the settings, each as it is to be named.
        hint: the way out.
    """
    names = list(dict.fromkeys(lacking))
    if names:
        named = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
        raise ConfigError(f"{builder} has no {named}", hint=hint)


def lacking(request: BuildRequest, *, has: Iterable[str]) -> Iterator[str]:
    """The settings that are in use and that no builder but BuildKit is sure to have.

    Args:
        has: settings that this builder has, in whole or in part.
    """
    known = set(has)
    for name in _ALONE:
        if getattr(request, name) and name not in known:
            yield f"`{name}`"
    if len(request.platforms) > 1:
        yield "`platforms` (more than one)"


def of_cache(setting: str, entries: Iterable[CacheEntry], attributes: Iterable[str]) -> Iterator[str]:
    """The entries of a cache that are not a registry's, and the attributes that are unknown.

    Args:
        setting: ``cache_from`` or ``cache_to``.
        attributes: those that the builder knows.
    """
    for entry in entries:
        if entry.kind != "registry":
            yield f"`{setting}` of type {entry.kind}"
        else:
            yield from (f"`{setting}` with {name}" for name in entry.attributes if name not in set(attributes))
