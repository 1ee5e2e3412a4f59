"""Makes the tasks of a mount: a fresh set for each place that tinyship is mounted at, so that two mounts stay two."""

from __future__ import annotations

import inspect
from copy import copy
from types import ModuleType
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task

from tinyship.tasks import base, build, clean, config, look, pins, preflight, promote, push, records, release, size
from tinyship.tasks.spec import Spec

_COLLECTIONS: dict[str, tuple[ModuleType, ...]] = {
    "base": (base, pins),
    "build": (build,),
    "release": (release, preflight, records),
    "push": (push, promote),
    "clean": (clean,),
    "size": (size, look),
}
_ABOUT = "Build, release and push tiny images: base, build, release, push, clean, size."


class MountedTask(Task):  # type: ignore[type-arg]  # Invoke's own signature is not usable as an argument
    """A task that equals only itself: Invoke runs equal ones once, which would make one of two mounts vanish."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> MountedTask:
        """A copy that is another task, and shares what never changes; Invoke copies every task that it mounts."""
        twin = copy(self)
        twin.help = dict(self.help)
        return twin


def collection(name: str | None = None, *, image: str = "") -> Collection:
    """The tasks of tinyship, to be a project's ``ns`` or to be added to one.

    Args:
        name: of the collection, where it is added to another.
        image: the entry of the config's ``images`` that these tasks are for; all images where empty.

    Returns:
        a fresh collection; mount as many as there are images.
    """
    made = _named(name, _ABOUT)
    for part, modules in _COLLECTIONS.items():
        child = _named(part, (modules[0].__doc__ or "").partition("\n")[0])
        for module in modules:
            for spec in _specs(module):
                child.add_task(_mounted(spec, image))
        made.add_collection(child)
    for spec in _specs(config):
        made.add_task(_mounted(spec, image))
    return made


def _named(name: str | None, about: str) -> Collection:
    made = Collection(name) if name else Collection()
    made.__doc__ = about  # Invoke shows it in listings, but takes it from modules only
    return made


def _specs(module: ModuleType) -> list[Spec]:
    return [value for value in vars(module).values() if isinstance(value, Spec)]


def _mounted(spec: Spec, image: str) -> MountedTask:
    def body(context: Context, **flags: Any) -> None:
        from tinyship.tasks.session import run

        run(spec, context, image, flags)

    body.__wrapped__ = spec.body  # type: ignore[attr-defined]  # whose signature Invoke makes flags of, but the first
    body.__doc__ = inspect.getdoc(spec.body)
    body.__name__ = spec.name
    return MountedTask(
        body,
        name=spec.name,
        default=spec.default,
        help=dict(spec.help),
        positional=spec.positional,
        iterable=spec.iterable,
        auto_shortflags=False,
    )
