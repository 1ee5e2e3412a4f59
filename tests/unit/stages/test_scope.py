"""What the images of a run see of the engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import NotFound

from tinyship.errors import GitError
from tinyship.git import revision
from tinyship.running.together import Together
from tinyship.settings.schema import Settings
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tests.conftest import Repository


class Api:
    """An engine that has some images, and counts the questions."""

    def __init__(self) -> None:
        self.has: dict[str, str] = {}
        self.asked = 0

    def inspect_image(self, reference: str) -> dict[str, Any]:
        """The image of a name."""
        self.asked += 1
        if reference not in self.has:
            raise NotFound("no such image")
        return {"Id": self.has[reference], "RepoTags": [reference]}


def test_a_base_that_another_image_pulls(tmp_path: Path) -> None:
    """It is seen once that image is made, and not in the next run; what nobody touched is asked for once."""
    api = Api()
    engine: Any = SimpleNamespace(api=api)
    together = Together()
    api_image, web = (
        Scope(tmp_path, Settings(image=name), together=together, connect=lambda: engine) for name in ("api", "web")
    )
    assert web.image("alpine:3") is None
    assert web.image("alpine:3") is None
    assert api.asked == 1
    api.has["alpine:3"] = "sha256:1"  # the build of the one pulls it
    api_image.forget()
    found = web.image("alpine:3")
    assert found
    assert found.id == "sha256:1"
    assert web.image("alpine:3") is found
    assert api.asked == 2


def test_git_is_asked_for_the_tree_once(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with the revision where that is read in a thread; and is asked for anew once something was made."""
    repository.commit("first")
    (repository.root / ".git" / "info" / "exclude").write_text(".tinyship\n")
    (repository.root / ".tinyship").mkdir()
    scope = Scope(repository.root, Settings(image="foo"))
    scope.ask_git()
    assert scope.revision.commit == repository.git("rev-parse", "HEAD")
    before = revision.state(repository.root)[1]
    (repository.root / "new").write_text("new")
    assert scope.tree == before
    scope.forget()
    assert scope.tree == revision.state(repository.root)[1] != before


def test_what_git_fails_with_is_told(tmp_path: Path) -> None:
    """Git was asked in a thread: who wants the revision gets its error."""
    scope = Scope(tmp_path, Settings(image="foo"))
    scope.ask_git()
    with pytest.raises(GitError, match="in no git repository"):
        scope.revision  # noqa: B018
