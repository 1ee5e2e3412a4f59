"""What the tests of `tinyship init` share: a project of files, and a look at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tinyship.init import project
from tinyship.settings import invoke_config
from tinyship.settings.load import load

Look = Callable[[Mapping[str, str]], project.Proposal]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Write files into a folder and look at it; what would be written as its invoke.yaml loads, and says the same."""
    root = tmp_path / "foo"
    root.mkdir()

    def looked(files: Mapping[str, str]) -> project.Proposal:
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        proposal = project.look(root)
        written = tmp_path / "written"
        written.mkdir(exist_ok=True)
        (written / "invoke.yaml").write_text(text_of(proposal, "invoke.yaml"))
        (layer,) = invoke_config.of_project(written)
        assert layer.values == proposal.outcome.values
        assert load([layer], environ={})
        return proposal

    return looked


def text_of(proposal: project.Proposal, name: str) -> str:
    """The text of a file that is to be written."""
    return next(file.text for file in proposal.files if file.name == name)
