"""Makes the tasks of a mount: a fresh set for each place that tinyship is mounted at, so that two mounts stay two."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.parser.argument import Argument
from invoke.tasks import Task

from tinyship.tasks import (
    base,
    build,
    clean,
    commands,
    config,
    look,
    pins,
    preflight,
    promote,
    push,
    records,
    release,
    size,
    withdraw,
)
from tinyship.tasks.spec import Spec

_COLLECTIONS: dict[str, tuple[ModuleType, ...]] = {
    "base": (base, pins),
    "build": (build,),
    "release": (release, preflight, records),
    "push": (push, promote),
    "clean": (clean, withdraw),
    "size": (size, look),
    "config": (config,),
}
_STAGES = ("base", "build", "release", "push")
_ABOUT = "Build, release and push tiny images: base, build, release, push, clean, size."


class Flag(Argument):
    """A flag of a task.

    Invoke copies every flag there is before it reads a command line. A flag's value is replaced, never changed, so that
    a copy may share what it has.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Flag:
        twin = Flag.__new__(Flag)
        twin.__dict__.update(self.__dict__)
        return twin


class MountedTask(Task):  # type: ignore[type-arg]  # Invoke's own signature is not usable as an argument
    """A task that equals that of its own mount alone, and the copies of it.

    Invoke runs equal tasks once: one of two mounts would vanish if these were alike, and a task that two others have
    before them would run twice if copies were not.
    """

    mount: Collection
    """The collection that it was made for; Invoke may have copied that since."""
    spec: Spec

    @property
    def __doc__(self) -> str | None:
        """The page of help, with the commands that one types for the program that shows it."""
        said = self.__dict__.get("said")
        return commands.helped(said, self.mount) if said and "mount" in self.__dict__ else said

    @__doc__.setter  # noqa: A003
    def __doc__(self, said: str | None) -> None:
        self.__dict__["said"] = said

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MountedTask) and self.mount is other.mount and self.spec is other.spec

    def __hash__(self) -> int:
        return hash((id(self.mount), id(self.spec)))

    def __deepcopy__(self, memo: dict[int, Any]) -> MountedTask:
        """A copy that is another task, and shares what never changes; Invoke copies every task that it mounts."""
        twin = MountedTask.__new__(MountedTask)
        twin.__dict__.update(self.__dict__)
        return twin

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """A flag for each parameter of the task's function but the first."""
        body = self.spec.body
        names = body.__code__.co_varnames[1 : body.__code__.co_argcount]
        defaults = dict(zip(reversed(names), reversed(body.__defaults__ or ()), strict=False))
        flags = [self._flag(name, defaults.get(name)) for name in names]
        return sorted(flags, key=lambda flag: not flag.positional)  # as the parser wants them

    def _flag(self, name: str, default: Any) -> Flag:
        kind = list if name in self.spec.iterable else str if default is None else type(default)
        return Flag(
            names=(name.strip("_").replace("_", "-"),),
            attr_name=name if "_" in name else None,
            kind=kind,
            default=[] if kind is list else default,
            help=self.help.get(name),
            positional=name in self.spec.positional,
        )


def collection(
    name: str | None = None, *, image: str = "", stages: Mapping[str, Callable[..., Any]] | None = None
) -> Collection:
    """The tasks of tinyship, to be a project's ``ns`` or to be added to one.

    Args:
        name: of the collection, where it is added to another.
        image: the entry of the config's ``images`` that these tasks are for; all images where empty.
        stages: functions that take the place of ours, by the name of the stage: ``base``, ``build``, ``release``,
            ``push``. Each gets the ``stages.scope.Scope`` of an image, and those of the stage's options that it has
            parameters for; it returns what the stage returns. It may call what it takes the place of:
            ``stages.base.make``, ``stages.build.make``, ``stages.release.make``, ``stages.push.send``.

    Returns:
        a fresh collection; mount as many as there are images.

    Raises:
        ValueError: there is no stage of that name.
    """
    own = dict(stages or {})
    if unknown := own.keys() - set(_STAGES):
        raise ValueError(f"`{min(unknown)}` is no stage; there are {', '.join(_STAGES)}")
    made = _named(name, _ABOUT)
    for part, modules in _COLLECTIONS.items():
        child = _named(part, (modules[0].__doc__ or "").partition("\n")[0])
        for module in modules:
            for spec in _specs(module):
                child.add_task(_mounted(spec, image, made, own))
        made.add_collection(child)
    return made


def program() -> Collection:
    """The tasks of the program ``tinyship``: those of a project, and what makes one."""
    from tinyship.tasks import init

    made = collection()
    for spec in _specs(init):
        made.add_task(_mounted(spec, "", made))
    for name in made.task_names:
        task = made[name]
        task.__doc__ = commands.of_program(task.__doc__ or "", "tinyship")
        task.help = {flag: commands.of_program(line, "tinyship") for flag, line in task.help.items()}
    return made


def _named(name: str | None, about: str) -> Collection:
    made = Collection(name) if name else Collection()
    made.__doc__ = about  # Invoke shows it in listings, but takes it from modules only
    return made


def _specs(module: ModuleType) -> list[Spec]:
    return [value for value in vars(module).values() if isinstance(value, Spec)]


def _mounted(
    spec: Spec, image: str, mount: Collection, stages: Mapping[str, Callable[..., Any]] | None = None
) -> MountedTask:
    def body(context: Context, *words: Any, **flags: Any) -> None:
        from tinyship.tasks.session import run

        run(spec, context, image, _by_name(spec, words, flags), mount, stages)

    body.__wrapped__ = spec.body  # type: ignore[attr-defined]  # whose signature Invoke makes flags of, but the first
    body.__doc__ = spec.body.__doc__
    body.__name__ = spec.name
    made = MountedTask(
        body,
        name=spec.name,
        default=spec.default,
        help=dict(spec.help),
        positional=spec.positional,
    )
    made.mount, made.spec = mount, spec
    return made


def _by_name(spec: Spec, words: Sequence[Any], flags: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments by their names: Invoke gives all of them so, a task that calls ours may not."""
    if not words:
        return flags
    _, *names = inspect.signature(spec.body).parameters
    if len(words) > len(names):
        raise TypeError(f"{spec.name} takes at most {len(names)} arguments, and got {len(words)}")
    named = dict(zip(names, words, strict=False))
    if twice := named.keys() & flags.keys():
        raise TypeError(f"{spec.name} got {', '.join(sorted(twice))} twice")
    return {**named, **flags}
