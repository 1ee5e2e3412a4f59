"""Settings of the sources of the config: merged for each image, parsed, and checked against each other."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from tinyship import reference
from tinyship.errors import ConfigError
from tinyship.settings import environment, options, wrong
from tinyship.settings.merge import Layer, Merged
from tinyship.settings.schema import Settings
from tinyship.settings.stages import Base
from tinyship.settings.wrong import SECTION

__all__ = ["Layer", "Loaded", "load", "overlaid"]


class Loaded(Struct, frozen=True):
    """The settings of one image, and the source of each dotted key that is not at its default.

    ``name`` is that of its entry in ``images``, empty where the section itself is the image. ``repositories`` and
    ``bases`` are the names of what all images of the project make, whichever of them were asked for: those of the
    images themselves, and those of their base images that are made, not pulled. ``owners`` are the repositories of the
    images that base images are made for which several have, by the names of these: of each the first one's.
    """

    settings: Settings
    origins: Mapping[str, str]
    repositories: frozenset[str] = frozenset()
    bases: frozenset[str] = frozenset()
    name: str = ""
    owners: Mapping[str, str] = field(default_factory=dict)


def load(layers: Sequence[Layer], *, image: str = "", environ: Mapping[str, str] = os.environ) -> tuple[Loaded, ...]:
    """The settings of each image of a project.

    Maps are merged key by key, lists are replaced. Each entry of ``images`` is laid over the section around it;
    variables over both.

    Args:
        layers: the sources, later ones win.
        image: the name of one entry of ``images``; all of them where empty.
        environ: where ``TINYSHIP_...`` variables are looked for.

    Raises:
        ConfigError: something is missing or wrong.
    """
    if not any(layer.values is not None for layer in layers) and not environ.get("TINYSHIP_IMAGE"):
        raise ConfigError(
            "there is no section `tinyship` in the config",
            hint="Write an invoke.yaml with at least `tinyship: {image: NAME}`, or let `tinyship init` write it.",
        )
    variables = _nested(environment.read(environ))
    whole = Merged()
    for layer in layers:
        whole.lay(layer.values, layer.source)
    whole.lay(variables, environment.variable)
    entries = _entries(whole, image)
    merged = {name: _merged(layers, variables, entry) for name, entry in entries.items()}
    repositories = {name: str(one.values.get("image", "")) for name, one in merged.items() if name}
    _check_told_apart(repositories, whole.source_of("images"))
    images = frozenset(str(one.values.get("image", "")) for one in merged.values())
    bases = frozenset(name for one in merged.values() for name in _made(one.values.get("base")))
    owners = _owners(merged)
    return tuple(
        replace(_loaded(one, name, repositories), repositories=images, bases=bases, name=name, owners=owners)
        for name, one in merged.items()
        if image in {"", name}
    )


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for dotted, value in flat.items():
        *parents, leaf = dotted.split(".")
        inside = nested
        for parent in parents:
            inside = inside.setdefault(parent, {})
        inside[leaf] = value
    return nested


def overlaid(loaded: Loaded, values: Mapping[str, Any], source: str) -> Loaded:
    """Settings with some keys of the section itself set anew, as flags do; ``source`` is where these are from.

    The value of a key that is a section is a whole one; only what differs in it is from the source.
    """
    settings = replace(loaded.settings, **values)
    keys: list[str] = []
    for key, value in values.items():
        before = getattr(loaded.settings, key)
        if isinstance(value, msgspec.Struct):
            names = value.__struct_fields__
            keys += [f"{key}.{name}" for name in names if getattr(value, name) != getattr(before, name, None)]
        else:
            keys.append(key)
    return replace(loaded, settings=settings, origins={**loaded.origins, **dict.fromkeys(keys, source)})


def _entries(whole: Merged, image: str) -> dict[str, Layer | None]:
    """The entries of ``images`` as layers, by their names; a single None where the section itself is the image.

    Raises:
        ConfigError: one is wrong, or there is none with the name ``image``.
    """
    images = whole.values.get("images")
    source = whole.source_of("images")
    if images is None or images == []:
        if image:
            raise ConfigError(f"there are no `{SECTION}.images`, so none is named `{image}`")
        return {"": None}
    if not isinstance(images, list | tuple):
        raise ConfigError(f"{source}: `{SECTION}.images` is {wrong.shown(images)}, but a list is expected")
    entries: dict[str, Layer | None] = {}
    for number, entry in enumerate(images):
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping) or not isinstance(name, str) or not name:
            raise ConfigError(f"{source}: `{SECTION}.images[{number}]` needs a `name`")
        if "images" in entry:
            raise ConfigError(f"{source}: `{SECTION}.images[{number}].images`: an entry has none of its own")
        if name in entries:
            raise ConfigError(f"{source}: two entries of `{SECTION}.images` are named `{name}`")
        values = {key: value for key, value in dict(entry).items() if key != "name"}
        entries[name] = Layer(f"{source}, images[{name}]", values)
    if image and image not in entries:
        near = difflib.get_close_matches(image, entries, n=1, cutoff=0)
        raise ConfigError(f"{source}: no entry of `{SECTION}.images` is named `{image}`; the nearest is `{near[0]}`")
    return entries


def _check_told_apart(repositories: Mapping[str, str], source: str) -> None:
    """Raise ConfigError where two entries have one repository: tags in the engine and the record know no other name."""
    first: dict[str, str] = {}
    for name, image in repositories.items():
        if image and first.setdefault(image, name) != name:
            raise ConfigError(
                f"{source}: `{first[image]}` and `{name}` of `{SECTION}.images` are both `{image}`: "
                "the one would be pushed as the other; give each a repository of its own"
            )


def _merged(layers: Sequence[Layer], variables: Mapping[str, Any], entry: Layer | None) -> Merged:
    merged = Merged()
    for layer in layers:
        if not layer.is_explicit:
            merged.lay(layer.values, layer.source)
    if entry:
        merged.lay(entry.values, entry.source)
    merged.lay(variables, environment.variable)
    for layer in layers:
        if layer.is_explicit:
            merged.lay(layer.values, layer.source)
    merged.values.pop("images", None)
    merged.origins.pop("images", None)
    return merged


def _loaded(merged: Merged, name: str, repositories: Mapping[str, str]) -> Loaded:
    try:
        settings = msgspec.convert(merged.values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(wrong.explained(str(error), merged)) from None
    _check_needs(merged, name, settings.needs, list(repositories))
    try:
        contexts = tuple(_context(entry, name, repositories) for entry in settings.contexts)
    except ValueError as error:
        raise ConfigError(f"{merged.source_of('contexts')}: `{SECTION}.contexts`: {error}") from None
    return Loaded(replace(settings, contexts=contexts), merged.origins)


def _made(bases: object) -> Iterator[str]:
    """The names of base images that are made, of entries as they stand in the config: others than ours may be wrong."""
    for base in bases if isinstance(bases, list | tuple) else ():
        if isinstance(base, Mapping) and not base.get("pull"):
            yield str(base.get("name", ""))


def _owners(merged: Mapping[str, Merged]) -> dict[str, str]:
    """Of base images that several images have: the repository of the first of these.

    Raises:
        ConfigError: it is not the same base image everywhere.
    """
    first: dict[str, tuple[str, Base]] = {}
    owners: dict[str, str] = {}
    for name, one in merged.items():
        for base in _bases(one.values.get("base")):
            before, known = first.setdefault(_canonical(base.name), (name, base))
            if (before, known.name) == (name, base.name):
                continue  # two of one name in one image are told of with the other settings
            if known.name != base.name:
                raise ConfigError(
                    f"{one.source_of('base')}: the base image {base.name} of `{name}` is {known.name} of `{before}` in "
                    f"`{SECTION}.images`: one image has one name; write it in one way"
                )
            if known != base:
                names = [entry.name for entry in msgspec.structs.fields(Base)]
                key = next(key for key in names if getattr(known, key) != getattr(base, key))
                raise ConfigError(
                    f"{one.source_of('base')}: the base image {base.name} has another `{key}` in `{name}` than in "
                    f"`{before}` of `{SECTION}.images`: it can be made in one way only; give the two two names"
                )
            if before != name:
                owners[base.name] = str(merged[before].values.get("image", ""))
    return owners


def _canonical(name: str) -> str:
    """The same for all ways to write an image's name; what cannot be one is told of elsewhere."""
    try:
        return str(reference.parse(name))
    except ConfigError:
        return name


