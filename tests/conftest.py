"""Every test runs in an environment without the user's own config, credentials and git settings."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A machine may be busy with other tests; how long an example takes says nothing of the code.
settings.register_profile(
    "busy",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("busy")
_SCRUBBED = ("DOCKER_", "INVOKE_", "GIT_", "TINYSHIP_")
_KEPT = {"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"}
_SINGLE = ("NO_COLOR", "CI", "FORCE_COLOR", "COLUMNS", "LINES")


@pytest.fixture(scope="session", autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of the tests' own, with an identity for git, and interrupts that interrupt."""
    # Whatever a shell starts in its background has them ignored, and hands that on to all that it starts.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text("[user]\nname = Test\nemail = test@example.com\n[init]\ndefaultBranch = main\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if (name.startswith(_SCRUBBED) and name not in _KEPT) or name in _SINGLE:
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("TERM", "dumb")
        yield home


class Repository:
    """A git repository in a folder of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str) -> str:
        """Run git, and return what it wrote."""
        done = subprocess.run(["git", *words], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, text: str = "text") -> str:
        """Write a file, commit it, and return the commit."""
        (self.root / "file.txt").write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", text)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository."""
    root = tmp_path / "repository"
    root.mkdir()
    return Repository(root)
