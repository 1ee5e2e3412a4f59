"""Goes through a stage: what a project has before and after it, and the project's own function where it has one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tinyship.errors import TinyshipError
from tinyship.plan import Action
from tinyship.stages import hooks

if TYPE_CHECKING:
    from tinyship.stages.scope import Scope

STAGES = ("base", "build", "release", "push")
_LAZY = ("base", "build")
_T = TypeVar("_T")


def go(
    scope: Scope,
    stage: str,
    ours: Callable[..., _T],
    *,
    plan: Callable[[], Any],
    record: Callable[[_T], Any],
    **options: bool,
) -> _T:
    """Go through a stage.

    Args:
        stage: ``base``, ``build``, ``release`` or ``push``. Of the first two, hooks are run where ours has work.
        ours: the stage; a function of the project, where it has one for this, is called in its place.
        plan: makes what hooks before it get to know.
        record: makes what hooks after it get to know, of what the stage returned.
        options: of the stage; a function of the project gets those that it has parameters for.

    Raises:
        TinyshipError: a hook or the stage failed.
    """
    begun = False

    def begin() -> bool:
        nonlocal begun
        begun = True
        if not hooks.of(scope, "before", stage):
            return False
        hooks.run(scope, "before", stage, plan())
        return True

    own = scope.stages.get(stage)
    if own is None and stage in _LAZY:
        with scope.beginning(stage, begin):
            done = ours(scope, **options)
    else:
        begin()
        done = _called(scope, stage, own, options) if own else ours(scope, **options)
    if begun and hooks.of(scope, "after", stage):
        hooks.run(scope, "after", stage, record(done))
    return done


def actions(scope: Scope, stage: str, ours: Callable[[], tuple[Action, ...]]) -> tuple[Action, ...]:
    """What ``go`` would do.

    Args:
        ours: says what our own stage would do.
    """
    own = scope.stages.get(stage)
    doing = (Action("call", named(own), f"in place of {stage}"),) if own else ours()
    if not doing:
        return ()
    return (*hooks.actions(scope, "before", stage), *doing, *hooks.actions(scope, "after", stage))


def named(own: Callable[..., Any]) -> str:
    """The name of a project's function, as people know it."""
    module = getattr(own, "__module__", "")
    name = getattr(own, "__qualname__", type(own).__qualname__)
    return f"{module}.{name}" if module and module != "__main__" else name


def _called(scope: Scope, stage: str, own: Callable[..., Any], options: dict[str, bool]) -> Any:
    parameters = inspect.signature(own).parameters.values()
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    names = {one.name for one in parameters}
    try:
        return own(scope, **{name: value for name, value in options.items() if takes_all or name in names})
    except TinyshipError as error:
        raise scope.placed(error, stage, scope.settings.image) from error.__cause__
    finally:
        scope.forget()
