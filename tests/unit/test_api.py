"""The Python API as its users see it: typed, silent, and nothing of the process is changed by it."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Repository

import tinyship
from tinyship import Project, errors

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "script.md"
LOOKS: dict[str, Callable[[Project], Any]] = {
    "base": lambda project: project.base(),
    "build": lambda project: project.build(),
    "changed": lambda project: project.changed("HEAD"),
    "check": lambda project: project.check(),
    "clean": lambda project: project.clean(),
    "explain": lambda project: project.explain(),
    "history": lambda project: project.history(),
    "lineage": lambda project: project.lineage(),
    "notes": lambda project: project.notes(),
    "outdated": lambda project: project.outdated(),
    "plan": lambda project: project.plan(push=True),
    "promote": lambda project: project.promote("1.0.0", "stable"),
    "push": lambda project: project.push(),
    "release": lambda project: project.release(),
    "releases": lambda project: project.releases(),
    "sizes": lambda project: project.sizes(),
}


@pytest.fixture
def project(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project without an engine."""
    (repository.root / "Dockerfile").write_text("FROM scratch\n")
    (repository.root / "invoke.yaml").write_text("tinyship: {image: lacion/foo}\n")
    repository.commit()
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/socket")
    return Project.load(repository.root)


@pytest.mark.parametrize("name", LOOKS)
def test_silent(name: str, project: Project, capfd: pytest.CaptureFixture[str]) -> None:
    """Whether it works or fails, nothing is written, and folder, environment, signals and logging stay as they are."""

    def state() -> tuple[Any, ...]:
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        return Path.cwd(), dict(os.environ), handlers, logging.root.level, list(logging.root.handlers)

    before = state()
    with suppress(tinyship.TinyshipError):
        LOOKS[name](project)
    assert capfd.readouterr() == ("", "")
    assert state() == before


def test_one_project_in_two_threads(project: Project) -> None:
    """Both get the same."""
    plans: list[Any] = []
    threads = [threading.Thread(target=lambda: plans.append(project.notes())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(plans) == 4
    assert all(plan == plans[0] for plan in plans)


def test_public_names() -> None:
    """Each is there, and every error is among them."""
    assert sorted(set(tinyship.__all__)) == sorted(tinyship.__all__)
    for name in tinyship.__all__:
        assert getattr(tinyship, name)
    ours = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert ours <= set(tinyship.__all__)


def test_scripts_of_the_page_are_typed(tmp_path: Path) -> None:
    """mypy in its strict mode has nothing to say of what a user would copy."""
    blocks = re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    assert len(blocks) == 3
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    words = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, *(name for name, _ in blocks)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
