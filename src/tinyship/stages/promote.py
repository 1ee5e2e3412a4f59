"""Promotes an image that a registry has: another tag or another repository names its digest, without an engine."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tinyship import record, reference, versions
from tinyship.errors import ConfigError, NothingPushed, NothingReleased, Refused, RegistryError, TinyshipError
from tinyship.events import Notice
from tinyship.plan import Action, Check
from tinyship.reference import DIGEST, TAG
from tinyship.registry import copying
from tinyship.registry.client import Repository
from tinyship.registry.manifest import Manifest
from tinyship.stages import goals
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.settings.load import Loaded

RELEASE = "release"
"""How the digest is named that the record has of the release."""

_SETTLING = 0.1
"""Seconds between giving a tag and asking for it again: whoever asked before us has given it within that time."""


@dataclass(frozen=True, slots=True)
class Given:
    """A tag that was to name the image.

    Args:
        reference: ``[registry/]repository:tag``.
        before: the digest that it named before; empty where it was not there.
    """

    reference: str
    before: str


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a promotion did, in compressed bytes of blobs.

    Args:
        image: of the project that it was done for.
        source: where the image was: ``[registry/]repository@digest``.
        digest: of its manifest, or of its index.
        tags: that name it now, in the order in which they were asked for.
        sent: that were sent from one registry to another.
        mounted: that a registry took from another of its repositories.
        present: that were there; 0 where the repository is the same.
    """

    image: str
    source: str
    digest: str
    tags: tuple[Given, ...]
    sent: int
    mounted: int
    present: int


@dataclass(frozen=True, slots=True)
class _Goal:
    """A tag of one repository that is to name the image, and what it names now."""

    repository: Repository
    name: str
    tag: str
    before: str

    @property
    def reference(self) -> str:
        return f"{self.name}:{self.tag}"

    def is_promise(self) -> bool:
        """Whether the tag looks like a version, which names one image for ever."""
        return versions.parse(self.tag) is not None


class _Promotion:
    """One promotion on its way: the image, and what each goal named when it was asked."""

    def __init__(self, scope: Scope, source: str, target: str, stack: ExitStack) -> None:
        self._scope = scope
        self._stack = stack
        self._open: dict[str, Repository] = {}
        name, named = _source(scope, source)
        wanted = tuple(_targets(scope, target))
        self.source = self._repository(name)
        self.manifest: Manifest = self.source.manifest(named)
        self.name = f"{name}@{self.digest}"
        self.goals = tuple(self._goal(where, tag) for where, tag in wanted)

    @property
    def digest(self) -> str:
        return self.manifest.digest

    @property
    def moves(self) -> tuple[_Goal, ...]:
        """The goals that do not name the image yet, those that look like versions first."""
        left = (goal for goal in self.goals if goal.before != self.digest)
        return tuple(sorted(left, key=lambda goal: not goal.is_promise()))

    @property
    def taken(self) -> tuple[_Goal, ...]:
        """The versions that name another image."""
        return tuple(goal for goal in self.moves if goal.before and goal.is_promise())

    @property
    def others(self) -> tuple[tuple[str, Repository], ...]:
        """The repositories that the image is to be in beside its own."""
        found = {goal.name: goal.repository for goal in self.moves if not self._is_source(goal.repository)}
        return tuple(found.items())

    def _is_source(self, repository: Repository) -> bool:
        return (repository.host, repository.name) == (self.source.host, self.source.name)

    def _goal(self, name: str, tag: str) -> _Goal:
        repository = self._repository(name)
        return _Goal(repository, name, tag, repository.digest(tag) or "")

    def _repository(self, name: str) -> Repository:
        if name not in self._open:
            self._open[name] = self._stack.enter_context(self._scope.repository(name))
        return self._open[name]


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


def plan(scope: Scope, source: str, target: str) -> tuple[tuple[Action, ...], tuple[Check, ...]]:
    """What ``promote`` would do, as the registries say, and whether it would be refused; the arguments are its own."""
    with ExitStack() as stack:
        promotion = _Promotion(scope, source, target, stack)
        actions = [Action("copy", name, f"from {promotion.name}") for name, _ in promotion.others]
        for goal in promotion.moves:
            before = f", in place of {goal.before}" if goal.before else ""
            actions.append(Action("tag", goal.reference, f"as {promotion.digest}{before}"))
        checks = []
        for goal in promotion.goals:
            if goal in promotion.taken:
                hint = "Promote to another tag, or with `--force`."
                checks.append(Check(goal.reference, "failed", f"a version, and names {goal.before}", hint=hint))
            elif goal.before:
                same = goal.before == promotion.digest
                checks.append(Check(goal.reference, "ok" if same else "note", f"names {goal.before}"))
            else:
                checks.append(Check(goal.reference, "ok", "is free"))
        return tuple(actions), tuple(checks)


