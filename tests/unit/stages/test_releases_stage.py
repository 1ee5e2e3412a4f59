"""The releases that are known: how what several places know of one becomes one row."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tinyship.events import Event
from tinyship.git.versiontags import VersionTag
from tinyship.kept import history, notes
from tinyship.kept.history import Entry
from tinyship.kept.record import Sizes
from tinyship.settings.load import Layer, load
from tinyship.stages import published, releases
from tinyship.stages.releases import Known, merged
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    import pytest
    from tests.conftest import Repository

A, B = "a" * 40, "b" * 40
DIGEST = "sha256:" + "1" * 64


def entry(version: str, commit: str, created: str = "", digest: str = "", unpacked: int | None = 9) -> Entry:
    """A release that some place knows."""
    sizes = (Sizes("base", "alpine:3.22", 5, None, None, 1), Sizes("release", "lacion/foo", unpacked, 4, None, 1))
    return Entry("lacion/foo", version, commit, created, created, digest, sizes)


def tag(version: str, commit: str, date: str = "") -> VersionTag:
    """A git tag of a version."""
    return VersionTag(f"v{version}", version, commit, date)


def test_tags_and_releases() -> None:
    """A release belongs to the tag of its version on its commit, and to no other."""
    found = merged(
        "lacion/foo",
        (entry("1.0.0", A, "2026-01-01T00:00:00Z", DIGEST), entry("1.1.0", A, "2026-01-02T00:00:00Z")),
        (tag("1.1.0", B, "2026-01-03T00:00:00Z"), tag("1.0.0", A, "2026-01-01T00:00:00Z")),
    )
    assert [(one.version, one.commit, one.tag, one.places) for one in found] == [
        ("1.1.0", B, "v1.1.0", ("tag",)),
        ("1.1.0", A, "", ("here",)),
        ("1.0.0", A, "v1.0.0", ("tag", "here")),
    ]
    assert [one.is_tag_only for one in found] == [True, False, False]
    assert found[2] == Known("lacion/foo", "1.0.0", A, "2026-01-01T00:00:00Z", DIGEST, 4, 9, "v1.0.0", ("tag", "here"))


def test_versions_as_tags_take_them() -> None:
    """What an image's tag cannot have, and a prefix, do not keep them apart; nor does a commit that is not known."""
    found = merged("lacion/foo", (entry("v1.0.0-build", ""),), (tag("1.0.0+build", A, "2026-01-01T00:00:00Z"),))
    (one,) = found
    assert (one.tag, one.commit, one.date) == ("v1.0.0+build", A, "2026-01-01T00:00:00Z")


def test_order() -> None:
    """The newest commit first; of one commit the highest version; what has no date comes last."""
    day = "2026-01-01T00:00:00Z"
    found = merged("lacion/foo", (entry("1.9.0", A, day), entry("1.10.0", A, day)), (tag("9.0.0", B),))
    assert [one.version for one in found] == ["1.10.0", "1.9.0", "9.0.0"]


def test_places(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tag, note, folder and registry, each asked as it is; a registry's version without a tag is told apart."""
    first = repository.commit("first")
    repository.git("tag", "v1.0.0")
    second = repository.commit("second")
    here, noted = entry("1.0.0", first, "2026-01-01T00:00:00Z", DIGEST), entry("1.1.0", second, "2026-01-02T00:00:00Z")
    history.add(repository.root, here)
    notes.add(repository.root, here)
    notes.add(repository.root, noted)
    there = (
        entry("1.0.0", first, "2026-01-01T00:00:00Z", DIGEST, None),
        entry("v2.0.0", "", "2026-01-03T00:00:00Z", "sha256:" + "2" * 64, None),
        entry("2.0.0-4-g1234567", "", "2026-01-04T00:00:00Z", "sha256:" + "3" * 64, None),
    )
    monkeypatch.setattr(published, "releases", lambda scope: there)
    found = releases.known(scope_of(repository.root), registry=True)
    assert [(one.version, one.places, one.is_untagged) for one in found] == [
        ("2.0.0-4-g1234567", ("registry",), False),
        ("v2.0.0", ("registry",), True),
        ("1.1.0", ("note",), False),
        ("1.0.0", ("tag", "note", "here", "registry"), False),
    ]
    assert found[-1].unpacked == 9
    without = releases.known(scope_of(repository.root))
    assert [one.places for one in without] == [("note",), ("tag", "note", "here")]


def test_many(tmp_path: Path) -> None:
    """Thousands of releases and tags are no wait."""
    entries = [entry(f"1.{number}.0", f"{number:040}") for number in range(3000)]
    tags = [tag(f"1.{number}.0", f"{number:040}") for number in range(3000)]
    begun = time.monotonic()
    assert len(merged("lacion/foo", entries, tags)) == 3000
    assert time.monotonic() - begun < 5


def scope_of(root: Path) -> Scope:
    """An image of a project in this folder."""
    (loaded,) = load([Layer("invoke.yaml", {"image": "lacion/foo"})], environ={})
    return Scope(root, loaded.settings, _heard)


def _heard(event: Event) -> None:
    raise AssertionError(event)
