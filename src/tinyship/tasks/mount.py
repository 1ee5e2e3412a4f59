"""Makes the tasks of a mount: a fresh set for each place that tinyship is mounted at, so that two mounts stay two."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from importlib import import_module
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.parser.argument import Argument
from invoke.tasks import Task
from invoke.util import helpline

from tinyship.tasks import callers
from tinyship.tasks.menu import OF_PROGRAM, PARTS

if TYPE_CHECKING:
    from invoke.context import Context

    from tinyship.tasks.spec import Spec

_STAGES = ("base", "build", "release", "push")
_ABOUT = "Build, release and push tiny images: base, build, release, push, clean, size."
_LATE = frozenset(("__wrapped__", "body", "help", "positional", "spec"))
"""What a task knows once its module is loaded."""
_PROGRAM = "tinyship_program"
"""On a mount: the program that its tasks are of, where texts are to name it."""


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
    """A task that loads its module when it is run, or asked for more than a listing shows.

    It equals that of its own mount alone, and the copies of it. Invoke runs equal tasks once: one of two mounts would
    vanish if these were alike, and a task that two others have before them would run twice if copies were not.

    Args:
        entry: of the menu.
        default: whether it runs where only its collection is named.
        mount: the collection that it is made for; Invoke may copy that later.
        image: see ``collection``.
        stages: see ``collection``.
    """

    mount: Collection
    entry: tuple[str, str, str]
    spec: Spec

    def __init__(
        self,
        entry: tuple[str, str, str],
        default: bool,
        mount: Collection,
        image: str,
        stages: Mapping[str, Callable[..., Any]],
    ) -> None:
        # Invoke's own would ask for the function at once.
        self.entry, self.mount, self._image, self._stages = entry, mount, image, stages
        self._name = self.__name__ = entry[1]
        self.is_default = default
        self.aliases, self.optional, self.iterable, self.incrementable = (), (), [], []
        self.pre, self.post = [], []
        self.auto_shortflags, self.autoprint, self.times_called = False, False, 0

    @property
    def __doc__(self) -> str | None:
        """The page of help, with the commands that one types for the program that shows it."""
        said = self.__dict__.get("_said")
        if not said:
            if "entry" not in self.__dict__:
                return Task.__doc__
            if sys._getframe(1).f_code is helpline.__code__:
                said = self.entry[2]
            else:
                said = self.spec.body.__doc__ or ""
        return self._typed(said)

    @__doc__.setter  # noqa: A003
    def __doc__(self, said: str | None) -> None:
        self._said = said

    def _typed(self, text: str) -> str:
        if "invoke " not in text:
            return text
        from tinyship.tasks import commands

        if program := vars(self.mount).get(_PROGRAM):
            return commands.of_program(text, program)
        return commands.helped(text, self.mount)

    def __getattr__(self, name: str) -> Any:
        if name not in _LATE or "entry" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self.spec = _spec(self.entry)
        self.body = self.__wrapped__ = self._body()
        self.positional = self.spec.positional
        program = vars(self.mount).get(_PROGRAM)
        self.help = {flag: self._typed(line) if program else line for flag, line in self.spec.help.items()}
        return self.__dict__[name]

    def _body(self) -> Callable[..., Any]:
        spec, image, mount, stages = self.spec, self._image, self.mount, self._stages

        def body(context: Context, *words: Any, **flags: Any) -> None:
            from tinyship.tasks.session import run

            run(spec, context, image, _by_name(spec, words, flags), mount, stages)

        body.__wrapped__ = spec.body  # type: ignore[attr-defined]  # whose signature Invoke makes flags of, but the first
        body.__doc__ = spec.body.__doc__
        body.__name__ = spec.name
        return body

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MountedTask) and self.mount is other.mount and self.entry is other.entry

    def __hash__(self) -> int:
        return hash((id(self.mount), id(self.entry)))

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


class Part(Collection):
    """A collection of a mount. A command line that is being read gets those of its tasks that it may name."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Part:
        """A copy with copies of the tasks, as Invoke makes it of whatever it mounts."""
        twin = Part()
        mine = dict(self.__dict__)
        tasks = mine.pop("tasks")
        twin.__dict__.update(
            {name: value if isinstance(value, str) else deepcopy(value, memo) for name, value in mine.items()}
        )
        twin.tasks.aliases.update(tasks.aliases)
        for name, task in tasks.items():
            twin.tasks[name] = deepcopy(task, memo)
        return twin

    @property
    def task_names(self) -> dict[str, list[str]]:
        """As Invoke's own."""
        names: dict[str, list[str]] = super().task_names
        typed = callers.typed()
        if typed is None:
            return names
        here, words = typed
        if not words:
            return {}
        return {
            name: others
            for name, others in names.items()
            if "." in name  # of a collection that a host put here
            or any(callers.is_named(f"{here}.{one}", words) for one in (name, *others))
            or (name == self.default and callers.is_named(here, words))
        }


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
    made = Collection(name) if name else Collection()
    made.__doc__ = _ABOUT  # Invoke shows it in listings, but takes it from modules only
    for part, (about, entries) in PARTS.items():
        child = made.collections[part] = Part(part)
        child.__doc__ = about
        child.default = entries[0][1]
        for entry in entries:
            child.tasks[entry[1]] = MountedTask(entry, entry is entries[0], made, image, own)
    return made


def program() -> Collection:
    """The tasks of the program ``tinyship``: those of a project, and what makes one."""
    made = collection()
    vars(made)[_PROGRAM] = "tinyship"
    for entry in OF_PROGRAM:
        made.add_task(MountedTask(entry, False, made, "", {}))
    return made


def _spec(entry: tuple[str, str, str]) -> Spec:
    from tinyship.tasks.spec import Spec

    module, name, _ = entry
    found = vars(import_module(f"tinyship.tasks.{module}")).values()
    return next(one for one in found if isinstance(one, Spec) and one.name == name)


def _by_name(spec: Spec, words: Sequence[Any], flags: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments by their names: Invoke gives all of them so, a task that calls ours may not."""
    if not words:
        return flags
    import inspect

    _, *names = inspect.signature(spec.body).parameters
    if len(words) > len(names):
        raise TypeError(f"{spec.name} takes at most {len(names)} arguments, and got {len(words)}")
    named = dict(zip(names, words, strict=False))
    if twice := named.keys() & flags.keys():
        raise TypeError(f"{spec.name} got {', '.join(sorted(twice))} twice")
    return {**named, **flags}
