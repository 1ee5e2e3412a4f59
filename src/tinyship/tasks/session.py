"""One run of one task: settings from Invoke, a console, and the one place where errors become exit codes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from invoke.collection import Collection as Tasks
from invoke.context import Context
from invoke.exceptions import Exit

from tinyship.console.console import Console
from tinyship.errors import BudgetExceeded, CleanStopped, ConfigError, ImagesFailed, TinyshipError
from tinyship.plan import Plan
from tinyship.project import Project
from tinyship.settings import invoke_config, load
from tinyship.stages.scope import Scope
from tinyship.tasks import hooks
from tinyship.tasks.commands import Commands
from tinyship.tasks.spec import Spec

INTERRUPTED = 130

_PLANNED: dict[Path, str | None] = {}
"""By a project's folder: the version that a dry release in this process was given; None where it was given none."""


@dataclass(frozen=True)
class Session:
    """What the body of a task works with.

    Args:
        project: its images, with their settings as Invoke merged them.
        console: shows what happens and what came of it.
        dry: only say what would be done (Invoke's ``--dry``).
    """

    project: Project
    console: Console
    dry: bool

    def with_flags(self, **flags: bool) -> Session:
        """This session with the settings of these names turned on by flags, where the flags are given."""
        given = {name: True for name, is_given in flags.items() if is_given}
        source = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        images = tuple(load.overlaid(loaded, given, source) for loaded in self.project.images)
        return replace(self, project=replace(self.project, images=images)) if given else self

    def selected(
        self, images: Sequence[str] | None, *, among: Collection[str] | None = None, with_needs: bool = True
    ) -> Session:
        """This session with some of its images; see ``Project.selected``."""
        return replace(self, project=self.project.selected(images or (), among=among, with_needs=with_needs))

    def explaining(self, explain: bool) -> Session:
        """This session; where that is asked for, its console says why something is worked on, or not."""
        if explain:
            self.console.explain()
        return self

    def with_version(self, version: str | None) -> Session:
        """This session with a version for every image, where one is given; an empty one is an error."""
        return replace(self, project=self.project.versioned(version))

    def plans_release(self, version: str | None) -> None:
        """Let the plan of a push after this, in the same dry run, be that of the release that is planned here."""
        _PLANNED[self.project.root] = version

    def after_planned(self) -> tuple[Session, bool]:
        """This session as it is after the release that was planned before it, and whether there was one."""
        root = self.project.root
        return self.with_version(_PLANNED.get(root)), root in _PLANNED

    def run(
        self,
        plan: Callable[[Scope], Plan],
        act: Callable[[Scope], Any],
        show: Callable[[list[Any]], None],
        *,
        about: Sequence[str] = (),
        before: Callable[[Sequence[Scope]], None] | None = None,
    ) -> None:
        """Plan or act for each image, then show what came of it.

        Args:
            plan: what would be done to one image; shown, and the end of it, in a dry run.
            act: does it.
            show: gets what ``act`` returned, one entry an image.
            about: names of images, as ``stages.opening`` takes them; what these are not about is left out.
            before: is done once, before ``act`` is for the first image.
        """
        with self.project.scopes() as every:
            scopes = _concerned(every, about)
            if self.dry:
                self.plans(plan(scope) for scope in scopes)
                return
            if before:
                before(scopes)
            done = [act(scope) for scope in scopes]
        show(done)

    def make(
        self,
        plan: Callable[[Scope], Plan],
        act: Callable[[Scope], Any],
        show: Callable[[list[Any]], None],
        *,
        jobs: int = 0,
        fail_fast: bool = False,
    ) -> None:
        """As ``run``, but several images at the same time, each after those that it stands on.

        Args:
            jobs: how many at the same time, at most.
            fail_fast: when one fails, begin no other one, and end those that run.
        """
        from tinyship import several

        if jobs < 0:
            raise ConfigError("`--jobs`: it is at least 1, or 0 for as many as fit")
        with self.project.scopes() as scopes:
            if self.dry:
                self.plans(plan(scope) for scope in scopes)
                return
            self.console.works_on(len(scopes))
            done = list(several.each(scopes, act, jobs=jobs, fail_fast=fail_fast))
        show(done)

    def look(self, look: Callable[[Scope], Any], show: Callable[[list[Any]], None]) -> None:
        """Look at each image, in a dry run as well, and show what was seen."""
        with self.project.scopes() as scopes:
            done = [look(scope) for scope in scopes]
        show(done)

    def plans(self, plans: Iterable[Plan]) -> None:
        """Show what would be done."""
        every = list(plans)
        for plan in every:
            self.console.plan(plan)
        self.console.result({"plans": every})