def check(scope: Scope, source: str, target: str, *, force: bool = False) -> None:
    """Raise what ``promote`` would before it changes anything: of several images none is promoted where one cannot."""
    with ExitStack() as stack:
        promotion = _Promotion(scope, source, target, stack)
        try:
            _refuse(promotion.taken, promotion.digest, force=force)
        except TinyshipError as error:
            raise error.at("push", scope.settings.image) from None


def promote(scope: Scope, source: str, target: str, *, force: bool = False) -> Promoted:
    """Let tags name an image that a registry has.

    Args:
        source: a tag or a digest in the first repository of ``push.to``, a full reference, or ``release``, which is the
            digest that the record has.
        target: a tag in that repository or a full reference; several with commas between them.
        force: replace what a tag named that looks like a version.

    Raises:
        ConfigError: one of the two cannot be read.
        Refused: a tag that looks like a version names another image; or nothing is released, or pushed.
        RegistryError: the image is not there; a registry refused, failed, or somebody else was faster.
    """
    with scope.stage("push", scope.settings.image, f"promoting {source} to {target}") as outcome, ExitStack() as stack:
        promotion = _Promotion(scope, source, target, stack)
        _refuse(promotion.taken, promotion.digest, force=force)
        copies = [
            copying.copy(promotion.source, repository, promotion.digest, events=scope.events)
            for _, repository in promotion.others
        ]
        for goal in promotion.moves:
            _give(scope, goal, promotion.manifest, force=force)
        _confirm(promotion.goals, promotion.digest, waits=bool(promotion.moves))
        outcome.word = "promoted" if promotion.moves else "was there"
        return Promoted(
            image=scope.settings.image,
            source=promotion.name,
            digest=promotion.digest,
            tags=tuple(Given(goal.reference, goal.before) for goal in promotion.goals),
            sent=sum(each.sent for each in copies),
            mounted=sum(each.mounted for each in copies),
            present=sum(each.present for each in copies),
        )


def _give(scope: Scope, goal: _Goal, manifest: Manifest, *, force: bool) -> None:
    if goal.is_promise() and not force:
        found = goal.repository.digest(goal.tag) or ""  # a copy takes long enough for another release to come
        if found not in {"", manifest.digest}:
            _refuse((_Goal(goal.repository, goal.name, goal.tag, found),), manifest.digest, force=False)
    if goal.before:
        told = f"{goal.reference} named {goal.before}, and is replaced"
        scope.events(Notice(told, "warning" if goal.is_promise() else "info"))
    goal.repository.put(manifest, goal.tag)


def _refuse(taken: Sequence[_Goal], digest: str, *, force: bool) -> None:
    if taken and not force:
        lines = "\n".join(f"    {goal.reference} is {goal.before}" for goal in taken)
        raise Refused(
            f"another image has {'this version' if len(taken) == 1 else 'these versions'} already, "
            f"and what was to be promoted is {digest}:\n{lines}",
            hint="A version stays what it is: promote to another tag, or with `--force`.",
        )


def _confirm(goals: Sequence[_Goal], digest: str, *, waits: bool) -> None:
    """Ask again what each tag names; registries cannot compare and swap."""
    if waits:
        time.sleep(_SETTLING)
    found = {goal: goal.repository.digest(goal.tag) or "nothing" for goal in goals}
    lost = {goal: names for goal, names in found.items() if names != digest}
    if lost:
        said = ", ".join(f"{goal.reference} names {names}" for goal, names in lost.items())
        raise RegistryError(
            f"somebody else was faster: {said}, and not {digest}",
            host=next(iter(lost)).repository.host,
            hint="Find out which of the two is right, and promote that one again.",
            tail=[f"{goal.reference} names {digest}" for goal in goals if goal not in lost],
        )


def _source(scope: Scope, named: str) -> tuple[str, str]:
    """The repository where an image is, and its tag or its digest there."""
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


def _targets(scope: Scope, named: str) -> Iterator[tuple[str, str]]:
    """The repository and the tag of each goal, once."""
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
