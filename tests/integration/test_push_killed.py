"""A push that is killed at any of its steps: what is named is whole, the record is true, and another push completes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from faulty_registry import MANIFESTS, UPLOADS, Fault, Seen, faulty
from guarded import running
from pushing import Pushing
from ships import Ship

pytestmark = pytest.mark.engine


def killer(at: list[subprocess.Popen[bytes]]) -> Callable[[Seen], None]:
    """What kills the processes of a push that runs."""

    def kill(_: Seen) -> None:
        for process in at:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    return kill


def killed(pushing: Pushing, method: str, path: str, *, first: int = 1, answered: bool) -> bool:
    """Push, and kill the process when a request has come, or when it is answered; whether that was so far."""
    at: list[subprocess.Popen[bytes]] = []
    fault = Fault(after=killer(at)) if answered else Fault(before=killer(at))
    pushing.proxy.on(method, path, fault, first=first)
    with pushing.running() as process:
        at.append(process)
        code = process.wait(60)
    assert code in {0, -signal.SIGKILL}
    return code != 0


@pytest.mark.parametrize(
    ("method", "path", "first", "answered"),
    [
        ("PATCH|PUT", UPLOADS, 1, False),  # some engines send a blob in one piece
        ("PUT", MANIFESTS, 1, True),
        ("PUT", MANIFESTS, 2, False),
        ("PUT", MANIFESTS, 2, True),
    ],
)
def test_push_killed_at_manifests(pushing: Pushing, method: str, path: str, first: int, answered: bool) -> None:
    """Where tags are given, and while a blob is on its way."""
    assert killed(pushing, method, path, first=first, answered=answered)
    pushing.completes()


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("answered", [False, True])
def test_push_killed_at_every_step(prepared: Ship, tmp_path: Path, answered: bool) -> None:
    """At each request of a push, from the first to the last."""
    for step in range(1, 200):
        folder = tmp_path / str(step)
        folder.mkdir()
        with running(folder, auth="") as backend, faulty(backend) as proxy:
            pushing = Pushing(prepared, proxy, backend).clone(folder / "ship")
            if not killed(pushing, ".*", "", first=step, answered=answered):
                break
            pushing.completes()
    assert step > 15
