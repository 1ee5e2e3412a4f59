"""The throw-away registry, and what is skipped where there is none; the namespace is tested with an engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tinyship import testing
from tinyship.errors import TinyshipError

needs_registry = pytest.mark.skipif(not testing.registry_program(), reason="no docker-registry on PATH")


def program(folder: Path, script: str) -> None:
    """A `docker-registry` that is this shell script."""
    file = folder / "docker-registry"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@needs_registry
def test_registries_are_empty_and_apart() -> None:
    """Two at the same time have ports of their own; neither answers afterwards."""
    with testing.registry() as one, testing.registry() as other:
        assert one != other
        for host in (one, other):
            with urllib.request.urlopen(f"http://{host}/v2/_catalog", timeout=30) as answer:
                assert json.loads(answer.read()) == {"repositories": []}
    for host in (one, other):
        with pytest.raises(OSError):
            urllib.request.urlopen(f"http://{host}/v2/", timeout=30)


@needs_registry
def test_keeps_its_state_where_it_is_told_to(tmp_path: Path) -> None:
    """And leaves it there, for whoever wants to look."""
    with testing.registry(tmp_path / "registry"):
        pass
    assert (tmp_path / "registry" / "log").exists()


def test_without_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error says which program, and where it is from."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TinyshipError, match="no `docker-registry` on PATH") as failed, testing.registry():
        pass
    assert "apt-get install docker-registry" in str(failed.value)


def test_that_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its last words are in the error."""
    program(tmp_path, "echo out of luck; exit 3")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TinyshipError, match="ended before it answered") as failed, testing.registry():
        pass
    assert "  | out of luck" in str(failed.value)


def test_fixtures_skip_with_the_reason(tmp_path: Path) -> None:
    """On a machine without engine and registry nothing fails."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tinyship.testing.fixtures"]\n')
    (tmp_path / "test_it.py").write_text("def test_1(tinyship_namespace): ...\ndef test_2(tinyship_registry): ...\n")
    environment = {**os.environ, "PATH": str(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "2 skipped" in done.stdout, done.stdout + done.stderr
    assert f"{tmp_path}/none.sock" in done.stdout
    assert "no `docker-registry` on PATH" in done.stdout
