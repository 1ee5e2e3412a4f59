"""The folders that BuildKit may ask for: the project's own, or one for a Dockerfile that is not sent as it lies."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from tinyship.context.source import Context
from tinyship.engine.buildkit.frontend import CONTEXT, DOCKERFILE, folders
from tinyship.engine.request import BuildRequest


@pytest.fixture
def request_(tmp_path: Path) -> BuildRequest:
    """A build of a Dockerfile with an ignore file of its own."""
    (tmp_path / "Dockerfile.x").write_text("FROM a\n")
    (tmp_path / "Dockerfile.x.dockerignore").write_text("no\n")
    (tmp_path / "other").write_text("other")
    return BuildRequest(context=Context.open(tmp_path, tmp_path / "Dockerfile.x"), tags=("foo",))


def test_folders_of_the_project(request_: BuildRequest, tmp_path: Path) -> None:
    """What is sent as it lies there is read where it lies."""
    with folders(request_) as found:
        assert found == {CONTEXT: tmp_path, DOCKERFILE: tmp_path}


def test_folder_of_a_pinned_dockerfile(request_: BuildRequest, tmp_path: Path) -> None:
    """It has the pinned text and the ignore file under their names, and nothing else; it goes, whatever happens."""
    pinned = replace(request_, context=replace(request_.context, pinned="FROM a@b\n"))
    with suppress(KeyboardInterrupt), folders(pinned) as found:
        assert found[CONTEXT] == tmp_path
        folder = found[DOCKERFILE]
        assert {file.name: file.read_text() for file in folder.iterdir()} == {
            "Dockerfile.x": "FROM a@b\n",
            "Dockerfile.x.dockerignore": "no\n",
        }
        raise KeyboardInterrupt
    assert not folder.exists()
    assert (tmp_path / "Dockerfile.x").read_text() == "FROM a\n"