def _bases(entries: object) -> Iterator[Base]:
    """Entries of ``base`` that can be read; the others are told of where their image is asked for."""
    for entry in entries if isinstance(entries, list | tuple) else ():
        with suppress(msgspec.ValidationError):
            yield msgspec.convert(entry, Base, strict=False)


def _check_needs(merged: Merged, name: str, needs: Sequence[str], names: Sequence[str]) -> None:
    """Raise ConfigError where an image needs what is no other entry of ``images``."""
    for wanted in needs:
        where = f"{merged.source_of('needs')}: `{SECTION}.needs`"
        if not name:
            raise ConfigError(f"{where}: there are no `{SECTION}.images`")
        if wanted == name:
            raise ConfigError(f"{where}: `{wanted}` is this image itself")
        if wanted not in names:
            near = difflib.get_close_matches(wanted, names, n=1, cutoff=0)
            raise ConfigError(
                f"{where}: no entry of `{SECTION}.images` is named `{wanted}`; the nearest is `{near[0]}`"
            )


def _context(entry: str, name: str, repositories: Mapping[str, str]) -> str:
    """A named context, with the image of another entry of ``images`` as the image that it is.

    Args:
        name: of the entry that it stands in; empty where there are no entries.
        repositories: of all entries by their names.

    Raises:
        ValueError: there is no such entry.
    """
    key, value = options.context(entry)
    if not value.startswith(options.TARGET):
        return entry
    wanted = value.removeprefix(options.TARGET)
    names = list(repositories)
    if not names:
        raise ValueError(f"`{entry}`: there are no `{SECTION}.images`")
    if wanted not in names:
        near = difflib.get_close_matches(wanted, names, n=1, cutoff=0)
        raise ValueError(f"`{entry}`: no entry of `{SECTION}.images` is named `{wanted}`; the nearest is `{near[0]}`")
    if wanted == name:
        raise ValueError(f"`{entry}`: `{value}` is this image itself")
    return f"{key}={options.IMAGE}{repositories[wanted]}:local"
