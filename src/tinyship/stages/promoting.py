"""A promotion on its way: the image, the tags that are to name it, and what each of them names by now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from tinyship import reference
from tinyship.errors import GitError, Refused, RegistryError, TinyshipError
from tinyship.events import Notice
from tinyship.git import revision
from tinyship.kept import record
from tinyship.kept.record import Release
from tinyship.registry.client import Repository
from tinyship.registry.manifest import Manifest
from tinyship.running import cancelling
from tinyship.stages import route
from tinyship.stages.scope import Scope
from tinyship.tagging import promises

_SETTLING = 0.1
"""Seconds between giving a tag and asking for it again: whoever asked before us has given it within that time."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A tag of one repository that is to name the image, what it named when it was asked, and whether it may move."""

    repository: Repository
    name: str
    tag: str
    before: str
    is_promise: bool

    @property
    def reference(self) -> str:
        """``[registry/]repository:tag``."""
        return f"{self.name}:{self.tag}"


class Promotion:
    """One promotion on its way: the image, and what each goal named when it was asked."""

    def __init__(self, scope: Scope, source: str, target: str, stack: ExitStack) -> None:
        self._scope = scope
        self._stack = stack
        self._open: dict[str, Repository] = {}
        name, named = route.source(scope, source)
        wanted = tuple(route.targets(scope, target))
        self.source = self._repository(name)
        self.manifest: Manifest = self.source.manifest(named)
        self.name = f"{name}@{self.digest}"
        self.goals = tuple(self._goal(where, tag) for where, tag in wanted)
        self._there = {goal.reference: goal.before for goal in self.goals}

    @property
    def digest(self) -> str:
        """The digest of the image's manifest, or of its index."""
        return self.manifest.digest

    @property
    def moves(self) -> tuple[Goal, ...]:
        """The goals that do not name the image yet, those that are promises first."""
        left = (goal for goal in self.goals if goal.before != self.digest)
        return tuple(sorted(left, key=lambda goal: not goal.is_promise))

    @property
    def taken(self) -> tuple[Goal, ...]:
        """The promises that name another image."""
        return tuple(goal for goal in self.moves if goal.before and goal.is_promise)

    @property
    def others(self) -> tuple[tuple[str, Repository], ...]:
        """The repositories that the image is to be in beside its own."""
        found = {goal.name: goal.repository for goal in self.moves if not self._is_source(goal.repository)}
        return tuple(found.items())

    def give(self, goal: Goal, *, force: bool) -> None:
        """Let a tag name the image; a promise is looked at before each try: another release may have come meanwhile.

        Raises:
            Refused: the tag is a promise, and names another image by now.
            RegistryError: the registry refuses or fails.
        """

        def put() -> None:
            if goal.is_promise and not force:
                found = goal.repository.digest(goal.tag) or ""
                if found not in {"", self.digest}:
                    self._there[goal.reference] = found
                    refuse((replace(goal, before=found),), self.digest, force=False)
            goal.repository.put(self.manifest, goal.tag, once=True)

        if goal.before:
            told = f"{goal.reference} named {goal.before}, and {'is replaced' if goal.is_promise else 'moves'}"
            self._scope.events(Notice(told, "warning" if goal.is_promise else "info"))
        goal.repository.connection.trying(put)
        self._there[goal.reference] = self.digest

    def confirm(self) -> None:
        """Ask again what each tag names; registries cannot compare and swap.

        Raises:
            RegistryError: one names something else.
        """
        if self.moves:
            cancelling.sleep(_SETTLING)
        for goal in self.goals:
            self._there[goal.reference] = goal.repository.digest(goal.tag) or ""
        lost = [goal for goal in self.goals if self._there[goal.reference] != self.digest]
        if lost:
            said = ", ".join(f"{one.reference} names {self._there[one.reference] or 'nothing'}" for one in lost)
            raise RegistryError(
                f"somebody else was faster: {said}, and not {self.digest}",
                host=lost[0].repository.host,
                hint="Find out which of the two is right, and promote that one again.",
            )

    @contextmanager
    def told(self) -> Iterator[None]:
        """Let an error say what each tag names, once any was given."""
        try:
            yield
        except TinyshipError as error:
            if any(self._there[goal.reference] != goal.before for goal in self.goals):
                error.tail = (*error.tail, *self._standing())
            raise

    def write(self) -> None:
        """Take tags that name another image by now out of what the record says was pushed."""
        now = {str(reference.parse(name)): digest for name, digest in self._there.items()}

        def change(entry: Release) -> Release:
            pushed = (
                one for one in entry.pushed if now.get(str(reference.parse(one.reference)), one.digest) == one.digest
            )
            return replace(entry, pushed=tuple(pushed))

        try:
            for entry in record.read(self._scope.root).images:
                if change(entry) != entry:
                    record.amend(self._scope.root, entry, change)
        except TinyshipError as error:
            self._scope.events(Notice(f"the record is as it was: {error.message}", "warning"))

    def _standing(self) -> Iterator[str]:
        for name, found in self._there.items():
            yield f"{name} {'is not there' if not found else 'names it' if found == self.digest else f'names {found}'}"

    def _is_source(self, repository: Repository) -> bool:
        return (repository.host, repository.name) == (self.source.host, self.source.name)

    def _goal(self, name: str, tag: str) -> Goal:
        repository = self._repository(name)
        settings = self._scope.settings
        stays = promises.is_promise(
            tag,
            settings.push.tags,
            settings.version.scheme,
            lambda: _versions(self._scope),
        )
        return Goal(repository, name, tag, repository.digest(tag) or "", stays)

    def _repository(self, name: str) -> Repository:
        if name not in self._open:
            self._open[name] = self._stack.enter_context(self._scope.repository(name))
        return self._open[name]


def _versions(scope: Scope) -> tuple[str, ...]:
    """The project's versions, as git tells them; none where there is no git, which a promotion can do without."""
    try:
        return revision.known_versions(scope.root, scope.settings.version)
    except GitError:
        return ()


def refuse(taken: Sequence[Goal], digest: str, *, force: bool) -> None:
    """Raise where promises name another image.

    Args:
        taken: those.
        digest: that they were to name.
        force: not to.

    Raises:
        Refused: they do.
    """
    if taken and not force:
        lines = "\n".join(f"    {goal.reference} is {goal.before}" for goal in taken)
        raise Refused(
            f"another image has {'this tag' if len(taken) == 1 else 'these tags'} already, "
            f"and what was to be promoted is {digest}:\n{lines}",
            hint="The tag of a version or of a commit stays what it is: promote to another tag, or with `--force`.",
        )
