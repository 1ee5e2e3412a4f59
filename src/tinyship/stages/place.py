"""One repository that a release is pushed to: what its tags name, and how they come to name the release."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from tinyship.errors import RegistryError
from tinyship.kept.record import Release
from tinyship.registry.client import Repository
from tinyship.registry.manifest import Manifest
from tinyship.running import cancelling, parallel
from tinyship.stages import goals
from tinyship.stages.scope import Scope

AT_ONCE = 4
"""Questions to one registry at the same time, at most."""
_LISTING = "all tags"  # no tag has this name
_FRESH = 0.05
"""Seconds for which an answer is as good as a new one."""
_SETTLING = 0.1
"""Seconds, at least, between giving a tag and asking for it again: longer than another release takes for the same."""


@dataclass
class Place:
    """A repository in a registry, as a push sees it.

    Args:
        name: ``[registry/]repository``, as the settings have it.
        repository: the client that asks.
        release: what is pushed.
        there: the digest that each tag names; without the tags that are not there.
        digest: of the release's manifest here; empty until that is known.
        was_given: whether any tag was given to it.
        promised: when the last tag that never moves was given to it, of ``time.monotonic``; 0.0 where none was.
        same: for each digest that was looked at, whether it is this image.
        seen: all tags of the repository, as they were at a look that asked for them.
        looked: when the registry last said what each tag names, of ``time.monotonic``.
    """

    name: str
    repository: Repository
    release: Release
    there: dict[str, str] = field(default_factory=dict)
    digest: str = ""
    was_given: bool = False
    promised: float = 0.0
    same: dict[str, bool] = field(default_factory=dict)
    seen: tuple[str, ...] | None = None
    looked: dict[str, float] = field(default_factory=dict)

    def look(self, tags: Iterable[str], *, listing: bool = False, first: bool = False) -> None:
        """Ask what these tags name, all at the same time: a registry may be far away.

        Args:
            listing: ask for the list of all tags as well, for ``seen``.
            first: nothing was asked before, so that one question goes alone: whoever is refused, or not trusted, is so
                once.

        Raises:
            RegistryError: the registry does not say.
        """
        asked: dict[str, Callable[[], Any]] = {tag: partial(self.repository.digest, tag) for tag in tags}
        names = [*asked, _LISTING] if listing else [*asked]
        alone = names[:1] if first else []
        needs = {name: alone if name not in alone else [] for name in names}
        ask = cancelling.carried(lambda name: asked.get(name, self.listed)())
        said = parallel.run(needs, ask, jobs=AT_ONCE, patience=0)
        for error in said.failed.values():
            raise error
        self.seen = said.done.pop(_LISTING, None)
        for tag, found in said.done.items():
            self._note(tag, found or "")

    def ask(self, tag: str) -> str:
        """The digest that one tag names now; empty where it is not there."""
        found = self.repository.digest(tag) or ""
        self._note(tag, found)
        return found

    def has_just_said(self, tag: str) -> bool:
        """Whether the registry said a moment ago what a tag names."""
        return time.monotonic() - self.looked.get(tag, -_FRESH) < _FRESH

    def _note(self, tag: str, found: str) -> None:
        self.looked[tag] = time.monotonic()
        if found:
            self.there[tag] = found
        else:
            self.there.pop(tag, None)

    @cached_property
    def known(self) -> tuple[str, ...]:
        """All tags of the repository, as they were when this was first asked; none where it is not there yet."""
        return self.listed()

    def listed(self) -> tuple[str, ...]:
        """All tags of the repository now."""
        try:
            return self.repository.tags()
        except RegistryError as error:
            if error.status == 404:
                return ()
            raise

    def find(self, candidates: Iterable[str]) -> None:
        """See whether the image is here already: by a tag that names it, or by a digest that it had here before.

        Args:
            candidates: digests that this image had in this repository, as the record and the engine know.
        """
        known = list(dict.fromkeys(candidates))
        for digest in self.there.values():
            if digest in known or self.is_ours(digest):
                self.digest = digest
                return
        self.digest = next((digest for digest in known if self.repository.digest(digest)), "")

    def is_ours(self, digest: str) -> bool:
        """Whether a manifest here is the image that is released, whatever it is compressed with.

        With an engine's graph driver the release's id is the digest of a config, which is compared. With the containerd
        store it is that of the manifest or the index itself.
        """
        if digest in {self.digest, self.release.id}:
            return True
        if not self.release.id:
            return False
        if digest not in self.same:
            self.same[digest] = self._config(digest) == self.release.id
        return self.same[digest]

    def is_of_release(self) -> bool:
        """Whether the manifest here is the release's; of several platforms the engine may push fewer than it has."""
        return self.manifest.is_index or self.digest == self.release.id or self._config(self.digest) == self.release.id

    def has(self, tag: str) -> bool:
        """Whether a tag named the image when it was asked for last."""
        return tag in self.there and self.is_ours(self.there[tag])

    def others(self, tags: Iterable[str]) -> dict[str, str]:
        """Of these tags, those that name another image, and its digest."""
        return {tag: self.there[tag] for tag in tags if tag in self.there and not self.has(tag)}

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of the release, byte by byte as the registry has it."""
        return self.repository.manifest(self.digest)

    def give(self, tag: str, *, moving: bool) -> None:
        """Let a tag name the release; tried once, because what it names has to be looked at before each try."""
        self.repository.put(self.manifest, tag, once=True)
        self.there[tag] = self.digest
        self.was_given = True
        if not moving:
            self.promised = time.monotonic()

    def confirm(self, tags: Sequence[str]) -> dict[str, str]:
        """Ask again; returns what names something else by now, and what, where it is there at all.

        Registries cannot compare and swap. Another release that looked before we put, and puts after, has done so
        within the time that one request takes: that long is waited here before the last question.
        """
        if self.promised:
            cancelling.sleep(max(0.0, self.promised + _SETTLING - time.monotonic()))
        return self.changed(tags)

    def changed(self, tags: Sequence[str]) -> dict[str, str]:
        """Ask what tags name, as ``look`` does; returns those that do not name the release, with what they name."""
        self.look(tags)
        named = {tag: self.there.get(tag, "") for tag in tags}
        return {tag: found for tag, found in named.items() if not (found and self.is_ours(found))}

    def _config(self, digest: str) -> str:
        """The digest of the config of an image here; empty where it is none, or gone."""
        try:
            found = self.manifest if digest == self.digest else self.repository.manifest(digest)
        except RegistryError as error:
            if error.status == 404:
                return ""
            raise
        config = found.parsed().get("config") if not found.is_index else None
        return str(config.get("digest") or "") if isinstance(config, dict) else ""


@contextmanager
def places(scope: Scope, release: Release) -> Iterator[tuple[Place, ...]]:
    """The repositories of ``push.to``, to be asked."""
    with ExitStack() as stack:
        yield tuple(
            Place(name, stack.enter_context(scope.repository(name, writing=True)), release)
            for name in goals.repositories(scope.settings)
        )
