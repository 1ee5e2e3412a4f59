"""Running git: what it writes, and what people read when it fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinyship.errors import GitError
from tinyship.git.repository import around, run, run_bytes

if TYPE_CHECKING:
    from tests.conftest import Repository


def test_around(repository: Repository, tmp_path: Path) -> None:
    """The repository of a folder is that of the nearest folder above that has one; outside there is none."""
    (repository.root / "below").mkdir()
    for folder in (repository.root, repository.root / "below"):
        with around(folder) as found:
            assert Path(found.working_tree_dir) == repository.root
    assert around(tmp_path) is None
    assert around(tmp_path / "gone") is None


def test_bare(repository: Repository, tmp_path: Path) -> None:
    """A repository without a work tree has no project in it."""
    repository.git("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    with pytest.raises(GitError, match="has no work tree"):
        around(tmp_path / "bare")


def test_bytes_go_in_and_out(repository: Repository) -> None:
    """What a command reads and writes need be no text."""
    data = bytes(range(256)) + b"\n\n"
    with around(repository.root) as opened:
        blob = run(opened, "hash-object", "-w", "--stdin", stdin=data).strip()
        assert run_bytes(opened, "cat-file", "blob", blob) == data
        assert run(opened, "var", "GIT_EDITOR", environment={"GIT_EDITOR": "ed"}) == "ed\n"


def test_failure(repository: Repository) -> None:
    """The message has the command and one line; all that git said is there for who wants it."""
    with around(repository.root) as opened:
        with pytest.raises(GitError, match=r"^`git rev-parse` failed: fatal: ambiguous argument 'nothing'") as caught:
            run(opened, "-c", "core.quotePath=false", "rev-parse", "nothing")
        assert "\n" not in caught.value.message
        assert "Use '--' to separate" in caught.value.said
        with pytest.raises(GitError, match="`git config` failed: it does not say why"):
            run(opened, "config", "--get", "not.there")


def test_credentials_are_not_told(repository: Repository) -> None:
    """What stands before the host of a URL stays out of messages."""
    with around(repository.root) as opened, pytest.raises(GitError) as caught:
        run(opened, "-c", "alias.say=!echo cannot reach https://me:secret@host/x >&2; exit 1 #", "say")
    assert caught.value.message.endswith("cannot reach https://host/x")
    assert "secret" not in caught.value.said


def test_takes_too_long(repository: Repository) -> None:
    """A command that is not done in time is stopped, and that is why it failed."""
    with around(repository.root) as opened, pytest.raises(GitError, match=r"did not complete in 0\.2 secs"):
        run(opened, "-c", "alias.wait=!sleep 60 #", "wait", timeout=0.2)
