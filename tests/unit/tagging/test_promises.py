"""Which tags name one image for ever: by the templates of a project, and by what its versions look like."""

from __future__ import annotations

import pytest

from tinyship.settings.stages import Push
from tinyship.tagging.promises import is_promise
from tinyship.versions import Scheme

COMMIT = "0123456789abcdef0123456789abcdef01234567"
USUAL = Push().tags
SHORTENED = ("{version}", "{commit}", "{major}.{minor}", "{major}", "latest")
NAMED = ("release-{version}", "git-{short_commit}", "nightly-{date}", "{date}", "{branch}", "stable")


def promises(tag: str, templates: tuple[str, ...], *known: str, scheme: Scheme = "auto") -> bool:
    """Whether it is one in a project of these versions."""
    return is_promise(tag, templates, scheme, lambda: known)


@pytest.mark.parametrize(
    ("templates", "tag"),
    [
        (USUAL, "1.4.2"),
        (USUAL, "v1.4.2"),
        (USUAL, "1.4.2-rc.1"),
        (USUAL, "1.4.2-3-gabc1234"),
        (USUAL, "1.4"),
        (USUAL, COMMIT),
        (USUAL, COMMIT[:7]),
        (SHORTENED, "1.4.2"),
        (SHORTENED, COMMIT),
        (NAMED, "release-1.4.2"),
        (NAMED, "release-1.4"),
        (NAMED, "git-0123456"),
        (NAMED, "git-abcdefa"),
        (NAMED, "1.4.2"),
        (("{version}", "{major}.{minor}.{patch}"), "1.4.2"),
        (("{version}-{version}",), "1.4.2-1.4.2"),
        (("{major}.{minor}-alpine",), "1.4.2-alpine"),
    ],
)
def test_what_stays(templates: tuple[str, ...], tag: str) -> None:
    """Versions and commits, bare or as the templates write them."""
    assert promises(tag, templates)


@pytest.mark.parametrize(
    ("templates", "tag"),
    [
        (USUAL, "latest"),
        (USUAL, "stable"),
        (USUAL, "1"),
        (USUAL, "20241124"),
        (USUAL, "20241124.2"),
        (USUAL, "1.4.2-dirty"),
        (USUAL, "default"),
        (USUAL, "defaced"),
        (SHORTENED, "1.4"),
        (SHORTENED, "1"),
        (SHORTENED, "20241124"),
        (NAMED, "release-candidate"),
        (NAMED, "release-1.4.2-dirty"),
        (NAMED, "nightly-20241124"),
        (NAMED, "20241124"),
        (NAMED, "main"),
        (("{major}.{minor}.{patch}", "latest"), "1.4.2"),
        (("{version}", "1.4"), "1.4"),
    ],
)
def test_what_moves(templates: tuple[str, ...], tag: str) -> None:
    """Words, dates, shortened versions where the project has such tags, and what was made of a tree with changes."""
    assert not promises(tag, templates)


def test_versions_of_the_project() -> None:
    """What the project itself has as versions are promises: two numbers, a single one, a day."""
    assert promises("1.4", SHORTENED, "1.3", "1.4")
    assert not promises("1.5", SHORTENED, "1.3", "1.4")
    assert promises("7", USUAL, "5", "6")
    assert promises("20241124", USUAL, "20241001", "20241101")
    assert promises("20241124.2", USUAL, "20241001.1")
    assert not promises("20241124", USUAL, "1.4.2")


def test_scheme() -> None:
    """What is no version by the project's scheme is none, and may move."""
    assert promises("1.4.2", USUAL, scheme="semver")
    assert not promises("1.4", USUAL, scheme="semver")
    assert not promises("1!2.0", USUAL, scheme="semver")


def test_versions_are_asked_for_where_that_matters() -> None:
    """Git is not called for a tag that tells all by itself."""

    def known() -> tuple[str, ...]:
        raise AssertionError

    for tag in ("1.4.2", "stable", COMMIT):
        is_promise(tag, SHORTENED, known=known)
    assert is_promise("release-1.4.2", NAMED, known=known)
