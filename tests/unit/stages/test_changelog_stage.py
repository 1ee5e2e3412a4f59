"""The notes of a release: what it is compared with, and what is known of the images of both."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tinyship.errors import ConfigError, GitError
from tinyship.events import Event
from tinyship.kept import history
from tinyship.kept.history import Entry
from tinyship.kept.record import BaseImage, Sizes
from tinyship.settings.load import Layer, load
from tinyship.stages import changelog
from tinyship.stages.changelog import Notes, Rebased, Resized
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tests.conftest import Repository

OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def heard(event: Event) -> None:
    """Nothing here is worth an event."""
    raise AssertionError(event)


def scope_of(root: Path, **section: Any) -> Scope:
    """An image of a project in this folder."""
    (loaded,) = load([Layer("invoke.yaml", {"image": "lacion/foo", **section})], environ={})
    return Scope(root, loaded.settings, heard)


def tagged(repository: Repository, *names: str) -> str:
    """A commit with these tags."""
    commit = repository.commit(" ".join(names) or "untagged")
    for name in names:
        repository.git("tag", name)
    return commit


def subjects(notes: Notes) -> list[str]:
    """The commits that notes tell of."""
    return [change.subject for change in notes.changes.commits]


def entry(version: str, commit: str, unpacked: int, pull: int | None, *bases: BaseImage) -> Entry:
    """A release that was written down."""
    sizes = (Sizes("release", f"lacion/foo:{version}", unpacked, pull, None, 1),)
    return Entry("lacion/foo", version, commit, "", history.now(), "", sizes, bases=bases)


def test_pre_releases_are_for_pre_releases(repository: Repository) -> None:
    """A final version is compared with the final one before, a pre-release with the one before it."""
    tagged(repository, "v1.0.0")
    tagged(repository, "v1.1.0-rc1")
    tagged(repository, "v1.1.0-rc2")
    scope = scope_of(repository.root)
    assert (changelog.notes(scope).version, changelog.notes(scope).since) == ("1.1.0-rc2", "1.1.0-rc1")
    tagged(repository, "v1.1.0")
    final = changelog.notes(scope_of(repository.root))
    assert (final.version, final.since) == ("1.1.0", "1.0.0")
    assert subjects(final) == ["v1.1.0", "v1.1.0-rc2", "v1.1.0-rc1"]
    tagged(repository)
    after = changelog.notes(scope_of(repository.root))
    assert (after.version[:9], after.since, subjects(after)) == ("1.1.0-1-g", "1.1.0", ["untagged"])


def test_highest_lower_version_that_it_stands_on(repository: Repository) -> None:
    """Neither a tag of another branch, nor a higher one, nor a lower one that is nearer."""
    first = tagged(repository, "v1.0.0")
    tagged(repository, "v2.0.0")
    repository.git("checkout", "-q", "-b", "old", first)
    tagged(repository, "v0.9.1")
    tagged(repository, "v1.0.1", "v1.0.1-rc1")
    notes = changelog.notes(scope_of(repository.root))
    assert (notes.version, notes.since) == ("1.0.1", "1.0.0")
    repository.git("merge", "-q", "--no-ff", "-X", "ours", "-m", "a merge", "main")
    repository.git("tag", "v1.0.2")
    notes = changelog.notes(scope_of(repository.root))
    assert (notes.version, notes.since) == ("1.0.2", "1.0.1")


def test_named_ranges(repository: Repository) -> None:
    """Both ends may be named: by version, tag, branch or commit; what git does not know is said so."""
    first = tagged(repository, "v1.0.0")
    second = tagged(repository, "v1.1.0")
    tagged(repository, "v1.2.0")
    scope = scope_of(repository.root)
    for start, end in (("1.0.0", "1.1.0"), ("v1.0.0", "v1.1.0"), (first, second), ("main~2", "main~1")):
        notes = changelog.notes(scope, start, end)
        assert (notes.version, notes.since_commit, subjects(notes)) == ("1.1.0", first, ["v1.1.0"])
    notes = changelog.notes(scope, end="1.1.0")
    assert (notes.since, subjects(notes)) == ("1.0.0", ["v1.1.0"])
    for start, end, flag in (("nothing", "", "--from"), ("", "--output=x", "--to")):
        with pytest.raises(ConfigError, match=f"{flag}=.*git knows no such commit"):
            changelog.notes(scope, start, end)
    assert not (repository.root / "x").exists()


def test_first_release_is_limited(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a release before, the latest commits are told of, and how many there are beside."""
    monkeypatch.setattr(changelog, "FIRST", 2)
    for number in range(4):
        repository.commit(f"commit {number}")
    notes = changelog.notes(scope_of(repository.root))
    assert (notes.since, notes.since_commit) == ("", "")
    assert (subjects(notes), notes.changes.more) == (["commit 3", "commit 2"], 2)