@dataclass(frozen=True)
class Bare:
    """What the body of a task works with that needs no project.

    Args:
        folder: that it is about.
        console: shows what came of it.
        dry: only say what would be done (Invoke's ``--dry``).
    """

    folder: Path
    console: Console
    dry: bool


def _concerned(scopes: Sequence[Scope], about: Sequence[str]) -> Sequence[Scope]:
    if not about:
        return scopes
    from tinyship.stages.opening import concerned

    return concerned(scopes, *about)


def run(
    spec: Spec,
    context: Context,
    image: str,
    flags: Mapping[str, Any],
    mount: Tasks,
    stages: Mapping[str, Callable[..., Any]] | None = None,
) -> None:
    """Run the body of a task in a session of its own.

    Args:
        spec: the task.
        context: as Invoke gives it to tasks.
        image: the entry of ``images`` that the mount is for; all where empty.
        flags: the task's arguments.
        mount: that the task is of.
        stages: the mount's own functions in place of stages.

    Raises:
        Exit: with the error's text and code where it failed; Invoke prints the one and exits with the other.
    """
    commands = Commands(mount)
    own = mount.configuration()
    try:
        with Console(json=bool(flags.get("json")), wording=commands.said) as console:
            try:
                session = _bare(context, console) if spec.bare else _open(context, image, console, own, stages)
                spec.body(session, **flags)
            except TinyshipError as error:
                console.failed()
                console.result({"error": _as_data(error)})
                raise
    except TinyshipError as error:
        if logging.getLogger("invoke").isEnabledFor(logging.DEBUG):
            raise
        raise Exit(commands.said(f"error: {error}"), code=error.exit_code) from None
    except KeyboardInterrupt:
        raise Exit("interrupted", code=INTERRUPTED) from None


def _open(
    context: Context,
    image: str,
    console: Console,
    own: Mapping[str, Any],
    stages: Mapping[str, Callable[..., Any]] | None,
) -> Session:
    config = invoke_config.located(context.config)
    loaded = load.load(invoke_config.layers(config, own), image=image)
    root = invoke_config.project_root(config).resolve()
    tasks = hooks.around(context) if any(hook.task for one in loaded for hook in one.settings.hooks) else None
    project = Project(root, loaded, console.event, dict(stages or {}), tasks)
    return Session(project, console, dry=bool(context.config.run.dry))


def _bare(context: Context, console: Console) -> Bare:
    return Bare(Path.cwd(), console, dry=bool(context.config.run.dry))


def _as_data(error: TinyshipError) -> dict[str, Any]:
    names = ("message", "hint", "stage", "image", "tail", "source")
    found = {"kind": type(error).__name__, **{name: getattr(error, name) for name in names}}
    if isinstance(error, CleanStopped):
        found["cleaned"] = error.cleaned.as_json()
    if isinstance(error, ImagesFailed):
        found["failed"] = {name: _as_data(one) for name, one in error.failed.items()}
        found["stopped"] = error.stopped
        found["cancelled"] = error.cancelled
        found["done"] = list(error.done)
    if isinstance(error, BudgetExceeded):
        from tinyship.console.looks import diff_data

        found["images"] = error.rows
        if error.diffs:
            found["diffs"] = [diff_data(diff, 0) for diff in error.diffs]
    return found
