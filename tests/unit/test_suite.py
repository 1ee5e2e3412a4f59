"""Which tests each command runs."""

from __future__ import annotations

import pytest
import tasks
from invoke.context import MockContext
from invoke.runners import Result
from tests.pages import ROOT


def _integration(**flags: bool) -> str:
    """What `./dev test` selects of the integration tests."""
    context = MockContext(run=Result(), repeat=True)
    tasks.run_tests(context, **flags)
    said = [str(call.args[0]) for call in context.run.mock_calls if call.args]  # type: ignore[attr-defined]
    return next(line.split('"')[1] for line in said if "tests/integration" in line)


@pytest.mark.parametrize("marks", [{"engine"}, {"engine", "thorough"}, {"engine", "slow"}])
def test_marks(marks: set[str]) -> None:
    """Thorough tests are those of `--thorough` alone, slow ones of neither, all others of the plain command alone."""
    names = {mark: mark in marks for mark in ("engine", "slow", "thorough")}
    assert eval(_integration(), names) == (marks == {"engine"})
    assert eval(_integration(thorough=True), names) == ("thorough" in marks)


def test_ci_runs_both() -> None:
    """Nothing is left out there but what is slow."""
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert {line.partition(" ||")[0] for line in lines if line.startswith("./dev test")} == {
        "./dev test",
        "./dev test --thorough",
    }
