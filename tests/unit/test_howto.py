"""Every command of the how-tos runs, in the order of the page, and writes what the page shows."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests import pages
from tests.unit.test_docs import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Repository


@pytest.mark.parametrize("name", ["compose", "hooks"])
def test_commands_of_a_page(name: str, repository: Repository, tmp_path: Path) -> None:
    """In a project that has a commit; what needs an engine is left to the integration tests."""
    (repository.root / "Dockerfile").write_text("FROM scratch\n")
    repository.commit()
    play(ROOT / "docs" / "how-to" / f"{name}.md", repository.root, tmp_path)


def test_commands_of_init(tmp_path: Path) -> None:
    """From nothing but the files that the page has."""
    root = tmp_path / "echo"
    root.mkdir()
    play(ROOT / "docs" / "how-to" / "init.md", root, tmp_path)


def test_commands_of_deploy(tmp_path: Path) -> None:
    """In a copy of the example; what needs an engine is in `tests/integration/test_deploy.py`."""
    root = tmp_path / "deploy"
    shutil.copytree(ROOT / "examples" / "deploy", root, ignore=shutil.ignore_patterns(".tinyship", "__pycache__"))
    play(ROOT / "docs" / "how-to" / "deploy.md", root, tmp_path)


def test_commands_of_ci(repository: Repository, tmp_path: Path) -> None:
    """In a project that has a commit; the steps themselves are run by `tests/integration/test_ci_examples.py`."""
    (repository.root / "Dockerfile").write_text("FROM scratch\n")
    repository.commit()
    shutil.copytree(ROOT / "examples" / "ci", tmp_path / "ci")
    play(ROOT / "docs" / "how-to" / "ci.md", repository.root, tmp_path)


def play(page: Path, root: Path, tmp_path: Path) -> None:
    """Do what a page says."""
    environment = pages.programs(tmp_path / "programs")
    ran = 0
    for step in pages.steps(page):
        if step.kind == "file":
            pages.write(root, step)
        for command, shown in step.commands() if step.kind == "console" else ():
            wrote = pages.run(root, command, environment)
            assert pages.agrees(shown, wrote), f"{command}\n{wrote}"
            ran += 1
    assert ran


@pytest.mark.parametrize(
    ("shown", "wrote", "is_so"),
    [
        ("a\n", "a\n", True),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("a ... c\n", "a b c\n", True),
        ("...\nc\n", "a\nb\nc\n", True),
        ("...\nb\n", "a\nb\nc\n", False),
        ("", "", True),
    ],
)
def test_what_a_page_shows(shown: str, wrote: str, is_so: bool) -> None:
    """Dots stand for anything; all else has to be there, and nothing more."""
    assert pages.agrees(shown, wrote) == is_so
