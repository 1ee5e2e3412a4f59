"""What every stage works with: one image's settings, its project's root, the engine, and what git says."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from tinyship import credentials, reference
from tinyship.engine import images
from tinyship.engine.connect import Engine, connect
from tinyship.engine.images import Image
from tinyship.errors import ConfigError, RegistryError, TinyshipError
from tinyship.events import Events, Notice, StageEnded, StageStarted, ignore
from tinyship.git import revision
from tinyship.git.revision import Revision
from tinyship.kept import unmoved
from tinyship.running import cancelling
from tinyship.running.together import Together
from tinyship.settings import options

if TYPE_CHECKING:
    from tinyship.context.fingerprint import Fingerprint
    from tinyship.context.source import Context
    from tinyship.registry.client import Repository
    from tinyship.registry.transport import Network
    from tinyship.settings.schema import Settings
    from tinyship.stages.hooks import Tasks

_PATIENCE = 30.0
"""Seconds that a registry may take for an answer, at most."""
_BRIEFLY = 10.0
"""Seconds that a mirror may take, at most: its registry can be asked instead."""


@dataclass(frozen=True)
class Scope:
    """One image of a project while its stages run. The engine is connected, and git asked, when first needed.

    Args:
        root: the project's folder; the paths of the settings are relative to it.
        settings: of this image.
        events: gets what happens.
        origins: where each setting came from.
        repositories: the names of all images of the project; see ``settings.load.Loaded``.
        bases: the names of the base images that the project makes.
        name: of the image's entry in ``images``; empty where the project has one image.
        owners: for which image a base image is made that several have; see ``settings.load.Loaded``.
        together: what it shares with the other images of a run.
        connect: makes the engine; called once, and only when an engine is needed.
        stages: functions that take the place of ours, by the name of the stage.
        tasks: runs the tasks that hooks name; None where nobody can.
    """

    root: Path
    settings: Settings
    events: Events = ignore
    origins: Mapping[str, str] = field(default_factory=dict)
    repositories: frozenset[str] = frozenset()
    bases: frozenset[str] = frozenset()
    name: str = ""
    owners: Mapping[str, str] = field(default_factory=dict)
    together: Together = field(default_factory=Together)
    connect: Callable[[], Engine] = connect
    stages: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    tasks: Tasks | None = None
    _beginnings: dict[str, Callable[[], bool]] = field(default_factory=dict, init=False, repr=False)
    _credentials: dict[str, credentials.Credential | None] = field(default_factory=dict, init=False, repr=False)
    _told: set[str] = field(default_factory=set, init=False, repr=False)
    _files: dict[tuple[Path, tuple[str, ...]], Fingerprint] = field(default_factory=dict, init=False, repr=False)
    _images: dict[tuple[int, str], Image | None] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def engine(self) -> Engine:
        """The engine that everything of this scope happens in."""
        return self.together.once("engine", self.connect)

    @cached_property
    def revision(self) -> Revision:
        """What git said when it was first asked."""
        return self._said.revision

    @property
    def tree(self) -> str:
        """What ``revision.state`` says of the tree: as it was with the revision, until something is made or run."""
        said = None if self.together.works else self._said.tree
        return revision.state(self.root)[1] if said is None else said

    def ask_git(self) -> None:
        """Have git asked in a thread: who wants the revision waits for what is left of that, and gets its errors."""

        def ask() -> None:
            with suppress(Exception):
                self.revision  # noqa: B018

        threading.Thread(target=cancelling.carried(ask), daemon=True, name="tinyship-git").start()

    def keep_revision(self) -> None:
        """Keep what git said for later runs, or note that what was kept was of use."""
        keep = unmoved.of_use if self._said.is_kept else unmoved.keep
        keep(self.root, self.settings.version)

    @cached_property
    def _said(self) -> unmoved.Known:
        version = self.settings.version
        return self.together.once(("revision", self.root, version), lambda: unmoved.read(self.root, version))

    def credential(self, reference: str) -> credentials.Credential | None:
        """The credentials for the registry of a reference; whoever keeps them is asked once.

        Raises:
            RegistryError: the Docker config, or the helper that it names, is of no use.
        """
        host = credentials.host_of(reference)
        if host not in self._credentials:
            self._credentials[host] = credentials.find(host)
        return self._credentials[host]

    def repository(self, name: str, *, writing: bool = False) -> Repository:
        """The client of a repository, ``[registry/]name``; to be closed or used in a `with`.

        Args:
            writing: whether something is to be pushed there.

        Raises:
            ConfigError: there can be no repository of this name.
            RegistryError: see ``credential``.
        """
        from tinyship.registry.client import Repository
        from tinyship.registry.retry import Patience

        timeout = min(_PATIENCE, self.settings.push.timeout)
        return Repository(
            name,
            credential=self.credential(name),
            timeout=timeout,
            patience=Patience(total=max(10.0, 2 * timeout)),
            network=self.network,
            events=self.events,
            writing=writing,
        )

    def reading(self, name: str) -> Repository:
        """The client of a repository for those who only read what others publish: a mirror of it is asked first.

        What this project pushes is never read so: a mirror may be older. Arguments and errors are as ``repository``'s.
        """
        wanted = reference.parse(name)
        mirror = self.network.mirrors.get(wanted.host)
        if not mirror or wanted.repository in self._pushed(wanted.host):
            return self.repository(name)
        from tinyship.registry.client import Repository
        from tinyship.registry.mirrors import BRIEF, Mirrored

        there = f"{mirror}/{wanted.repository}"
        timeout = min(_PATIENCE, self.settings.push.timeout)
        more = {"network": self.network, "events": self.events}
        credential, ours = self.credential(there), self.credential(name)
        nearer = Repository(
            there, credential=credential, timeout=min(_BRIEFLY, timeout), patience=BRIEF, network=self.network
        )
        return Mirrored(name, mirror=nearer, missed=self._missed, credential=ours, timeout=timeout, **more)

    def _pushed(self, host: str) -> set[str]:
        """The repositories at a registry that this project pushes to."""
        names = {self.settings.image, *self.repositories} - {""}
        to = [f"{registry}/" for registry in self.settings.push.to] or [""]
        every = (reference.parse(f"{registry}{name}") for registry in to for name in names)
        return {one.repository for one in every if one.host == host}

    def _missed(self, error: RegistryError) -> None:
        """Tell once of each mirror that it did not help."""
        if error.host not in self._told:
            self._told.add(error.host)
            self.events(Notice(f"the mirror {error.host} does not help: {error.message}", "warning"))

    @cached_property
    def network(self) -> Network:
        """How registries are reached.

        Raises:
            ConfigError: the file of the setting ``ca`` is not there.
        """
        from tinyship.registry.transport import Network

        settings = self.settings
        return Network(
            ca=str(self.ca or ""),
            insecure=settings.insecure,
            proxy=settings.proxy,
            no_proxy=settings.no_proxy,
            mirrors=dict(options.mirror(entry) for entry in settings.mirrors),
        )

    @cached_property
    def ca(self) -> Path | None:
        """The file of the setting ``ca``; None where there is none.

        Raises:
            ConfigError: it is not there.
        """
        if not self.settings.ca:
            return None
        file = self.root / Path(self.settings.ca).expanduser()
        if not file.is_file():
            raise ConfigError(f"{self.origins.get('ca', 'the config')}: `tinyship.ca`: there is no file {file}")
        return file

    def close(self) -> None:
        """Close the engine's connections, if there are any."""
        if "engine" in self.__dict__:
            self.engine.close()

    def context(self, stage: str, context: str, file: str) -> Context:
        """The files that a stage sends to the builder.

        Raises:
            ContextError: the folder or the Dockerfile is missing or unusable; names the stage.
        """
        from tinyship.context.source import Context

        try:
            # What tinyship keeps changes with every release, and must not change the next image.
            return Context.open(
                (self.root / context).resolve(),
                self.root / file,
                without=self.root.resolve() / ".tinyship",
                project=self.root,
            )
        except TinyshipError as error:
            raise error.at(stage, self.settings.image) from None

    def files(self, root: Path, patterns: tuple[str, ...], *, again: bool = False) -> Fingerprint:
        """What a context holds. It is looked at once, until something is made.

        Args:
            root: the context's folder, absolute.
            patterns: of what is ignored.
            again: look anew.

        Raises:
            ContextError: a file or folder cannot be read.
        """
        from tinyship.context import fingerprint
        from tinyship.context.ignore import Matcher

        key = (root, patterns)
        if again or key not in self._files:
            name = hashlib.sha256(repr(key).encode("utf-8", "surrogateescape")).hexdigest()[:20]
            self._files[key] = fingerprint.of_folder(
                root,
                Matcher(patterns),
                rules=patterns,
                state_root=self.root,
                name=name,
                remember=self.together.remembers,
            )
        return self._files[key]

    def image(self, reference: str) -> Image | None:
        """The image with this reference or id; None where the engine has none.

        It is asked once, as for ``files``, until some image of the run is made: that may pull what others stand on.
        """
        key = (self.together.works, reference)
        if key not in self._images:
            self._images[key] = images.find(self.engine, reference)
        return self._images[key]

    def forget(self) -> None:
        """Look at files and images anew from now on, because something is made that may change them."""
        self.together.worked()
        self._files.clear()
        self._images.clear()

    @contextmanager
    def beginning(self, stage: str, begin: Callable[[], bool]) -> Iterator[None]:
        """Have something done when a stage turns out to have work, before it begins with it.

        Args:
            begin: does it; returns whether files may be others now.
        """
        self._beginnings[stage] = begin
        try:
            yield
        finally:
            self._beginnings.pop(stage, None)

    def works(self, stage: str) -> bool:
        """A stage has work. Returns whether files may be others now than they were when it looked at them."""
        begin = self._beginnings.pop(stage, None)
        return bool(begin and begin())

    def placed(self, error: TinyshipError, stage: str, image: str) -> TinyshipError:
        """An error with its stage and image, where it is not one that several images share."""
        return error if self.together.is_common(error) else error.at(stage, image)

    @contextmanager
    def stage(self, stage: str, image: str, action: str) -> Iterator[Outcome]:
        """Tell what begins and how it ended, and give every error on the way its stage and image; see ``placed``."""
        self.together.cancellation.check()
        self.events(StageStarted(stage, image, action))
        begun = time.monotonic()
        outcome = Outcome()
        try:
            with self.together.cancellation.telling():
                yield outcome
        except TinyshipError as error:
            raise self.placed(error, stage, image) from error.__cause__
        outcome.seconds = time.monotonic() - begun
        self.events(StageEnded(stage, image, outcome.word, outcome.seconds))


class Outcome(Struct):
    """How a stage ended: a word, and the seconds that it took."""

    word: str = "done"
    seconds: float = 0.0


class Made(Struct, frozen=True):
    """An image that a stage made, or found to be up to date.

    ``made_from`` says what of: "Dockerfile docker/base/Dockerfile", "command `python rootfs.py`", "pull sha256:...".
    """

    stage: str
    image: str
    id: str
    outcome: str
    seconds: float
    made_from: str = ""
