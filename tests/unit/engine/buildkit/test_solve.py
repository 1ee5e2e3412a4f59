"""A build that others get in the way of, in the moment when its image is named."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tinyship.engine.buildkit import solve
from tinyship.engine.buildkit.channel import RpcError
from tinyship.engine.buildkit.door import Door
from tinyship.engine.buildkit.solve import BuildKitBuilder
from tinyship.engine.connect import Engine
from tinyship.events import Event, Notice

OUTRUN = RpcError(2, 'image "docker.io/lacion/foo:local": already exists')


class Builder(BuildKitBuilder):
    """Fails as often as it has errors, and keeps what it was asked for."""

    def __init__(self, *errors: RpcError) -> None:
        super().__init__(cast(Engine, None), cast(Door, SimpleNamespace()))
        self.errors = list(errors)
        self.parts: list[Any] = []

    def _try(self, control: Any, build: Any, session_id: str, part: Any) -> Mapping[str, str]:
        self.parts.append(part)
        if self.errors:
            raise self.errors.pop(0)
        return {"made": "yes"}


def solved(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> tuple[Mapping[str, str], list[Event]]:
    """What comes of it, and what is told."""
    monkeypatch.setattr(solve, "_PAUSES", (0.0, 0.0, 0.0))
    told: list[Event] = []
    build = SimpleNamespace(events=told.append)
    return builder._solve(cast(Any, None), cast(Any, build), "session", solve._Part("moby", {}, first=True)), told


def test_it_is_named_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made is in the cache, so that it is not made anew; each time is told."""
    builder = Builder(OUTRUN, OUTRUN)
    found, told = solved(builder, monkeypatch)
    assert found == {"made": "yes"}
    assert [part.again for part in builder.parts] == [False, True, True]
    assert len(told) == 2
    assert all(isinstance(one, Notice) for one in told)


def test_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last try says what it met."""
    builder = Builder(*[OUTRUN] * 9)
    with pytest.raises(RpcError, match="already exists"):
        solved(builder, monkeypatch)
    assert len(builder.parts) == 4


def test_another_error_is_one_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is tried again."""
    builder = Builder(RpcError(2, "exit code: 1"))
    with pytest.raises(RpcError, match="exit code"):
        solved(builder, monkeypatch)
    assert len(builder.parts) == 1
