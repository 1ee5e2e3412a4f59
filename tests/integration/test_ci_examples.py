"""The shell steps of examples/ci, run in a fresh clone, as on a runner; the services are stood in for."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from ships import Ship
from tests import playing

pytestmark = pytest.mark.engine

CI = Path(__file__).resolve().parents[2] / "examples" / "ci"


@pytest.fixture
def runner(ship: Ship, tmp_path: Path) -> Ship:
    """A clone of a project whose first commit is released and pushed; its second one is in no registry yet."""
    ship.invoke("release", "push")
    (ship.root / "src" / "main.txt").write_text("source, changed\n")
    ship.commit("change")
    root = tmp_path / "runner"
    subprocess.run(["git", "clone", "-q", ship.root, root], check=True)
    return Ship(root, ship.image, ship.registry, playing.Player(root, tmp_path / "reader").environment)


def bash(runner: Ship, script: str, variables: Mapping[str, str]) -> None:
    """Run a step as the services do: it ends with the first command that fails."""
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=runner.root,
        env={**runner.environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def parsed(name: str) -> Any:
    """A file of the example, with `on` as a word, which YAML 1.1 would have as true."""
    from invoke.vendor import yaml

    return yaml.safe_load((CI / name).read_text().replace("\non:", '\n"on":'))  # type: ignore[no-untyped-call]


def logged_in(runner: Ship) -> dict[str, str]:
    """The names and passwords that a step left for registries."""
    auths = json.loads((Path(runner.environment["HOME"]) / ".docker" / "config.json").read_text())["auths"]
    return {host: base64.b64decode(auth["auth"]).decode() for host, auth in auths.items()}


def github(runner: Ship, event: str, **variables: str) -> None:
    """Run the steps that are for an event."""
    job = parsed(".github/workflows/release.yml")["jobs"]["release"]
    known = {"github.actor": "someone", "secrets.GITHUB_TOKEN": "secret", "github.base_ref": "main"}

    def filled(section: Mapping[str, str]) -> dict[str, str]:
        there = {
            key: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found[1]], value) for key, value in section.items()
        }
        return {key: value.replace("ghcr.io", runner.registry) for key, value in there.items()}

    for step in job["steps"]:
        if "run" in step and step.get("if", f"github.event_name == '{event}'") == f"github.event_name == '{event}'":
            bash(runner, step["run"], {**filled(job["env"]), **filled(step.get("env", {})), **variables})


def test_github(runner: Ship, tmp_path: Path) -> None:
    """A pull request's run says in its summary what became of the size, and pushes nothing; a push is pushed."""
    runner.git("checkout", "-q", "-b", "topic")
    runner.git("update-ref", "refs/remotes/origin/main", "v1.0.0")
    summary = tmp_path / "summary.md"
    github(runner, "pull_request", GITHUB_STEP_SUMMARY=str(summary))
    assert runner.image in summary.read_text()
    assert "|" in summary.read_text()
    assert logged_in(runner) == {runner.registry: "someone:secret"}
    assert not runner.record["pushed"]
    github(runner, "push")
    assert there(runner, runner.git("rev-parse", "HEAD"))


def there(runner: Ship, tag: str) -> bool:
    """Whether the record says that a tag was pushed, and where to."""
    return f"{runner.registry}/{runner.image}:{tag}" in [pushed["reference"] for pushed in runner.record["pushed"]]


class _Notes(BaseHTTPRequestHandler):
    """Takes notes as GitLab's API does (docs.gitlab.com/api/notes)."""

    taken: list[tuple[str, str, str]]

    def do_POST(self) -> None:
        """Take one."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.taken.append((self.path, self.headers["PRIVATE-TOKEN"], parse_qs(body)["body"][0]))
        self.send_response(201)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def notes() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """An address that takes notes, and those that it took."""
    taken: list[tuple[str, str, str]] = []
    handler = type("Notes", (_Notes,), {"taken": taken})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api/v4", taken
        finally:
            server.shutdown()
            thread.join()


def gitlab(runner: Ship, **variables: str) -> None:
    """Run the job's script; its engine is that of the tests."""
    job = parsed(".gitlab-ci.yml")["release"]
    assert job["variables"]["TINYSHIP_PUSH_TO"] == "$CI_REGISTRY"
    known = {
        "CI_REGISTRY": runner.registry,
        "TINYSHIP_PUSH_TO": runner.registry,
        "CI_REGISTRY_USER": "someone",
        "CI_REGISTRY_PASSWORD": "secret",
    }
    bash(runner, "\n".join([*job["before_script"], *job["script"]]), {**known, **variables})


def test_gitlab(runner: Ship) -> None:
    """A merge request gets a note with what became of the size, which is an artifact too; a push is pushed."""
    with notes() as (address, taken):
        gitlab(
            runner,
            CI_API_V4_URL=address,
            CI_PROJECT_ID="7",
            CI_MERGE_REQUEST_IID="3",
            CI_MERGE_REQUEST_DIFF_BASE_SHA=runner.git("rev-parse", "v1.0.0"),
            NOTE_TOKEN="token",
        )
    ((path, token, body),) = taken
    assert (path, token) == ("/api/v4/projects/7/merge_requests/3/notes", "token")
    assert runner.image in body
    assert body.strip() == (runner.root / "size.md").read_text().strip()
    assert logged_in(runner) == {runner.registry: "someone:secret"}
    (runner.root / "size.md").unlink()  # each job starts in a fresh clone
    gitlab(runner)
    assert there(runner, runner.git("rev-parse", "HEAD"))
