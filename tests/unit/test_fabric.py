"""Beside Fabric, which wants Invoke 2: its program runs our tasks, and on that Invoke all mounts are what they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FABFILE = (
    '"""A project that is deployed with Fabric."""\n'
    "import tinyship\nfrom fabric import task\nfrom invoke import Collection\n"
    "ship = tinyship.collection('ship')\n"
    "@task(pre=[ship['config']])\ndef deploy(c):\n    '''Deploy.'''\n    print('deploys on', c.host)\n"
    "ns = Collection(ship, deploy)\n"
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with Fabric, and the Invoke that it wants before ours."""
    folder = tmp_path_factory.mktemp("fabric")
    words = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), "fabric>=3.2,<4", "invoke<3"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"Fabric cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a fabfile, and a config for either program."""
    (tmp_path / "fabfile.py").write_text(FABFILE)
    (tmp_path / "pyproject.toml").write_text('[tool.tinyship]\nimage = "lacion/foo"\n')
    (tmp_path / "fabric.yaml").write_text("tinyship: {network: none}\n")
    return tmp_path


def fab(project: Path, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run Fabric in a project."""
    words = (sys.executable, "-m", "fabric", *words)
    return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True)


def test_fabric_lists_and_runs_our_tasks(project: Path, older: dict[str, str]) -> None:
    """The config is that of Fabric's own file, over [tool.tinyship]; exit codes are ours."""
    assert "ship.release.make (ship.release)" in fab(project, older, "--list").stdout
    done = fab(project, older, "ship.config", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    (image,) = json.loads(done.stdout)["images"]
    assert {key: (entry["value"], entry["from"]) for key, entry in image.items()} == {
        "image": ("lacion/foo", "pyproject.toml"),
        "network": ("none", "fabric.yaml"),
    }
    done = fab(project, older, "ship.release.show")
    assert (done.returncode, done.stdout) == (1, "")


def test_our_tasks_before_one_of_fabric(project: Path, older: dict[str, str]) -> None:
    """A task for hosts has ours before it, which run once for all of them."""
    done = fab(project, older, "-H", "one.example.com,two.example.com", "deploy")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("lacion/foo") == 1
    assert done.stdout.index("lacion/foo") < done.stdout.index("deploys on one.example.com")
    assert "deploys on two.example.com" in done.stdout


def test_mounts_on_the_older_invoke(older: dict[str, str]) -> None:
    """The tests of mounts and of the program pass on Invoke 2 too."""
    version = [sys.executable, "-c", "import invoke; print(invoke.__version__)"]
    done = subprocess.run(version, env=older, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("2.")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tests = [f"tests/unit/{name}.py" for name in ("test_mounting", "test_cli", "tasks/test_mount")]
    done = subprocess.run([*words, *tests], cwd=ROOT, env=older, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
