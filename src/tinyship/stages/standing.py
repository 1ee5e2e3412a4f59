"""What the images of a project stand on: from Dockerfiles and settings; and what they share: from the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from tinyship import reference
from tinyship.dockerfiles import dockerfile
from tinyship.engine import images
from tinyship.engine.images import Image
from tinyship.errors import ConfigError, EngineError, EngineUnreachable, TinyshipError
from tinyship.kept import record
from tinyship.lineage import Edge, How, Layer, Lineage, Node, Stage
from tinyship.stages import needs, pins, weighing
from tinyship.stages.scope import Scope

Find = Callable[[str], Image | None]
"""Looks for an image in the engine."""
_FIRMEST: tuple[How, ...] = ("FROM", "artifacts", "uses")


@dataclass(frozen=True, slots=True)
class _Part:
    """An image of the pipeline, and the images that it names: how, and by which name."""

    scope: Scope
    stage: Stage
    image: str
    on: tuple[tuple[How, str], ...] = ()


@dataclass(slots=True)
class _Names:
    """Which image of the graph a name means.

    Args:
        whole: by whole references: base images and build images.
        releases: by repositories; earlier ones than the last are images from elsewhere, as others' are.
        others: repositories of images of the project that are not looked at.
    """

    whole: dict[str, str] = field(default_factory=dict)
    releases: dict[str, _Part] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)

    def find(self, name: str) -> str:
        """The reference that the graph has for a name; the name itself where it is no image of the project."""
        if found := self.whole.get(_whole(name)):
            return found
        part = self.releases.get(_repository(name))
        return part.image if part and needs.is_made_by(part.scope, reference.parse(name)) else name


def find(scopes: Sequence[Scope], *, reads: bool = True) -> Lineage:
    """The graph of these images of a project.

    An engine that cannot be reached, or does not have an image, is no error: the graph says so.

    Args:
        reads: weigh layers that nobody weighed before, by reading them.

    Raises:
        ContextError: a Dockerfile cannot be read.
        ConfigError: a setting cannot be what it says.
    """
    notes: list[str] = []
    look = _looking(scopes, notes)
    parts = [part for scope in scopes for part in _parts(scope, look)]
    names = _names(parts)
    edges = _edges(parts, names)
    nodes = [*_made(parts), *_others(edges, parts, names)]
    inspected = {node.image: look(node.image) for node in nodes}
    sizes = _weigh(scopes[0], inspected, notes, reads=reads) if scopes else {}
    for scope in scopes:
        notes += [
            f"{file}:{line}: `{name}` is not known before it is built" for file, line, name in pins.unknown(scope)
        ]
    return Lineage(
        tuple(_with_layers(node, inspected[node.image], sizes) for node in nodes),
        edges,
        tuple(dict.fromkeys(notes)),
    )


def _looking(scopes: Sequence[Scope], notes: list[str]) -> Find:
    """Looks for images in the engine, once each; where it cannot be asked, that is noted, and none is there."""
    unreachable: list[EngineError] = []

    @cache
    def look(name: str) -> Image | None:
        if unreachable:
            return None
        try:
            return images.find(scopes[0].engine, name)
        except EngineUnreachable as error:
            unreachable.append(error)
            notes.append(f"no image is looked at: {error.message}")
        except EngineError as error:
            notes.append(f"{name}: {error.message}")
        return None

    return look


def _parts(scope: Scope, look: Find) -> Iterator[_Part]:
    settings = scope.settings
    for base in settings.base:
        below = _named(scope, base.dockerfile, base.target) if base.dockerfile else ()
        yield _Part(scope, "external" if base.pull else "base", base.name, tuple(below))
    build, release = settings.build, settings.release
    ours = f"{settings.image}:{build.tag}" if build else ""
    skipped = ""
    if build:
        yield _Part(scope, "build", ours, tuple(_named(scope, build.dockerfile, build.target)))
        skipped = build.target if build.dockerfile == release.dockerfile else ""
    on = tuple(_named(scope, release.dockerfile, release.target, skipped=skipped))
    if build and (build.artifacts or skipped):
        on = (*on, ("artifacts" if build.artifacts else "uses", ours))
    yield _Part(scope, "release", _released(scope, look), on)


def _named(scope: Scope, file: str, target: str, *, skipped: str = "") -> Iterator[tuple[How, str]]:
    """The images that a Dockerfile names up to its target.

    Args:
        skipped: the stage that the build image is; what is named up to it is that one's.
    """
    text = pins.text_of(scope, file)
    last = pins.final_base(scope, text, target)
    if last:
        yield "FROM", last
    first, end = _end_of_stage(text, skipped) if skipped else 0, _end_of_stage(text, target)
    for line, name in pins.images_of(scope, text):
        if first < line <= end and name != last:
            yield "uses", name


def _end_of_stage(text: str, target: str) -> float:
    """The last line that is of a stage or before it; without an end where it is the last stage or none."""
    stages = dockerfile.parse(text).stages
    by_name = {stage.name.lower(): number for number, stage in enumerate(stages) if stage.name}
    number = by_name.get(target.lower(), int(target) if target.isdecimal() else len(stages))
    return stages[number + 1].line - 1 if number + 1 < len(stages) else float("inf")


def _released(scope: Scope, look: Find) -> str:
    """The release that is in the engine: that of the record, or else ``local``."""
    last = record.read(scope.root).find(scope.settings.image)
    return last.reference if last and look(last.reference) else f"{scope.settings.image}:local"


def _names(parts: Sequence[_Part]) -> _Names:
    names = _Names()
    for part in parts:
        if part.stage == "release":
            names.releases[_repository(part.scope.settings.image)] = part
        else:
            names.whole.setdefault(_whole(part.image), part.image)
    every = {_repository(name) for part in parts for name in part.scope.repositories}
    names.others = every - names.releases.keys()
    return names


def _edges(parts: Sequence[_Part], names: _Names) -> tuple[Edge, ...]:
    """What leads from image to image; where it does so twice, the firmer way counts."""
    found: dict[tuple[str, str], How] = {}
    for part in parts:
        image = part.image if part.stage == "release" else names.find(part.image)
        for how, name in part.on:
            on = names.find(name)
            if on != image:
                found[image, on] = min(how, found.get((image, on), how), key=_FIRMEST.index)
    return tuple(Edge(image, on, how) for (image, on), how in found.items())


def _made(parts: Sequence[_Part]) -> Iterator[Node]:
    """The images of the pipelines; those that several of them name are one."""
    first: dict[str, _Part] = {}
    of: dict[str, list[str]] = {}
    for part in parts:
        key = _whole(part.image)
        first.setdefault(key, part)
        of.setdefault(key, []).append(part.scope.settings.image)
    for key, part in first.items():
        yield Node(part.image, part.stage, tuple(dict.fromkeys(of[key])))


def _others(edges: Sequence[Edge], parts: Sequence[_Part], names: _Names) -> Iterator[Node]:
    """The images that are stood on and that no pipeline here makes: from elsewhere, or the project's other images."""
    known = {part.image for part in parts}
    for name in dict.fromkeys(edge.on for edge in edges if edge.on not in known):
        yield Node(name, "release" if _repository(name) in names.others else "external")


