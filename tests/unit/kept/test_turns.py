"""A release and a clean of one folder take turns, and the release goes first."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from tinyship.errors import Refused, TinyshipError
from tinyship.kept import turns

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")


def test_a_clean_waits_for_no_release(tmp_path: Path) -> None:
    """It ends at once, and says why."""
    with (
        turns.releasing(tmp_path),
        turns.releasing(tmp_path),
        pytest.raises(Refused, match="releasing or cleaning"),
        turns.cleaning(tmp_path),
    ):
        pytest.fail("it is not entered")


def test_a_clean_ends_for_a_release(tmp_path: Path) -> None:
    """A release that comes later waits for the removal under way, not for the clean."""
    released = Event()

    def release() -> None:
        with turns.releasing(tmp_path):
            released.set()

    def removals() -> None:
        with turns.cleaning(tmp_path) as ask:
            ask()
            waiting.append(pool.submit(release))
            while True:
                assert not released.is_set()
                ask()

    waiting: list[object] = []
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(Refused, match="goes first"):
            removals()
        assert released.wait(30)


def test_two_cleans(tmp_path: Path) -> None:
    """One of them."""
    with turns.cleaning(tmp_path), pytest.raises(Refused), turns.cleaning(tmp_path):
        pytest.fail("it is not entered")
    with turns.cleaning(tmp_path) as ask:
        ask()


def test_another_process(tmp_path: Path) -> None:
    """Locks are the system's, and those of who was killed are free."""
    script = (
        "import sys; from pathlib import Path; from tinyship.kept import turns\n"
        f"with turns.releasing(Path({str(tmp_path)!r})): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "in\n"
        with pytest.raises(Refused), turns.cleaning(tmp_path):
            pytest.fail("it is not entered")
        other.kill()
    with turns.cleaning(tmp_path) as ask:
        ask()


def test_a_clean_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release does not wait for ever."""
    monkeypatch.setattr(turns, "_PATIENCE", 0.0)
    with (
        turns.cleaning(tmp_path),
        pytest.raises(TinyshipError, match="does not end"),
        turns.releasing(tmp_path),
    ):
        pytest.fail("it is not entered")
