"""Merges the sources of the config and parses them into settings; an error names key, value and source in one line."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any, get_args

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from tinyship import reference
from tinyship.errors import ConfigError
from tinyship.settings import environment, options
from tinyship.settings.schema import Settings
from tinyship.settings.stages import Base

SECTION = "tinyship"
_AT = re.compile(r"(?P<problem>.*?)(?: - at `(?P<path>[^`]*)`)?", re.S)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.S)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.S)
_ABOUT = re.compile(r"`(\w+)`: (.*)", re.S)
_EXPECTED = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "yes or no",
    "array": "a list",
    "object": "a section",
    "object | null": "a section",
    "str | array": "text or a list",
}
_PRIVATE = ("args", "labels", "env", "secrets", "cache_from", "cache_to", "proxy")


class Layer(Struct, frozen=True):
    """One source of config: its name, as people know it, and what stands in its section ``tinyship``.

    ``is_explicit`` marks what was set at run time, which wins over variables.
    """

    source: str
    values: object
    is_explicit: bool = False


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
    whole = _Merged()
    for layer in layers:
        whole.lay(layer.values, layer.source)
    whole.lay(variables, _variable)
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


class _Merged(Struct):
    """Sources laid over each other, and where each leaf is from."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    last: str = "the config"

    def lay(self, values: object, source: Any) -> None:
        """Lay a section over what is there; ``source`` is a name, or gives one for a key."""
        if values is None:
            return
        if not isinstance(values, Mapping):
            raise ConfigError(f"{_name(source, '')}: `{SECTION}` is {_shown(values)}, but a section is expected")
        if not callable(source):
            self.last = source
        self._lay(self.values, values, "", source)

    def _lay(self, into: dict[str, Any], values: Mapping[Any, Any], prefix: str, source: Any) -> None:
        for key, value in dict(values).items():
            if not isinstance(key, str):
                raise ConfigError(f"{_name(source, prefix)}: `{SECTION}.{prefix}{key}` is no key: quote it")
            dotted = f"{prefix}{key}"
            if not isinstance(value, Mapping) or not isinstance(into.get(key), dict):
                self._forget(dotted)
                into.pop(key, None)
            if isinstance(value, Mapping):
                self._lay(into.setdefault(key, {}), value, f"{dotted}.", source)
            elif value is not None:
                into[key] = value
                self.origins[dotted] = _name(source, dotted)

    def _forget(self, dotted: str) -> None:
        for key in [key for key in self.origins if key == dotted or key.startswith(f"{dotted}.")]:
            del self.origins[key]

    def source_of(self, dotted: str) -> str:
        """Where a key is from: its own source, that of what is in it, or that of what it is in."""
        inside = [source for key, source in self.origins.items() if key.startswith(f"{dotted}.")]
        while dotted:
            if dotted in self.origins:
                return self.origins[dotted]
            dotted = dotted.rpartition(".")[0]
        return inside[0] if inside else self.last


def _name(source: Any, dotted: str) -> str:
    return str(source(dotted)) if callable(source) else str(source)


def _variable(dotted: str) -> str:
    return environment.variable(dotted)


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


def _entries(whole: _Merged, image: str) -> dict[str, Layer | None]:
    """The entries of ``images`` as layers, by their names; a single None where the section itself is the image.

    Raises:
        ConfigError: one is wrong, or there is none with the name ``image``.
    """
    images = whole.values.get("images")
    source = whole.source_of("images")
    if not images:
        if image:
            raise ConfigError(f"there are no `{SECTION}.images`, so none is named `{image}`")
        return {"": None}
    if not isinstance(images, list | tuple):
        raise ConfigError(f"{source}: `{SECTION}.images` is {_shown(images)}, but a list is expected")
    entries: dict[str, Layer | None] = {}
    for number, entry in enumerate(images):
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping) or not isinstance(name, str) or not name:
            raise ConfigError(f"{source}: `{SECTION}.images[{number}]` needs a `name`")
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


def _merged(layers: Sequence[Layer], variables: Mapping[str, Any], entry: Layer | None) -> _Merged:
    merged = _Merged()
    for layer in layers:
        if not layer.is_explicit:
            merged.lay(layer.values, layer.source)
    if entry:
        merged.lay(entry.values, entry.source)
    merged.lay(variables, _variable)
    for layer in layers:
        if layer.is_explicit:
            merged.lay(layer.values, layer.source)
    merged.values.pop("images", None)
    merged.origins.pop("images", None)
    return merged


def _loaded(merged: _Merged, name: str, repositories: Mapping[str, str]) -> Loaded:
    try:
        settings = msgspec.convert(merged.values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_explained(str(error), merged)) from None
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


