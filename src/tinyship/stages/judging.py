"""What a clean would remove and what not: the facts of engine, git and folder, held against `cleaning.retention`."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from tinyship import labels
from tinyship.cleaning import reach, retention
from tinyship.cleaning.retention import EVER, Facts, Git, Verdict
from tinyship.engine import inventory
from tinyship.engine.connect import Engine
from tinyship.engine.containers import OWN
from tinyship.engine.inventory import Container, Listed, Usage
from tinyship.git import repository
from tinyship.kept.history import moment
from tinyship.running import cancelling
from tinyship.stages.scope import Scope
from tinyship.units import size

What: TypeAlias = Literal["work", "old_releases", "everything"]
_COMMIT = re.compile("[0-9a-f]{40,64}")
_MANIFEST = 4 << 20
"""More bytes than these no manifest and no config has."""
TASKS: Mapping[What, str] = {"work": "clean", "old_releases": "clean.images", "everything": "clean.all"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact that is there: its name in the settings, and what is to be said of it."""

    path: Path
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a clean would do, and all that it needs to do it.

    Args:
        task: like ``clean.images``.
        artifacts: those that are there.
        containers: the project's, with what becomes of them.
        images: the project's, with what becomes of them; what stands on others comes before these.
        before: bytes that all images of the engine hold.
        hints: what would go with other settings, in words.
    """

    task: str
    artifacts: tuple[Artifact, ...]
    containers: tuple[tuple[Container, Verdict], ...]
    images: tuple[tuple[Facts, Verdict], ...]
    before: int
    hints: tuple[str, ...] = ()

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for each thing that was looked at, in the order of the table."""
        return (
            *(one.verdict for one in self.artifacts),
            *(verdict for _, verdict in self.containers),
            *(verdict for _, verdict in self.images),
        )

    def waves(self) -> Iterator[tuple[Facts, ...]]:
        """The images that go, in groups: nothing in a group stands on anything in it or in a later one."""
        left = {image.id: image for image, verdict in self.images if not verdict.stays}
        while left:
            top = tuple(image for image in left.values() if not left.keys() & image.carries.keys()) or tuple(
                left.values()
            )
            yield top
            for image in top:
                del left[image.id]


def judge(scopes: Sequence[Scope], what: What) -> Judgement:
    """What would become of all that is of the images of a project.

    Raises:
        EngineError: the engine does not say what it has.
        GitError: git does not say what it reaches.
    """
    engine = scopes[0].engine
    if what != "old_releases" or scopes[0].settings.clean.keep_git == "all":  # else git is asked without it
        repository.load_meanwhile()
    with ThreadPoolExecutor(1) as pool:  # an engine takes its time for its answers
        asked = pool.submit(cancelling.carried(inventory.containers), engine)
        listed, usage = inventory.images_and_usage(engine)
        there = _There(engine, usage, listed, asked.result())
    projects = {scope.settings.image for scope in scopes}
    ours = tuple(one for one in there.containers if _is_own(one, projects))
    artifacts: tuple[Artifact, ...] = ()
    judged: tuple[tuple[Container, Verdict], ...] = ()
    if what != "old_releases":
        artifacts = tuple({one.path: one for scope in scopes for one in _artifacts(scope)}.values())
        judged = tuple((one, _of_container(one, what)) for one in ours)
    going = {container.id for container, verdict in judged if not verdict.stays}
    images, hints = _images(scopes, there.without(going), what)
    return Judgement(
        task=TASKS[what],
        artifacts=artifacts,
        containers=judged,
        images=images,
        before=there.usage.total,
        hints=hints,
    )


@dataclass(frozen=True, slots=True)
class _There:
    """What an engine has."""

    engine: Engine
    usage: Usage
    images: tuple[Listed, ...]
    containers: tuple[Container, ...]

    def without(self, containers: set[str]) -> _There:
        """It, once some containers are gone."""
        return replace(self, containers=tuple(one for one in self.containers if one.id not in containers))


def _is_own(container: Container, projects: Collection[str]) -> bool:
    """Whether tinyship made it for one of these images, and not a user who runs what was released."""
    return container.labels.get(labels.PROJECT) in projects and bool(OWN.fullmatch(container.name))


