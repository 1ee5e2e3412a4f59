"""From what was found to settings: which image is base, build and release, its name, its tags, and where it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinyship.dockerfiles import dockerfile
from tinyship.errors import ConfigError
from tinyship.init.findings import Build, Carried, Findings, Outcome, Place, Unclear
from tinyship.init.marks import has_unknown, marks, shown, template
from tinyship.reference import HUB, split_host
from tinyship.settings import load

_BUILDERS = {"Dockerfile.build", "Dockerfile.builder", "build.Dockerfile", "builder.Dockerfile"}
_BUILD_TAGS = {"build", "builder"}
_LOCAL_TAGS = {"local", "dev", "build", "builder", "test"}
_LISTS = (
    *("args", "labels", "platforms", "secrets", "ssh", "contexts", "cache_from", "cache_to", "extra_hosts", "ulimits"),
    *("attests", "no_cache_filter", "push.to", "push.tags", "base", "build.artifacts", "release.run.ports"),
)


@dataclass(frozen=True, slots=True)
class Name:
    """A reference: its registry (empty for Docker Hub), its repository, its tag; texts may have marks."""

    host: str
    path: str
    tag: str
    host_is_known: bool = True


@dataclass(slots=True)
class Image:
    """Settings of one image to be, each with where it was said, the first one first."""

    name: str
    settings: list[Carried] = field(default_factory=list)


def name_of(reference: str) -> Name | None:
    """Read a reference; None where its repository is not known."""
    text = reference.partition("@")[0]
    repository, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = text, "latest"
    first, slash, rest = repository.partition("/")
    if slash and has_unknown(first):
        # Who writes $(REGISTRY)/foo means a registry, or an owner; nobody but the user can say which.
        return None if marks(rest) or not rest else Name(first, rest, tag, host_is_known=False)
    if marks(repository) or not repository:
        return None
    host, path = split_host(repository)
    return Name("" if host == HUB else host, path, tag)


def settle(root: Path, found: Findings, fallback: Carried) -> Outcome:
    """The settings that findings come to; what they would break is left out, and said.

    Args:
        root: the project's folder.
        found: in all files.
        fallback: the image's name where nothing says another one.
    """
    return _Settler(root, found, fallback).outcome()


class _Settler:
    def __init__(self, root: Path, found: Findings, fallback: Carried) -> None:
        self._root = root
        self._found = found
        self._fallback = fallback
        self._unclear = list(found.unclear)

    def outcome(self) -> Outcome:
        bases, builders, releases = self._roles()
        images = [self._image(group, builds) for group, builds in self._grouped(releases)]
        if not images:
            images = [Image("", [self._fallback])]
        first = images[0]
        for base in bases:
            first.settings.append(self._base(base))
        if len(images) == 1:
            first.settings += self._build(builders, first)
        else:
            for build in builders:
                why = "which of the images it is for, is not known: give that one a `build`"
                self._unclear.append(Unclear(build.place, ", ".join(map(shown, build.tags)), why))
        values, carried = self._valid(images)
        return Outcome(values, carried, _once(self._unclear))

    def _roles(self) -> tuple[list[Build], list[Build], list[Build]]:
        """Builds of base images, of the build image, and of releases."""
        builds = self._found.builds
        ran = {run.image for run in self._found.runs}
        bases, builders, rest = [], [], []
        for build in builds:
            own = set(build.tags)
            others = [other for other in builds if other is not build and not own & set(other.tags)]
            if any(own & self._stands_on(other) for other in others):
                bases.append(build)
            elif others and (
                own & ran
                or Path(build.dockerfile).name in _BUILDERS
                or any((name := name_of(tag)) and name.tag in _BUILD_TAGS for tag in build.tags)
            ):
                builders.append(build)
            else:
                rest.append(build)
        return (bases, builders, rest) if rest else (bases, [], builders)

    def _stands_on(self, build: Build) -> set[str]:
        try:
            text = (self._root / build.dockerfile).read_text("utf-8", "replace")
        except OSError:
            return set()
        return set(dockerfile.parse(text).bases)

    def _grouped(self, builds: Iterable[Build]) -> Iterator[tuple[str, list[Build]]]:
        """Releases by their repository; what has no name is said."""
        groups: dict[str, list[Build]] = {}
        for build in builds:
            names = [name for tag in build.tags if (name := name_of(tag))]
            for tag in build.tags:
                if name_of(tag) is None:
                    self._unclear.append(Unclear(build.place, shown(tag), "which image this is, is not known"))
            if names:
                groups.setdefault(self._shipped(names[0].path), []).append(build)
            elif not build.tags:
                groups.setdefault(self._fallback.value, []).append(build)
        yield from groups.items()

    def _shipped(self, path: str) -> str:
        """The repository that an image is pushed as, where it is another one than it is built as."""
        for retag in self._found.retags:
            source, target = name_of(retag.source), name_of(retag.target)
            if source and target and source.path == path and not target.path.endswith(path):
                pushed = (name_of(sent.reference) for sent in self._found.sent)
                if any(name and name.path == target.path for name in pushed):
                    return target.path
        return path

    def _image(self, path: str, builds: list[Build]) -> Image:
        build, *others = self._ranked(builds)
        for other in others:
            what = ", ".join(map(shown, other.tags)) or other.name or "a build"
            if (other.dockerfile, other.context, other.target) != (build.dockerfile, build.context, build.target):
                self._unclear.append(
                    Unclear(other.place, what, f"{path} is built as {build.place} says; this is another")
                )
        same = [one for one in (build, *others) if self._alike(one, build)]
        image = Image(path.rpartition("/")[2], [Carried("image", path, self._named(path, build))])
        image.settings += self._where(path, same)
        for key, default in (("dockerfile", "Dockerfile"), ("context", "."), ("target", "")):
            if (value := getattr(build, key)) != default:
                image.settings.append(Carried(f"release.{key}", value, build.place))
        for one in same:
            image.settings += [option for option in one.options if option.key != "version"]
        image.settings += [
            Carried(said.key.partition(":")[2], said.value, said.place)
            for said in self._found.settings
            if said.key.partition(":")[0] in {one.name for one in same}
        ]
        return image

    def _alike(self, one: Build, other: Build) -> bool:
        return (one.dockerfile, one.context, one.target) == (other.dockerfile, other.context, other.target)

    def _ranked(self, builds: list[Build]) -> list[Build]:
        """Builds of one repository: what is pushed comes first, then what builds the whole Dockerfile."""
        moved = {retag.source for retag in self._found.retags} | {sent.reference for sent in self._found.sent}
        return sorted(builds, key=lambda build: (not build.pushes and not moved & set(build.tags), bool(build.target)))

    def _named(self, path: str, build: Build) -> Place:
        if any((name := name_of(tag)) and name.path == path for tag in build.tags):
            return build.place
        targets = [retag for retag in self._found.retags if (name := name_of(retag.target)) and name.path == path]
        return targets[0].place if targets else self._fallback.place if path == self._fallback.value else build.place

    def _where(self, path: str, builds: list[Build]) -> Iterator[Carried]:
        """The tags of an image, its version, and the registries that it goes to."""
        every = [(tag, build.place) for build in builds for tag in build.tags]
        own = {name.path for tag, _ in every if (name := name_of(tag))} | {path}
        retagged = [
            (retag.target, retag.place)
            for retag in self._found.retags
            if (source := name_of(retag.source)) and source.path in own
        ]
        own |= {name.path for tag, _ in retagged if (name := name_of(tag))}
        pushed = [(tag, build.place) for build in builds if build.pushes for tag in build.tags]
        pushed += [
            (sent.reference, sent.place)
            for sent in self._found.sent
            if (name := name_of(sent.reference)) and name.path in own
        ]
        named = [(name, place) for tag, place in pushed or [*every, *retagged] if (name := name_of(tag))]
        yield from self._registries(path, named, is_pushed=bool(pushed))
        is_local = set() if pushed else _LOCAL_TAGS
        for name, place in named:
            if name.tag not in is_local:
                yield from self._tag(name.tag, place)
        texts = [(name.tag, place) for name, place in named]
        texts += [(option.value, option.place) for one in builds for option in one.options if option.key == "version"]
        yield from self._version(texts)

    def _registries(self, path: str, named: Sequence[tuple[Name, Place]], *, is_pushed: bool) -> Iterator[Carried]:
        hosts: dict[str, Place] = {}
        for name, place in named:
            if not name.host_is_known:
                why = "which registry or owner this is, is not known: see `push.to` and `image`"
                self._unclear.append(Unclear(place, shown(name.host), why))
            elif name.path == path:
                hosts.setdefault(name.host, place)
            elif name.path.endswith(f"/{path}"):
                folder = name.path.removesuffix(f"/{path}")
                hosts.setdefault(f"{name.host or HUB}/{folder}", place)
            elif is_pushed:
                text = shown(f"{name.host}/{name.path}" if name.host else name.path)
                self._unclear.append(Unclear(place, text, f"{path} goes under another name here"))
        if set(hosts) != {""}:
            for host, place in hosts.items():
                if host or is_pushed:
                    yield Carried("push.to", host or HUB, place)

    def _tag(self, tag: str, place: Place) -> Iterator[Carried]:
        if has_unknown(tag):
            self._unclear.append(Unclear(place, shown(tag), "what this tag comes to is not known: see `push.tags`"))
            return
        try:
            yield Carried("push.tags", template(tag), place)
        except ValueError as error:
            self._unclear.append(Unclear(place, shown(tag), f"no tag of ours says that: {error}"))

    def _version(self, texts: Iterable[tuple[str, Place]]) -> Iterator[Carried]:
        for text, place in texts:
            for kind, detail in marks(text):
                if kind == "literal":
                    yield Carried("version.literal", detail, place)
                elif kind == "file":
                    yield Carried("version.file", detail, place)
                elif kind == "regex":
                    file, regex = detail.split("\n", 1)
                    yield Carried("version.file", file, place)
                    yield Carried("version.regex", regex, place)
                else:
                    continue
                return

    def _base(self, build: Build) -> Carried:
        entry = {"name": next(iter(build.tags)), "dockerfile": build.dockerfile}
        if build.context != ".":
            entry["context"] = build.context
        if build.target:
            entry["target"] = build.target
        return Carried("base", entry, build.place)

    def _build(self, builders: list[Build], image: Image) -> Iterator[Carried]:
        """The build image: what compiles it, and what it leaves."""
        release = next((said.value for said in image.settings if said.key == "release.dockerfile"), "Dockerfile")
        if builders:
            build, *others = builders
            for other in others:
                text = ", ".join(map(shown, other.tags))
                self._unclear.append(Unclear(other.place, text, f"there is one build image, that of {build.place}"))
            place, file = build.place, build.dockerfile
        else:
            build = None
            file = next((name for name in sorted(_BUILDERS) if (self._root / name).is_file() and name != release), "")
            place = Place(file)
        copied = dict(self._copied(release))
        made = [said for said in self._found.compiled if any(_covers(path, said.value) for path in copied)]
        if not file:
            for said in made:
                why = (
                    f"{release} copies it, and nothing of tinyship makes it: give it a build image, or run this before"
                )
                self._unclear.append(Unclear(said.place, said.value, why))
            return
        yield Carried("build.dockerfile", file, place)
        if build and build.context != ".":
            yield Carried("build.context", build.context, place)
        if build and build.target:
            yield Carried("build.target", build.target, place)
        for run in self._found.runs if build else ():
            if run.image in (build.tags if build else ()):
                if run.workdir and not marks(run.workdir):
                    yield Carried("build.workdir", run.workdir, run.place)
                if run.command and not any(map(marks, run.command)):
                    yield Carried("build.command", list(run.command), run.place)
                break
        paths = {said.value: said.place for said in made} or {
            path: place
            for path, place in copied.items()
            if not (self._root / path).exists() and not path.startswith(".")
        }
        for path, where in paths.items():
            yield Carried("build.artifacts", path, where)
        if not paths:
            why = f"which files it leaves for {release}, is not known: see `build.artifacts`"
            self._unclear.append(Unclear(place, file, why))
        yield from self._found.tested[:1]

    def _copied(self, name: str) -> Iterator[tuple[str, Place]]:
        """What a Dockerfile copies from its context, without patterns, and where."""
        try:
            text = (self._root / name).read_text("utf-8", "replace")
        except OSError:
            return
        for line, keyword, rest in dockerfile.instructions(text):
            if keyword == "COPY" and "--from" not in rest and not rest.startswith("["):
                words = [word for word in rest.split() if not word.startswith("--")]
                for path in words[:-1]:
                    if not set(path) & set("*?[$") and (clean := path.removeprefix("./").rstrip("/")) not in {"", "."}:
                        yield clean, Place(name, line)

    def _valid(self, images: Sequence[Image]) -> tuple[Mapping[str, Any], list[Carried]]:
        """The settings as they would be written, setting by setting, each tried: what is refused is said."""
        is_many = len(images) > 1
        sections: list[dict[str, Any]] = []
        kept: list[Carried] = []
        for image in images:
            section: dict[str, Any] = {"name": image.name} if is_many else {}
            sections.append(section)
            first: dict[str, Place] = {}
            for said in image.settings:
                if said.key in first and not _is_list(said.key):
                    continue
                tried = _laid(section, said)
                if tried == section:
                    continue
                if why := self._refused([*sections[:-1], tried], is_many):
                    self._unclear.append(Unclear(said.place, f"{said.key}: {shown(str(said.value))}", why))
                    continue
                sections[-1] = section = tried
                first[said.key] = said.place
                kept.append(
                    Carried(f"images[{image.name}].{said.key}" if is_many else said.key, said.value, said.place)
                )
        return (_together(sections) if is_many else sections[0]), kept

    def _refused(self, sections: Sequence[Mapping[str, Any]], is_many: bool) -> str:
        values = {"images": sections} if is_many else sections[0]
        try:
            load.load([load.Layer("init", values)], environ={})
        except ConfigError as error:
            return error.message.removeprefix("init: ")
        return ""


def _once(unclear: Iterable[Unclear]) -> tuple[Unclear, ...]:
    """In the order of their places; what is said of several places of a file stands at the first."""
    found: dict[tuple[str, str, str], Unclear] = {}
    for one in sorted(unclear, key=lambda one: (one.place, one.text)):
        found.setdefault((one.place.file, one.text, one.why), one)
    return tuple(found.values())


def _laid(section: Mapping[str, Any], said: Carried) -> dict[str, Any]:
    """A section with one more setting: entries are added to lists, scalars are set."""
    parent, _, name = said.key.rpartition(".")
    new = {key: dict(value) if isinstance(value, dict) else value for key, value in section.items()}
    inner = new
    for part in parent.split(".") if parent else ():
        inner[part] = dict(inner.get(part, {}))
        inner = inner[part]
    if _is_list(said.key):
        old = inner.get(name, [])
        inner[name] = old if said.value in old else [*old, said.value]
    else:
        inner[name] = said.value
    return new


def _is_list(key: str) -> bool:
    """Whether what is said of a key is one entry of a list."""
    return key in _LISTS


def _together(sections: Sequence[dict[str, Any]]) -> Mapping[str, Any]:
    """Several images as one section: what all of them share stands around them."""
    shared = {
        key: value
        for key, value in sections[0].items()
        if key not in {"name", "image", "base"} and all(section.get(key) == value for section in sections)
    }
    return {
        **shared,
        "images": [{key: value for key, value in section.items() if key not in shared} for section in sections],
    }


def _covers(path: str, other: str) -> bool:
    """Whether a path is another one, or a folder that it is in."""
    return other == path or other.startswith(f"{path}/")
