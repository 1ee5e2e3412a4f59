"""The settings of what is run before and after stages."""

from __future__ import annotations

from typing import Literal, TypeAlias

from tinyship.settings.section import Section

StageName: TypeAlias = Literal["", "base", "build", "release", "push"]


class Hook(Section, frozen=True):
    """A shell command, or a task of the same Invoke program, before or after a stage."""

    before: StageName = ""
    """The stage that it is run before. A hook has either this or ``after``."""
    after: StageName = ""
    """The stage that it is run after."""
    run: str = ""
    """A command for the shell, in the project's folder. For example ``scripts/check --all``."""
    task: str = ""
    """In place of ``run``: a task of the same Invoke program, as one types its name. For example ``notify``."""

    def __post_init__(self) -> None:
        if bool(self.before) == bool(self.after):
            raise ValueError("a hook needs either `before` or `after`, and a stage: base, build, release or push")
        if bool(self.run.strip()) == bool(self.task.strip()):
            raise ValueError("a hook needs either `run`, a shell command, or `task`, the name of a task")
        if "\0" in self.run:
            raise ValueError("`run`: a command has no zero bytes")

    @property
    def place(self) -> tuple[str, str]:
        """When it is run, and around which stage: ``("before", "push")``."""
        return ("before", self.before) if self.before else ("after", self.after)
