"""Which images have inputs that changed since a git revision, and which files these are; no engine is asked.

Inputs are what a release is made of as far as git knows it: the files of the contexts that no ignore file leaves out,
the Dockerfiles and ignore files themselves, what root filesystems are made from, the image's own settings, its pins in
``tinyship.lock``, and the images of the project that it stands on.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from tinyship import reference
from tinyship.context.ignore import Matcher
from tinyship.errors import ConfigError, ContextError, TinyshipError
from tinyship.git import touched
from tinyship.git.touched import Touched
from tinyship.kept import lock
from tinyship.settings import options
from tinyship.stages import pins, rootfs
from tinyship.stages.scope import Scope

Kind: TypeAlias = Literal["added", "removed", "changed", "settings", "pin", "below", "unknown", "outside", "missing"]

_CONFIGS = ("invoke.yaml", "invoke.yml", "invoke.json", "pyproject.toml")
_SECTION = b"tinyship"
_PROGRAMS = ("invoke.py", "tasks.py", "tasks/__init__.py")
_SAID = {
    "added": "{name} was added",
    "removed": "{name} was removed",
    "changed": "{name} changed",
    "settings": "its settings in {name} changed",
    "pin": "the pin of {name} moved",
    "below": "it stands on {name}, which changed",
    "unknown": "it stands on {name}, which these tasks are not about",
    "outside": "{name} is outside of the git repository",
    "missing": "{name} is missing",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an image counts as changed.

    Args:
        kind: ``added``, ``removed``, ``changed``: of a file; ``settings``: of a config file, the image's part of it;
            ``pin``: of a base image; ``below``: of an image that it stands on; ``unknown``: of one of the project that
            is not looked at; ``outside``: of a folder of which git
            does not know; ``missing``: of a Dockerfile or a context that cannot be used.
        name: of the file, relative to the work tree's folder, or of the image.
    """

    kind: Kind
    name: str

    def __str__(self) -> str:
        return _SAID[self.kind].format(name=self.name)


