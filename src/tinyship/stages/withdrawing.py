"""Takes old images out of the registries of ``push.to``: looks at everything, and again before anything is deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from tinyship.cleaning import withdrawal
from tinyship.cleaning.retention import EVER, Cleaned, Verdict
from tinyship.cleaning.stock import Known, Rules
from tinyship.cleaning.withdrawal import Going, Judgement
from tinyship.errors import RegistryError
from tinyship.git import versiontags
from tinyship.git.repository import around, run
from tinyship.kept import history, record, turns
from tinyship.running import cancelling
from tinyship.stages import clean, goals, tally
from tinyship.stages import history as kept
from tinyship.stages.scope import Scope
from tinyship.stages.tally import Tally
from tinyship.tagging import tags

if TYPE_CHECKING:
    from tinyship.registry.client import Repository
    from tinyship.registry.contents import Contents

TASK = "clean.registry"
_REFERENCED = {400, 409, 412}
"""What some registries answer to the deletion of a digest that has tags."""


@dataclass
class Shelf:
    """A repository of one image as it was at the first look, and what is deleted there.

    Args:
        scope: of the image.
        name: ``[registry/]repository``, as the settings have it.
        repository: the client.
        contents: what was there when it was looked at last.
        judgement: what becomes of it.

    Attributes:
        gone: digests that were deleted.
    """

    scope: Scope
    name: str
    repository: Repository
    contents: Contents
    judgement: Judgement
    gone: set[str] = field(default_factory=set, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    @property
    def going(self) -> tuple[Going, ...]:
        """What goes, in its order."""
        return tuple(one for some in self.judgement.rounds for one in some)

    def withdraw(self, tally: Tally, ask: Callable[[], None]) -> None:
        """Delete what goes, as far as it still does at a second look; nothing that came meanwhile is touched.

        Args:
            tally: gets each tag and each manifest that is gone, once the registry has it no more.
            ask: is called before each deletion, and raises where there must be none any more.

        Raises:
            RegistryError: the registry refuses or fails, or has what it says that it deleted.
        """
        from tinyship.registry.contents import each, read_all

        if not self.going:
            return
        with self.scope.stage("clean", self.name, f"deleting {len(self.going)} manifests") as outcome:
            now = read_all(self.repository, self.contents.manifests)
            judgement = withdrawal.judge(self.name, now, _rules(self.scope), _known(self.scope), only=self.going)
            self._tell_of_changes(now, judgement, tally)
            self.contents = now
            for some in judgement.rounds:
                each(partial(self._delete, tally, ask), some)
            outcome.word = f"{len(self.gone)} deleted"

    def _tell_of_changes(self, now: Contents, judgement: Judgement, tally: Tally) -> None:
        """Refuse what was to go at the first look, and does not any more; what is gone by itself is none of ours."""
        reasons = {name: one.reason for one in judgement.verdicts if one.stays for name in (one.name, *one.also)}
        for one in self.going:
            for tag in one.tags:
                name = f"{self.name}:{tag}"
                if tag in now.tags and name in reasons:
                    tally.refused("tag", name, reasons[name])

    def _delete(self, tally: Tally, ask: Callable[[], None], one: Going) -> None:
        """Delete one manifest with its tags, unless one of them names something else by now."""
        repository = self.repository
        if not self.gone.issuperset(one.held):
            self._refuse(tally, one, "what it belongs to is still there")
            return
        for tag in one.tags:
            if repository.digest(tag) != one.digest:
                self._refuse(tally, one, f"`{tag}` is gone, or names something else by now")
                return
        ask()
        with cancelling.shielded():  # what is begun comes to its end, and is told of
            self._delete_now(tally, one)

    def _delete_now(self, tally: Tally, one: Going) -> None:
        repository = self.repository
        alone: list[str] = []
        try:
            self._take(one, alone)
        except RegistryError as error:
            if self._is_there(one.digest, error):
                raise _explained(error, self.name) from error
        else:
            if repository.exists(one.digest):
                raise RegistryError(
                    f"{repository.host} said that {self.name}@{one.digest} is deleted, and has it still",
                    host=repository.host,
                    hint="Some registries need a moment: run it again.",
                )
        finally:
            self._told(alone, tally)
        self._told([tag for tag in one.tags if tag not in alone], tally)
        with self._lock:
            self.gone.add(one.digest)
        tally.gone("manifest", f"{self.name}@{one.digest}")

    def _take(self, one: Going, alone: list[str]) -> None:
        """Have the registry delete a manifest; where it does not while tags name it, these first, and say which."""
        try:
            self.repository.delete(one.digest)
        except RegistryError as error:
            if not one.tags or error.status not in _REFERENCED:
                raise
            for tag in one.tags:
                if self.repository.digest(tag) != one.digest:
                    raise
                self._untag(tag, error)
                alone.append(tag)
            self.repository.delete(one.digest)

    def _told(self, gone: Sequence[str], tally: Tally) -> None:
        for tag in gone:
            tally.gone("tag", f"{self.name}:{tag}")

    def _untag(self, tag: str, refusal: RegistryError) -> None:
        """Delete a tag alone; a registry that cannot do that has told why already."""
        try:
            self.repository.delete(tag)
        except RegistryError as error:
            if error.status == 404:
                return
            raise (refusal if error.status in {405, *_REFERENCED} else error) from None

    def _is_there(self, digest: str, error: RegistryError) -> bool:
        """Whether a manifest is there after a deletion that failed: an answer may be lost, and the work be done."""
        try:
            return self.repository.exists(digest)
        except RegistryError:
            raise error from None

    def _refuse(self, tally: Tally, one: Going, why: str) -> None:
        for name in [f"{self.name}:{tag}" for tag in one.tags] or [f"{self.name}@{one.digest}"]:
            tally.refused("tag" if one.tags else "manifest", name, why)


def withdraw(
    scopes: Sequence[Scope], *, yes: bool = False, show: Callable[[Sequence[Shelf]], None] = lambda _: None
) -> Cleaned:
    """Take out of the registries of ``push.to`` what goes; the report is in ``.tinyship/clean.json`` however it ends.

    Args:
        scopes: of the images of a project.
        yes: even where more goes than a share of everything, ``clean.ask_above``.
        show: gets what was found, before anything is deleted.

    Raises:
        Refused: too much would go; or a release has begun, or something else is cleaning.
        GitError: git does not say which tags there are.
        RegistryError: a registry does not say what it has.
        CleanStopped: a registry refused, failed, or a release began, and this has what was done until then.
    """
    root = scopes[0].root
    with turns.cleaning(root) as ask, looked(scopes) as shelves:
        show(shelves)
        if not yes:
            clean.refuse_much(ours(shelves), above(scopes))
        stayed = [one for one in judged(shelves) if one.stays]
        with tally.reported(root, TASK, stayed) as done:
            try:
                for shelf in shelves:
                    shelf.withdraw(done, ask)
            finally:
                done.freeable = freeable([(shelf, shelf.gone) for shelf in shelves])
    return done.cleaned()


def judged(shelves: Sequence[Shelf]) -> tuple[Verdict, ...]:
    """What becomes of everything."""
    return tuple(one for shelf in shelves for one in shelf.judgement.verdicts)


def freeable(gone: Iterable[tuple[Shelf, Iterable[str]]]) -> int:
    """The bytes at most that registries can free when these digests are gone."""
    hosts: dict[str, list[tuple[Contents, Iterable[str]]]] = {}
    for shelf, digests in gone:
        hosts.setdefault(shelf.repository.host, []).append((shelf.contents, digests))
    return sum(withdrawal.unneeded(some) for some in hosts.values())


def outlook(shelves: Sequence[Shelf]) -> int:
    """The bytes at most that registries can free when all is gone that goes."""
    return freeable((shelf, [one.digest for one in shelf.going]) for shelf in shelves)


def ours(shelves: Sequence[Shelf]) -> tuple[Verdict, ...]:
    """What becomes of this project's images."""
    return tuple(one for shelf in shelves for one in shelf.judgement.ours)


