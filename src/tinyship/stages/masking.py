"""Puts `***` in the place of secrets, in what steps and hooks write and in the errors that tell of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tinyship.errors import ConfigError, TinyshipError
from tinyship.events import Event, Events, Log, Step

if TYPE_CHECKING:
    from tinyship.stages.scope import Scope

_SHORT = 4
"""Letters that a line of a secret of several lines has, at least, to be one that tells something."""


def hidden(scope: Scope) -> tuple[str, ...]:
    """What must not be shown: the values of ``secrets``, and the name and password of ``proxy``; longest first."""
    return tuple(sorted(set(_values(scope)), key=len, reverse=True))


def masked(text: str, hidden: tuple[str, ...]) -> str:
    """A text without what must not be shown."""
    for value in hidden:
        text = text.replace(value, "***")
    return text


@contextmanager
def masking(hidden: tuple[str, ...], events: Events) -> Iterator[Events]:
    """Mask what happens in a block, and the error that ends it.

    Args:
        hidden: what must not be shown.
        events: gets what happens.

    Yields:
        the ``events`` of the block.
    """
    try:
        yield (lambda event: events(_masked(event, hidden))) if hidden else events
    except TinyshipError as error:
        error.message, error.hint = masked(error.message, hidden), masked(error.hint, hidden)
        error.tail = tuple(masked(line, hidden) for line in error.tail)
        raise


def _masked(event: Event, hidden: tuple[str, ...]) -> Event:
    if isinstance(event, Log):
        return replace(event, line=masked(event.line, hidden))
    if isinstance(event, Step):
        return replace(event, name=masked(event.name, hidden), error=masked(event.error, hidden))
    return event


def _values(scope: Scope) -> Iterator[str]:
    from tinyship.engine import secret
    from tinyship.stages import building

    for name, where in building.secrets(scope).items():
        with suppress(ConfigError):  # a build that needs it says so
            value = secret.value(name, where).decode(errors="replace").strip()
            lines = [line.strip() for line in value.splitlines()]
            yield from (line for line in lines if len(line) >= _SHORT or (line and len(lines) == 1))
    user, at, _ = scope.settings.proxy.rpartition("://")[2].rpartition("@")
    if at and user:
        yield user