@dataclass(frozen=True, slots=True)
class Changed:
    """What was found.

    Args:
        since: the full commit that was compared with.
        images: by names, in the order in which they were given: why each counts as changed; nothing where it does not.
    """

    since: str
    images: Mapping[str, tuple[Reason, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """Those that changed."""
        return tuple(name for name, reasons in self.images.items() if reasons)


def find(scopes: Mapping[str, Scope], since: str, needs: Mapping[str, Iterable[str]]) -> Changed:
    """What changed in the work tree since HEAD's history left that of a revision, committed or not.

    Args:
        scopes: the images of a project, by their names.
        since: what git knows as a commit: ``origin/main``, ``v1.2.0``, ``HEAD~2``.
        needs: by the name of each image, the names of those that it stands on.

    Raises:
        ConfigError: git knows no such commit.
        GitError: there is no repository, or its history is cut off before the commit.
    """
    if not scopes:
        return Changed("", {})
    root = next(iter(scopes.values())).root.resolve()
    seen = touched.find(root, since)
    config = _Config(root, seen, tuple(scopes.values()))
    looked_at = {scope.settings.image for scope in scopes.values()}
    images = {
        name: tuple(dict.fromkeys((*_reasons(scope, seen, config), *_unknown(scope, looked_at))))
        for name, scope in scopes.items()
    }
    return Changed(seen.since, _spread(images, needs))


def _spread(
    images: Mapping[str, tuple[Reason, ...]], needs: Mapping[str, Iterable[str]]
) -> dict[str, tuple[Reason, ...]]:
    """The reasons, with one more for each image below that counts as changed."""
    found = dict(images)
    to_do = [name for name, reasons in found.items() if reasons]
    while to_do:
        below = to_do.pop(0)
        for name in found:
            reason = Reason("below", below)
            if name != below and below in set(needs.get(name, ())) and reason not in found[name]:
                if not found[name]:
                    to_do.append(name)
                found[name] = (*found[name], reason)
    return found


def _reasons(scope: Scope, seen: Touched, config: _Config) -> Iterator[Reason]:
    settings = scope.settings
    for base in settings.base:
        if base.dockerfile:
            yield from _of_stage(scope, seen, "base", base.context, base.dockerfile)
        if base.rootfs:
            yield from _of_files(seen, (scope.root / word for word in rootfs.words(base.rootfs)))
    if settings.build:
        yield from _of_stage(scope, seen, "build", settings.build.context, settings.build.dockerfile)
    yield from _of_stage(scope, seen, "release", settings.release.context, settings.release.dockerfile)
    for entry in settings.contexts:
        _, value = options.context(entry)
        if not value.startswith(options.IMAGE):
            yield from _of_folder(seen, (scope.root / value).resolve())
    if settings.version.file:
        yield from _of_files(seen, (scope.root / settings.version.file,))
    yield from config.reasons(scope)
    yield from _pins(scope, seen)


def _of_stage(scope: Scope, seen: Touched, stage: str, folder: str, file: str) -> Iterator[Reason]:
    try:
        context = scope.context(stage, folder, file)
    except TinyshipError:
        yield Reason("missing", f"{file} or its context {folder}")  # which the stage itself says better
        return
    own = context.dockerfile.with_name(f"{context.dockerfile.name}.dockerignore")
    used = (own,) if own.is_file() else (own, context.root / ".dockerignore")
    yield from _of_files(seen, (context.dockerfile, *used))
    yield from _of_folder(seen, context.root, Matcher(context.patterns))


def _of_files(seen: Touched, files: Iterable[Path]) -> Iterator[Reason]:
    """Files, or folders with all that is in them; by the names that they have and by those that they are links to."""
    for file in files:
        try:
            both = dict.fromkeys((file.parent.resolve() / file.name, file.resolve()))
        except (OSError, ValueError):
            continue  # a word of a command that can be no file
        for path in both:
            name = _relative(path, seen.root)
            if name is None:
                continue
            if name in seen.paths:
                yield Reason(seen.paths[name], name)
            else:
                yield from _of_folder(seen, path)


def _of_folder(seen: Touched, folder: Path, ignored: Matcher | None = None) -> Iterator[Reason]:
    """What was touched in a folder, absolute and without links, and is not ignored; or what it is in itself."""
    name = _relative(folder, seen.root)
    if name is None:
        if not seen.root.is_relative_to(folder):
            yield Reason("outside", str(folder))
            return
        before, above = f"{seen.root.relative_to(folder).as_posix()}/", ""  # the folder has the whole repository in it
    else:
        before, above = "", "" if name == "." else f"{name}/"
    for path, kind in seen.paths.items():
        if above.startswith(f"{path}/"):
            yield Reason(kind, path)  # a submodule that holds the folder
        elif path.startswith(above) and not (ignored and ignored.ignores(before + path.removeprefix(above))):
            yield Reason(kind, path)


def _relative(path: Path, root: Path) -> str | None:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else None


def _unknown(scope: Scope, looked_at: Collection[str]) -> Iterator[Reason]:
    """The images of the project that an image stands on and that tasks for it alone know nothing of."""
    others = {_repository(name): name for name in scope.repositories if name and name not in looked_at}
    named = [*pins.contexts(scope).values()]
    with suppress(ContextError):
        named += [place.name for _, place in pins.places(scope) if pins.named_context(scope, place.name) is None]
    for name in named if others else ():
        if found := others.get(_repository(name)):
            yield Reason("unknown", found)


def _repository(name: str) -> str:
    try:
        wanted = reference.parse(name)
    except ConfigError:
        return name  # the builder says what is wrong with it
    return f"{wanted.host}/{wanted.repository}"


def _pins(scope: Scope, seen: Touched) -> Iterator[Reason]:
    """The images from elsewhere that are built with another digest than the lock had."""
    file = lock.path(scope.root.resolve())
    if _relative(file, seen.root) not in seen.paths:
        return
    try:
        before = json.loads(seen.text(file) or b"{}")["bases"]
    except (ValueError, LookupError, TypeError):
        before = {}
    try:
        used = {base.name for base in pins.external(scope)}
        now = lock.read(scope.root)
    except TinyshipError:
        yield Reason("changed", lock.NAME)  # the stage that needs it says what is wrong
        return
    for name in sorted(used):
        old = before.get(name) if isinstance(before, dict) else None
        pin = now.pins.get(name) if now else None
        if (old.get("digest") if isinstance(old, dict) else None) != (pin.digest if pin else None):
            yield Reason("pin", name)


class _Config:
    """What the config files said of each image, and say now."""

    def __init__(self, root: Path, seen: Touched, scopes: Sequence[Scope]) -> None:
        self._programs = [name for name in _PROGRAMS if _relative(root / name, seen.root) in seen.paths]
        self._configured = {
            name for name in self._programs if b"configure" in (seen.text(root / name) or b"") or name == "invoke.py"
        }
        self._files = [
            name for name in _CONFIGS if _relative(root / name, seen.root) in seen.paths and _says(root / name, seen)
        ]
        self._same = _same_settings(root, seen) if self._files else frozenset()

    def reasons(self, scope: Scope) -> Iterator[Reason]:
        """Why an image's settings are not what they were."""
        if self._files and scope.settings.image not in self._same:
            yield from (Reason("settings", name) for name in self._files)
        says = "tasks.py" in scope.origins.values()  # which is what any of its forms is called there
        yield from (Reason("settings", name) for name in self._programs if says or name in self._configured)


def _says(file: Path, seen: Touched) -> bool:
    """Whether a config file is about tinyship, or was; others than ours are read by Invoke and by packagers too."""
    now = file.read_bytes() if file.is_file() else b""
    return _SECTION in now or _SECTION in (seen.text(file) or b"")


def _same_settings(root: Path, seen: Touched) -> frozenset[str]:
    """The repositories of the images whose settings in the config files are what they were."""
    from tinyship.settings import invoke_config, load

    with tempfile.TemporaryDirectory(prefix="tinyship-") as folder:
        for name in _CONFIGS:
            if (text := seen.text(root / name)) is not None:
                (Path(folder) / name).write_bytes(text)
        try:
            old = load.load(invoke_config.of_project(Path(folder)), environ={})
            new = load.load(invoke_config.of_project(root), environ={})
        except TinyshipError:
            return frozenset()
    before = {one.settings.image: one.settings for one in old}
    return frozenset(one.settings.image for one in new if before.get(one.settings.image) == one.settings)