def _weigh(scope: Scope, inspected: Mapping[str, Image | None], notes: list[str], *, reads: bool) -> Mapping[str, int]:
    """The bytes of layers, by digest. The highest image first: when its layers are known, so are those below."""
    sizes = dict(weighing.known(scope))
    present = {image.id: (name, image) for name, image in inspected.items() if image}
    for name, image in sorted(present.values(), key=lambda one: len(one[1].layers), reverse=True) if reads else ():
        if all(layer in sizes for layer in image.layers):
            continue
        try:
            found = weighing.read(scope, image, name=name)
        except TinyshipError as error:
            notes.append(f"{name} is not weighed: {error.message}")
            continue
        sizes |= {layer.diff_id: held for layer, held in zip(found.image.layers, found.held, strict=True)}
    return sizes


def _with_layers(node: Node, image: Image | None, sizes: Mapping[str, int]) -> Node:
    if not image:
        return node
    layers = tuple(Layer(digest, sizes.get(digest)) for digest in image.layers)
    return Node(node.image, node.stage, node.of, image.id, layers)


def _whole(name: str) -> str:
    """A name with all that Docker leaves out of it, to know it again by; as it is where it is none."""
    try:
        return str(reference.parse(name))
    except ConfigError:
        return name


def _repository(name: str) -> str:
    try:
        found = reference.parse(name)
    except ConfigError:
        return name
    return f"{found.host}/{found.repository}"
