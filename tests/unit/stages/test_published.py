"""Which of a registry's tags are looked at for past releases: the highest versions, as the scheme orders them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tinyship.settings.load import Layer, load
from tinyship.stages import published
from tinyship.stages.scope import Scope


class Listing:
    """A repository that has tags, and no images to look at."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def tags(self) -> tuple[str, ...]:
        """The names of all its tags."""
        return self.names


def asked(patch: pytest.MonkeyPatch, root: Path, scheme: str, *names: str) -> list[str]:
    """The tags whose manifests are asked for."""
    section = {"image": "lacion/foo", "version": {"scheme": scheme}, "push": {"to": ["registry.example.com"]}}
    (loaded,) = load([Layer("invoke.yaml", section)], environ={})
    seen: list[str] = []

    @contextmanager
    def opened(scope: Scope, name: str) -> Iterator[Listing]:
        yield Listing(*names)

    def entry(scope: Scope, repository: object, tag: str, known: object) -> None:
        seen.append(tag)

    patch.setattr(Scope, "repository", opened)
    patch.setattr(published, "_entry", entry)
    assert published.releases(Scope(root, loaded.settings)) == ()
    return seen


def test_highest_versions_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Versions come in their order, what only looks like one last; words, commits and single numbers do not come."""
    names = (
        "1.9.0",
        "latest",
        "1.10.0-rc.1",
        "1",
        "v1.10.0",
        "abc1234",
        "1234567",
        "1.4-lts",
        "1.10.0-rc.10",
        "2024.01",
    )
    expected = ["2024.01", "v1.10.0", "1.10.0-rc.10", "1.10.0-rc.1", "1.9.0", "1.4-lts"]
    assert asked(monkeypatch, tmp_path, "auto", *names) == expected


def test_scheme_orders_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """1.0.0-1 is below 1.0.0, or above it."""
    assert asked(monkeypatch, tmp_path, "semver", "1.0.0-1", "1.0.0") == ["1.0.0", "1.0.0-1"]
    assert asked(monkeypatch, tmp_path, "pep440", "1.0.0", "1.0.0-1") == ["1.0.0-1", "1.0.0"]


def test_only_the_highest_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of very many versions the oldest are left out."""
    names = [f"1.{number}.0" for number in range(60)]
    found = asked(monkeypatch, tmp_path, "auto", *names)
    assert (found[0], found[-1], len(found)) == ("1.59.0", "1.10.0", 50)
