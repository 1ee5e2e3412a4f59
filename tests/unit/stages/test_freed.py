"""The bytes that a clean says it freed: measured, or unknown."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tinyship.cleaning.retention import Verdict
from tinyship.engine import inventory
from tinyship.errors import Cancelled
from tinyship.running import cancelling
from tinyship.running.cancelling import Cancellation
from tinyship.stages import clean
from tinyship.stages.judging import Artifact
from tinyship.stages.tally import Tally


def judged(root: Path, waves: int = 0) -> Any:
    """A folder that goes, and images."""
    (root / "bin").mkdir()
    (root / "bin" / "foo").write_bytes(b"12345")
    artifact = Artifact(verdict=Verdict("artifact", "bin", False, "it is made again"), path=root / "bin")
    return SimpleNamespace(artifacts=[artifact], containers=[], waves=lambda: [[]] * waves, task="clean", before=100)


def carried_out(judgement: Any) -> Tally:
    """What is counted, whatever ends it."""
    done = Tally("clean", ())
    scope = SimpleNamespace(engine=SimpleNamespace(is_podman=False))
    try:
        clean._carry_out(cast(Any, [scope]), judgement, done, cancelling.check)
    except (Cancelled, KeyboardInterrupt):
        return done
    return done


def test_a_folder_that_is_removed(tmp_path: Path) -> None:
    """Its bytes are counted."""
    assert carried_out(judged(tmp_path)).freed == 5


def test_broken_off_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of it may be gone: how much is unknown, and not said to be nothing."""

    def partly(path: Path) -> None:
        (path / "foo").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", partly)
    assert carried_out(judged(tmp_path)).freed is None


def test_an_end_before_the_engine_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the engine freed is unknown then, and so is the sum."""
    cancellation = Cancellation()

    def usage(_: object) -> Any:
        cancellation.cancel()
        cancelling.check()

    monkeypatch.setattr(inventory, "usage", usage)
    with cancelling.under(cancellation):
        assert carried_out(judged(tmp_path, waves=1)).freed is None
