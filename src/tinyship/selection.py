"""The images of a project that are meant, with their settings, and what their stages work with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyship.events import Events, ignore

if TYPE_CHECKING:
    from typing import Self

    from tinyship.running.cancelling import Cancellation
    from tinyship.settings.load import Loaded
    from tinyship.stages.changed import Changed
    from tinyship.stages.hooks import Tasks
    from tinyship.stages.scope import Scope


@dataclass(frozen=True)
class Selection:
    """Images of one config.

    Args:
        root: the project's folder.
        images: the settings of each image, with where each came from, in an order in which they can be made.
        events: gets what happens while stages run; see ``tinyship.events``.
        stages: functions that take the place of ours, by the name of the stage; see ``tinyship.collection``.
        tasks: runs the tasks that hooks name; where it is None, a stage with such a hook is an error.
        cancellation: ends what is done, from another thread; nothing but Ctrl-C does where it is None.
    """

    root: Path
    images: tuple[Loaded, ...]
    events: Events = ignore
    stages: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    tasks: Tasks | None = None
    cancellation: Cancellation | None = None

    @classmethod
    def load(
        cls,
        path: str | Path = ".",
        *,
        image: str = "",
        images: Sequence[str] = (),
        events: Events = ignore,
        stages: Mapping[str, Callable[..., Any]] | None = None,
        tasks: Tasks | None = None,
        cancellation: Cancellation | None = None,
    ) -> Self:
        """The project whose folder is ``path`` or the nearest one above it that has a config.

        Args:
            path: a folder of the project.
            image: the name of one entry of ``images``, for that one alone; all of them where empty.
            images: as for ``selected``.
            events: gets what happens while stages run.
            stages: functions that take the place of ours, by the name of the stage.
            tasks: runs the tasks that hooks name.
            cancellation: whatever is done raises ``Cancelled`` when another thread calls its ``cancel``.

        Raises:
            ConfigError: there is no config, or something in it is wrong.
        """
        from tinyship.settings import invoke_config, load

        root = invoke_config.find_root(Path(path))
        loaded = load.load(invoke_config.of_project(root), image=image)
        found = cls(root, loaded, events, dict(stages or {}), tasks, cancellation)
        return found.selected(images) if images else found

    def selected(
        self, images: Sequence[str] = (), *, among: Collection[str] | None = None, with_needs: bool = True
    ) -> Self:
        """This project with some of its images, each after those that it stands on.

        Args:
            images: names of entries of ``images``, or globs of such; all where there are none.
            among: of these only those, like ``changed(since).names``; none is left out where it is None.
            with_needs: those too that they stand on.

        Raises:
            ConfigError: there is no such entry, or images stand on each other.
        """
        if len(self.images) < 2 and not images and among is None:
            return self
        from tinyship import several

        with self.scopes() as scopes:
            found = several.select(scopes, images, among=among, with_needs=with_needs)
        names = [scope.name for scope in found]
        by_name = {loaded.name: loaded for loaded in self.images}
        return replace(self, images=tuple(by_name[name] for name in names))

    def versioned(self, version: str | None) -> Self:
        """This project with a version for whatever is done with it, as if ``version.literal`` were that.

        Args:
            version: with or without what git tags have before it: "2.0.1", "v2.0.1"; with None, the project is as
                it was.

        Raises:
            ConfigError: it is no version as ``version.scheme`` has it.
        """
        if version is None:
            return self
        from tinyship.git import revision
        from tinyship.settings import load

        images = tuple(
            load.overlaid(one, {"version": revision.given(one.settings.version, version)}, "--version")
            for one in self.images
        )
        return replace(self, images=images)

    def changed(self, since: str) -> Changed:
        """Which images have inputs that changed since a git revision, committed or not, and which these are.

        Args:
            since: what git knows as a commit, like ``origin/main``: what counts is what changed since HEAD's history
                left that one's.

        Raises:
            ConfigError: git knows no such commit.
            GitError: there is no repository, or its history is cut off before the commit.
        """
        from tinyship import several

        with self.scopes() as scopes:
            return several.changed(scopes, since)

    @contextmanager
    def scopes(self) -> Iterator[tuple[Scope, ...]]:
        """What the stages of each image work with; one engine serves all, and is closed at the end."""
        from tinyship.running import cancelling
        from tinyship.running.together import Together
        from tinyship.stages.scope import Scope

        together = Together()
        made = tuple(
            Scope(
                self.root,
                loaded.settings,
                self.events,
                origins=loaded.origins,
                repositories=loaded.repositories,
                bases=loaded.bases,
                name=loaded.name,
                owners=loaded.owners,
                together=together,
                stages=self.stages,
                tasks=self.tasks,
            )
            for loaded in self.images
        )
        with ExitStack() as stack:
            if given := self.cancellation:
                given.check()
                together.cancellation.is_programs = True
                stack.callback(given.hold(together.cancellation.cancel))
                stack.enter_context(given.telling())
            stack.enter_context(cancelling.under(together.cancellation))
            for scope in made:
                stack.callback(scope.close)
            yield made
            if given:
                together.cancellation.confirm()  # it was ended: that is no fault of an engine or a registry to tell of