def _of_container(container: Container, what: What) -> Verdict:
    # One that runs may be a release's from another clone, which this clean knows nothing of.
    if container.running and what == "work":
        return Verdict("container", container.name, True, "it runs; `docker stop` ends it, `clean.all` takes it")
    return Verdict("container", container.name, False, "everything goes" if what == "everything" else "it has ended")


def _images(
    scopes: Sequence[Scope], there: _There, what: What
) -> tuple[tuple[tuple[Facts, Verdict], ...], tuple[str, ...]]:
    """The project's images, each with its verdict; and what would go with other settings."""
    facts = _facts(scopes, there)
    if what == "work":
        facts = [one for one in facts if not one.names]
    elif what == "old_releases":
        facts = [one for one in facts if not one.owner]
    git = _git(scopes[0], facts) if what == "old_releases" else Git()
    keep = {scope.settings.image: scope.settings.clean.keep for scope in scopes}

    def ask(facts: Sequence[Facts]) -> dict[str, Verdict]:
        if what == "work":
            return retention.leftovers(facts)
        if what == "everything":
            return retention.everything(facts)
        return retention.old_releases(facts, keep=keep, git=git)

    first = ask(facts)
    carries = _carries(there, {one.id for one in facts if not first[one.id].stays})
    facts = [replace(one, carries=carries.get(one.id, {})) for one in facts]
    verdicts = ask(facts)
    facts.sort(key=lambda one: (one.repository, not one.release, one.made, one.version), reverse=True)
    others = retention.for_git_alone(facts, keep=keep, git=git) if git.reached else {}
    hints = tuple(_hint(way, more, there.usage.alone) for way, more in others.items())
    return tuple((one, verdicts[one.id]) for one in facts), hints


def _hint(way: str, more: Sequence[Facts], alone: Mapping[str, int]) -> str:
    many = f"{len(more)} more image{'s' if len(more) > 1 else ''}"
    held = size(sum(alone.get(one.id, 0) for one in more))
    return f"with `clean.keep_git: {way}` up to {many} would go, and {held} or more with them"


def _facts(scopes: Sequence[Scope], there: _There) -> list[Facts]:
    """The facts of all images that are the project's: that bear its label, and stand under its names or under none."""
    names = _Names.of(scopes)
    used = _used(there)
    return [
        Facts(
            id=one.id,
            repository=one.labels.get(labels.PROJECT, ""),
            names=mine,
            release=one.labels.get(labels.STAGE) == "release",
            made=_made(one),
            version=_version(one),
            commit=one.labels.get(labels.REVISION, ""),
            local=any(name.endswith(":local") for name in mine),
            containers=tuple(used.get(one.id, ())),
            foreign=tuple(name for name in one.tags if name not in mine),
            owner="" if names.own(one) else one.labels[labels.PROJECT],
            bytes=there.usage.alone.get(one.id),
        )
        for one in there.images
        if (mine := names.of_project(one)) or (names.own(one) and not one.tags)
    ]


@dataclass(frozen=True, slots=True)
class _Names:
    """What makes an image a project's: its label, and its names."""

    projects: frozenset[str]
    repositories: frozenset[str]
    bases: frozenset[str]

    @classmethod
    def of(cls, scopes: Sequence[Scope]) -> _Names:
        projects = frozenset(scope.settings.image for scope in scopes)
        registries = {"", *(f"{registry}/" for scope in scopes for registry in scope.settings.push.to)}
        bases = (base.name for scope in scopes for base in scope.settings.base)
        return cls(
            projects,
            frozenset(f"{registry}{project}" for registry in registries for project in projects),
            frozenset(name if ":" in name.rpartition("/")[2] else f"{name}:latest" for name in bases),
        )

    def own(self, image: Listed) -> bool:
        """Whether it bears the label of this project."""
        return image.labels.get(labels.PROJECT) in self.projects

    def of_project(self, image: Listed) -> tuple[str, ...]:
        """Those of its names that are this project's; none where nothing says that tinyship made it.

        A foreign image made FROM one of ours has inherited the label, but not the name.
        """
        if labels.PROJECT not in image.labels:
            return ()
        mine = (tag for tag in image.tags if tag in self.bases or tag.rpartition(":")[0] in self.repositories)
        return tuple(sorted(mine, key=_telling))


def _telling(name: str) -> tuple[bool, str]:
    """Puts the names that tell people most first: versions before commits and `local`."""
    tag = name.rpartition(":")[2]
    return tag == "local" or bool(_COMMIT.fullmatch(tag)), name