def _owners(merged: Mapping[str, _Merged]) -> dict[str, str]:
    """Of base images that several images have: the repository of the first of these.

    Raises:
        ConfigError: it is not the same base image everywhere.
    """
    first: dict[str, tuple[str, Base]] = {}
    owners: dict[str, str] = {}
    for name, one in merged.items():
        for base in _bases(one.values.get("base")):
            before, known = first.setdefault(_canonical(base.name), (name, base))
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


def _check_needs(merged: _Merged, name: str, needs: Sequence[str], names: Sequence[str]) -> None:
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


def _explained(message: str, merged: _Merged) -> str:
    """msgspec's message with the names and words of the config."""
    match = _AT.fullmatch(message)
    assert match
    problem, path = match["problem"], (match["path"] or "$").removeprefix("$").lstrip(".")
    dotted = re.sub(r"\[.*?\]", "", path)
    if unknown := _UNKNOWN.fullmatch(problem):
        key = f"{dotted}.{unknown[1]}".lstrip(".")
        shown = f"{path}.{unknown[1]}".lstrip(".")
        return f"{merged.source_of(key)}: `{SECTION}.{shown}` is no setting; {_nearest(dotted, unknown[1])}"
    if missing := _MISSING.fullmatch(problem):
        shown = f"{path}.{missing[1]}".lstrip(".")
        return f"{merged.source_of(dotted)}: `{SECTION}.{shown}` is missing"
    value = _at(merged.values, path)
    where = f"{merged.source_of(dotted)}: `{SECTION}.{path}`" if path else f"{merged.source_of('')}: `{SECTION}`"
    if dotted == "version" and not isinstance(value, Mapping):
        literal = value if isinstance(value, str | int | float | date) else "1.2.3"
        return f'{where} is {_shown(value)}, but a section is expected: `{{literal: "{literal}"}}`, and quote it'
    if expected := _EXPECTED.fullmatch(problem):
        wanted = _WORDS.get(expected[1], expected[1])
        what = _shown(value) if not _is_private(dotted) else _WORDS.get(expected[2], expected[2])
        quote = ": quote it" if "str" in expected[1] and isinstance(value, bool | int | float | date) else ""
        return f"{where} is {what}, but {wanted} is expected{quote}"
    if problem.startswith("Invalid enum value"):
        return f"{where} is {_shown(value)}, but one of {', '.join(_choices(dotted))} is expected"
    if keyed := _ABOUT.fullmatch(problem):
        key, shown = (f"{prefix}.{keyed[1]}".lstrip(".") for prefix in (dotted, path))
        return f"{merged.source_of(key)}: `{SECTION}.{shown}`: {keyed[2]}"
    return f"{where}: {problem}"


def _is_private(dotted: str) -> bool:
    return dotted.rpartition(".")[2] in _PRIVATE


def _shown(value: object) -> str:
    if isinstance(value, Mapping | list | tuple):  # a secret may stand in it
        return "a section" if isinstance(value, Mapping) else "a list"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def _at(values: Any, path: str) -> Any:
    for part in re.findall(r"[^.\[\]]+", path):
        try:
            values = values[int(part)] if isinstance(values, list | tuple) else values[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return values


def _nearest(dotted: str, key: str) -> str:
    """The valid key that was meant: one of the same section, or one of that name in another."""
    here = [field.name for field in msgspec.structs.fields(_section(dotted))]
    if not dotted:
        here.append("images")
    elsewhere = {name.rpartition(".")[2]: name for name in _keys(Settings, "")}
    # A close key of the same section before an equal one of another, and that before a distant one.
    cutoff = 0.8 if key in elsewhere else 0.6
    if near := difflib.get_close_matches(key, here, n=1, cutoff=cutoff):
        return f"the nearest is `{near[0]}`"
    if near := difflib.get_close_matches(key, elsewhere, n=1, cutoff=0.8):
        return f"the nearest is `{SECTION}.{elsewhere[near[0]]}`"
    near = difflib.get_close_matches(key, here, n=1, cutoff=0)
    return f"the nearest is `{near[0]}`; there are {', '.join(here)}"


def _section(dotted: str) -> type[msgspec.Struct]:
    """The type of the section at a dotted key."""
    section: type[msgspec.Struct] = Settings
    for part in dotted.split(".") if dotted else ():
        kind = next(field.type for field in msgspec.structs.fields(section) if field.name == part)
        section = next(inner for inner in (kind, *get_args(kind)) if _is_section(inner))
    return section


def _is_section(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _keys(section: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    for entry in msgspec.structs.fields(section):
        yield f"{prefix}{entry.name}"
        for inner in (entry.type, *get_args(entry.type)):
            if _is_section(inner):
                yield from _keys(inner, f"{prefix}{entry.name}.")


def _choices(dotted: str) -> tuple[str, ...]:
    parent, _, name = dotted.rpartition(".")
    kind = next(field.type for field in msgspec.structs.fields(_section(parent)) if field.name == name)
    return tuple(str(choice) for choice in get_args(kind) if choice)