def test_given_version(repository: Repository) -> None:
    """A version of the settings is compared with the git tags below it; one that is no number with the last."""
    tagged(repository, "v1.0.0")
    tagged(repository, "v3.0.0")
    tagged(repository)
    below = changelog.notes(scope_of(repository.root, version={"literal": "2.0"}))
    assert (below.version, below.since) == ("2.0", "1.0.0")
    other = changelog.notes(scope_of(repository.root, version={"literal": "nightly"}))
    assert (other.version, other.since) == ("nightly", "3.0.0")


def test_shallow_clone(repository: Repository, tmp_path: Path) -> None:
    """What a shallow clone cannot know is said, with the command that fetches it."""
    tagged(repository, "v1.0.0")
    tagged(repository)
    tagged(repository, "v1.1.0")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth=2", f"file://{repository.root}", clone], check=True)
    notes = changelog.notes(scope_of(clone))
    assert (notes.version, notes.since, len(notes.changes.commits)) == ("1.1.0", "", 2)
    (notice,) = notes.notices
    assert "`git fetch --unshallow --tags`" in notice


def test_sizes_and_bases(repository: Repository) -> None:
    """Of both releases the image of that version counts; bases that moved, came and went are told of."""
    first, second = tagged(repository, "v1.0.0"), tagged(repository, "v1.1.0")
    scope = scope_of(repository.root)
    assert changelog.notes(scope).sizes == ()
    before = (BaseImage("alpine:3.22", OLD), BaseImage("busybox:1", OLD), BaseImage("same:1", OLD))
    after = (BaseImage("alpine:3.22", NEW), BaseImage("debian:13", NEW), BaseImage("same:1", OLD))
    history.add(
        repository.root,
        entry("1.0.0", first, 10, 5, *before),
        entry("1.0.0-dirty", first, 99, 99),
        entry("1.1.0", second, 8, None, *after),
        entry("1.1.0-other", second, 77, 77),
    )
    notes = changelog.notes(scope)
    assert notes.sizes == (Resized("lacion/foo", 10, 8, 5, None),)
    assert notes.bases == (
        Rebased("lacion/foo", "alpine:3.22", OLD, NEW),
        Rebased("lacion/foo", "busybox:1", OLD, ""),
        Rebased("lacion/foo", "debian:13", "", NEW),
    )
    history.add(repository.root, entry("1.0.0", first, 10, 5))
    assert changelog.notes(scope).bases == ()


def test_images_of_one_repository(repository: Repository) -> None:
    """Several images have one list of commits, and their sizes below it; other ranges stay apart."""
    tagged(repository, "v1.0.0")
    tagged(repository, "v1.1.0")
    notes = changelog.notes(scope_of(repository.root))
    foo = replace(notes, sizes=(Resized("lacion/foo", 1, 2, None, None),))
    bar = replace(notes, sizes=(Resized("lacion/bar", 3, 4, None, None),))
    other = changelog.notes(scope_of(repository.root), "HEAD")
    assert changelog.joined((foo, other, bar)) == (replace(foo, sizes=foo.sizes + bar.sizes), other)


def test_no_history(tmp_path: Path, repository: Repository) -> None:
    """A folder without a repository, and a repository without a commit, have no changes to tell of."""
    for root in (tmp_path, repository.root):
        with pytest.raises(GitError, match="no changes to tell of"):
            changelog.notes(scope_of(root, version={"literal": "1"}))