def above(scopes: Sequence[Scope]) -> float:
    """The share of everything above which `--yes` is wanted."""
    return min(scope.settings.clean.ask_above for scope in scopes)


@contextmanager
def looked(scopes: Sequence[Scope]) -> Iterator[tuple[Shelf, ...]]:
    """A first look at each repository that images of a project are pushed to.

    Raises:
        RegistryError: a registry does not say what it has.
        GitError: git does not say which tags there are.
    """
    from tinyship.registry.contents import read_all

    with ExitStack() as stack:
        found = []
        for scope in scopes:
            known = _known(scope)
            for name in goals.repositories(scope.settings):
                with scope.stage("clean", name, "asking the registry"):
                    repository = stack.enter_context(scope.repository(name))
                    contents = read_all(repository)
                judgement = withdrawal.judge(name, contents, _rules(scope), known)
                found.append(Shelf(scope, name, repository, contents, judgement))
        yield tuple(found)


def _rules(scope: Scope) -> Rules:
    settings = scope.settings
    mine = settings.clean.registry
    return Rules(
        project=settings.image,
        templates=settings.push.tags,
        scheme=settings.version.scheme,
        keep=mine.keep,
        age=mine.younger,
        stay=mine.versions,
    )


def _known(scope: Scope) -> Known:
    """What the record, the history and git know at this moment."""
    entries = kept.known(scope)
    dated = [(entry, when) for entry in entries if (when := history.moment(entry.recorded)) != EVER]
    pushed = (one for release in record.read(scope.root).images for one in release.pushed)
    named = versiontags.read(scope.root, scope.settings.version)
    return Known(
        recorded=frozenset(one.digest for one in pushed),
        versions={tag.version: tag.name for tag in named},
        commits={tag.commit: tag.name for tag in reversed(named)},
        released={entry.digest: when for entry, when in dated if entry.digest},
        dates={(tags.sanitise(entry.version), entry.commit): when for entry, when in dated},
        cut_off=_is_cut_off(scope.root),
    )


def _is_cut_off(root: Path) -> bool:
    """Whether the clone is shallow, so that tags may be missing."""
    found = around(root)
    if found is None:
        return False
    with found:
        return run(found, "rev-parse", "--is-shallow-repository").strip() == "true"


def _explained(error: RegistryError, name: str) -> RegistryError:
    """The error of a deletion, with the way out that deletions have."""
    if error.status == 405:
        error.message = f"{error.host} does not delete (status 405): nothing can be taken out of {name}"
        error.hint = (
            "A CNCF distribution deletes where it is started with `REGISTRY_STORAGE_DELETE_ENABLED=true`; some "
            "registries delete in their own pages only, or by rules of theirs."
        )
    elif error.status in {401, 403}:
        error.hint = (
            f"`docker login {error.host}` stores credentials; may they delete here? That is a right beside pushing."
        )
    return error
