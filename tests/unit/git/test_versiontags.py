"""The git tags that are versions: which are, of what, in what order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tinyship.git import versiontags
from tinyship.settings.schema import Version

if TYPE_CHECKING:
    from tests.conftest import Repository


def test_versions(repository: Repository) -> None:
    """Light and annotated ones, by number; other tags, and tags of what is no commit, are none."""
    first = repository.commit("first")
    repository.git("tag", "v1.9.0")
    repository.git("tag", "v1.10.0-rc1")
    second = repository.commit("second")
    repository.git("tag", "-a", "-m", "text", "v1.10.0")
    repository.git("tag", "nightly")
    repository.git("tag", "vain")
    repository.git("tag", "v9.0.0", "HEAD^{tree}")
    repository.git("tag", "-a", "-m", "text", "v8.0.0", "HEAD:file.txt")
    found = versiontags.read(repository.root, Version())
    assert [(tag.name, tag.version, tag.commit) for tag in found] == [
        ("v1.10.0", "1.10.0", second),
        ("v1.10.0-rc1", "1.10.0-rc1", first),
        ("v1.9.0", "1.9.0", first),
    ]
    assert found[0].date == repository.git("log", "-1", "--format=%cI")
    below = versiontags.read(repository.root, Version(), merged=first)
    assert [tag.version for tag in below] == ["1.10.0-rc1", "1.9.0"]


def test_globs(repository: Repository) -> None:
    """The settings' own glob counts, and what stands before its wildcard is no part of a version."""
    repository.commit("first")
    repository.git("tag", "api-v2.0.0")
    repository.git("tag", "v1.0.0")
    assert [tag.version for tag in versiontags.read(repository.root, Version(tag="api-v*"))] == ["2.0.0"]


def test_none(tmp_path: Path, repository: Repository) -> None:
    """A folder outside of a repository has none, and a repository without tags has none."""
    assert versiontags.read(tmp_path, Version()) == ()
    assert versiontags.read(repository.root, Version()) == ()
