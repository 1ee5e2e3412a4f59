"""The report of a clean: true and written however it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tinyship.cleaning.retention import Verdict
from tinyship.errors import CleanStopped, EngineUnreachable, TinyshipError
from tinyship.stages.tally import reported


def written(root: Path) -> Any:
    """The report."""
    return json.loads((root / ".tinyship" / "clean.json").read_text(encoding="utf-8"))


def broken_off(root: Path, error: BaseException) -> None:
    """A clean that an error ends once an image is gone."""
    with reported(root, "clean", ()) as tally:
        tally.gone("image", "foo:1")
        raise error


def test_the_end(tmp_path: Path) -> None:
    """What was deleted, what was refused, what stayed."""
    with reported(tmp_path, "clean", [Verdict("image", "foo:2", True, "it has a name")]) as tally:
        tally.gone("artifact", "bin/größe")
        tally.gone("image", "foo:1")
        tally.back("image", "foo:1")
        tally.refused("image", "foo:1", "a container uses it")
        tally.freed = 5
    assert written(tmp_path) == {
        "schema": 1,
        "task": "clean",
        "complete": True,
        "error": "",
        "freed": 5,
        "removed": [{"kind": "artifact", "name": "bin/größe"}],
        "kept": [
            {"kind": "image", "name": "foo:1", "reason": "a container uses it"},
            {"kind": "image", "name": "foo:2", "reason": "it has a name"},
        ],
    }


def test_an_error_in_the_middle(tmp_path: Path) -> None:
    """The error is as it was, and has what was done; so has the file."""
    with pytest.raises(CleanStopped, match="the engine is gone") as raised:
        broken_off(tmp_path, EngineUnreachable("the engine is gone", hint="Start it."))
    assert raised.value.hint == "Start it."
    assert raised.value.cleaned.as_json() == written(tmp_path)
    assert (written(tmp_path)["complete"], written(tmp_path)["error"]) == (False, "the engine is gone")
    assert written(tmp_path)["removed"] == [{"kind": "image", "name": "foo:1"}]


@pytest.mark.parametrize(
    ("error", "said"), [(KeyboardInterrupt(), "interrupted"), (ValueError("what"), "ValueError: what")]
)
def test_an_interrupt(tmp_path: Path, error: BaseException, said: str) -> None:
    """Ctrl-C stays Ctrl-C, and the report is there."""
    with pytest.raises(type(error)):
        broken_off(tmp_path, error)
    assert (written(tmp_path)["error"], len(written(tmp_path)["removed"])) == (said, 1)


def test_where_it_cannot_be_written_nothing_begins(tmp_path: Path) -> None:
    """It is seen to before the first deletion."""
    (tmp_path / ".tinyship").write_text("in the way")
    with pytest.raises(TinyshipError, match="cannot be written"), reported(tmp_path, "clean", ()):
        pytest.fail("the block is not entered")


def test_a_crash_leaves_a_report_that_says_so(tmp_path: Path) -> None:
    """Until it has come to its end, the file says that it has not."""
    with reported(tmp_path, "clean", ()):
        assert written(tmp_path)["error"] == "it has not come to its end"
    assert written(tmp_path)["complete"]