def _made(image: Listed) -> datetime:
    """The date of its release; an image of which every step was in a builder's cache has that of these steps itself."""
    with suppress(ValueError):
        if said := image.labels.get(labels.CREATED, ""):
            return moment(said)
    return image.created or EVER


def _version(image: Listed) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", image.labels.get(labels.VERSION, ""))[:8])


def _used(there: _There) -> dict[str, list[str]]:
    """By an image's id, the names of the containers that use it."""
    by_name = {tag: one.id for one in there.images for tag in one.tags}
    known = {one.id for one in there.images}
    used: dict[str, list[str]] = {}
    for container in there.containers:
        ids = {container.image_id} if container.image_id in known else set()
        ids |= {container.image} & known
        if not ids and container.image in by_name:
            ids = {by_name[container.image]}
        for image_id in ids:
            used.setdefault(image_id, []).append(container.name)
    return used


def _git(scope: Scope, facts: Iterable[Facts]) -> Git:
    return reach.read(scope.root, scope.settings.clean.keep_git, {one.commit for one in facts if one.commit})


def _carries(there: _There, going: set[str]) -> dict[str, dict[str, str]]:
    """By the ids of images that go, those that stand on them: whose first layers are all of theirs.

    The layers of an image need not be asked for where the engine says that it shares none, or not all.
    """
    called = {one.id: next(iter(one.tags), retention.short(one.id)) for one in there.images}
    children: dict[str, dict[str, str]] = {}
    for one in there.images:
        if one.parent in going:
            children.setdefault(one.parent, {})[one.id] = called[one.id]
    shared = there.usage.shared
    doubtful = [one for one in there.images if one.id in going and one.size and _may_carry(there, one.id)]
    if doubtful:
        least = min(shared.get(one.id, 0) for one in doubtful)
        able = (one.id for one in there.images if shared.get(one.id, least) >= least)
        stacks = inventory.layers(there.engine, list(dict.fromkeys((*(one.id for one in doubtful), *able))))
        below: dict[tuple[str, ...], list[str]] = {}
        for one in doubtful:
            below.setdefault(stacks.get(one.id, ()), []).append(one.id)
        for other, stack in stacks.items():
            for height in range(1, len(stack)):
                for image_id in below.get(stack[:height], ()):
                    children.setdefault(image_id, {})[other] = called[other]
    return children


def _may_carry(there: _There, image_id: str) -> bool:
    """Whether all layers of an image may be shared. containerd's store counts its manifest and config as its own."""
    shared, alone = there.usage.shared.get(image_id), there.usage.alone.get(image_id, 0)
    if shared == 0 or alone > _MANIFEST:
        return False
    return shared is None or alone == 0 or there.engine.containerd_store


def _artifacts(scope: Scope) -> Iterator[Artifact]:
    build = scope.settings.build
    for name in build.artifacts if build else ():
        path = Path(os.path.normpath(scope.root / name))
        if path.is_symlink() or path.exists():
            why = _protects(scope.root, path)
            yield Artifact(path, Verdict("artifact", name, bool(why), why or "the build makes it again", weigh(path)))


def _protects(root: Path, path: Path) -> str:
    """Why an artifact may not be removed; empty where it may."""
    inside = path.relative_to(root)
    if path.parent.resolve() / path.name != root.resolve() / inside:
        above = [root.joinpath(*inside.parts[:count]) for count in range(1, len(inside.parts))]
        link = next((folder for folder in above if folder.is_symlink()), path.parent)
        return f"{link.relative_to(root)} is a link, and what it leads to is not the project's to remove"
    tracked = _tracked(root, path)
    if tracked:
        return "git tracks it" if tracked == inside.as_posix() else f"git tracks {tracked} in it"
    return "the repository is in it" if (path / ".git").exists() else ""


def _tracked(root: Path, path: Path) -> str:
    """The first file at or below a path that git tracks, relative to the root; empty where there is none."""
    found = repository.around(root) if repository.is_around(root) else None
    if found is None:
        return ""
    try:
        words = ("--literal-pathspecs", "-C", str(root), "ls-files", "-z", "--", str(path.relative_to(root)))
        return repository.run(found, *words).partition("\0")[0]
    finally:
        found.close()


def weigh(path: Path) -> int:
    """The bytes of a file, a link or a folder; no link is followed."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_symlink() or not file.is_dir())
