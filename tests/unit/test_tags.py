"""Tags: filled in from what git says, and what moves is left alone by all that is no release."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tinyship.revision import Revision
from tinyship.settings.grammar import check_tag
from tinyship.tags import Tag, is_final, render, sanitise

COMMIT = "abc1234" + "0" * 33
RELEASED = Revision(
    commit=COMMIT,
    branch="main",
    tags=("v1.2.3",),
    version="1.2.3",
    tag="v1.2.3",
    date=datetime(2017, 5, 1, 12, tzinfo=UTC),
)
PRE_RELEASE = replace(RELEASED, version="1.2.3-rc1", tag="v1.2.3-rc1", tags=("v1.2.3-rc1",))
DIRTY = replace(RELEASED, dirty=True, changes=(" M main.go",))
BETWEEN = replace(RELEASED, version="1.2.3-4-gabc1234", tag="", tags=())
UNTAGGED = replace(RELEASED, version="0.0.0-gabc1234", tag="", tags=())
DETACHED = replace(RELEASED, branch="")
GIVEN = replace(RELEASED, version="2.0.0", tag="", tags=(), is_given=True)


def names(revision: Revision, *templates: str) -> list[str]:
    """The names of the tags."""
    return [tag.name for tag in render(templates, revision).tags]


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{version}", "1.2.3"),
        ("v{version}", "v1.2.3"),
        ("{major}.{minor}", "1.2"),
        ("{major}", "1"),
        ("{major}.{minor}.{patch}", "1.2.3"),
        ("{commit}", COMMIT),
        ("{short_commit}", "abc1234"),
        ("{branch}", "main"),
        ("{branch}-{short_commit}", "main-abc1234"),
        ("{date}", "20170501"),
        ("latest", "latest"),
    ],
)
def test_templates(template: str, name: str) -> None:
    """Every name in braces is filled in, and nothing is to be said of it."""
    result = render([template], RELEASED)
    assert [tag.name for tag in result.tags] == [name]
    assert result.notices == ()


def test_order_is_that_of_the_templates() -> None:
    """Tags come as they were asked for."""
    assert names(RELEASED, "latest", "{version}", "{short_commit}") == ["latest", "1.2.3", "abc1234"]


def test_duplicates_are_one() -> None:
    """Two templates that say the same are one tag."""
    assert names(RELEASED, "{version}", "{major}.{minor}.{patch}", "{version}", "latest", "latest") == [
        "1.2.3",
        "latest",
    ]


@pytest.mark.parametrize(
    ("template", "moving"),
    [
        ("latest", True),
        ("{major}.{minor}", True),
        ("{branch}", True),
        ("{version}", False),
        ("{commit}", False),
        ("{short_commit}", False),
        ("{date}", True),
        ("{date}-{short_commit}", False),
        ("{branch}-{commit}", False),
    ],
)
def test_what_moves(template: str, moving: bool) -> None:
    """A tag that the next release takes over is told apart from one that stays."""
    (tag,) = render([template], RELEASED).tags
    assert tag.moving is moving


@pytest.mark.parametrize("revision", [PRE_RELEASE, BETWEEN, UNTAGGED, DIRTY])
@pytest.mark.parametrize("template", ["latest", "{major}", "{major}.{minor}"])
def test_moving_tags_are_those_of_releases(revision: Revision, template: str) -> None:
    """`latest` never names a pre-release, what is between two tags or a dirty tree, and that is said."""
    result = render(["{version}", template], revision)
    assert result.tags == (Tag(revision.full_version, False),)
    (notice,) = result.notices
    assert notice.startswith(f"tag `{template}` is left out: ")


def test_notices_say_why() -> None:
    """The reason is the version, or the changes."""
    assert "1.2.3-rc1 is no released version" in render(["latest"], PRE_RELEASE).notices[0]
    assert "1.2.3-4-gabc1234 is no released version" in render(["latest"], BETWEEN).notices[0]
    assert "changes that no commit has" in render(["latest"], DIRTY).notices[0]


def test_given_version_is_a_release() -> None:
    """A version of the settings moves `latest`, unless it is a pre-release."""
    assert names(GIVEN, "{version}", "latest") == ["2.0.0", "latest"]
    assert names(replace(GIVEN, version="2.0.0-beta"), "{version}", "latest") == ["2.0.0-beta"]


@pytest.mark.parametrize("template", ["{commit}", "{short_commit}", "{branch}", "{date}", "{branch}-{commit}"])
def test_dirty_tree_has_its_version_only(template: str) -> None:
    """No commit is what a dirty tree holds, so nothing names one."""
    assert names(DIRTY, "{version}", template) == ["1.2.3-dirty"]


def test_commit_is_a_tag_between_releases() -> None:
    """What is no release is found by its commit, branch and date."""
    assert names(BETWEEN, "{commit}", "{branch}", "{date}") == [COMMIT, "main", "20170501"]


def test_detached_head_has_no_branch() -> None:
    """A template with a branch is left out, and that is said; the others stay."""
    result = render(["{branch}", "{version}", "{branch}-{short_commit}"], DETACHED)
    assert result.tags == (Tag("1.2.3", False),)
    assert result.notices == (
        "tag `{branch}` is left out: there is no branch",
        "tag `{branch}-{short_commit}` is left out: there is no branch",
    )


def test_without_a_repository() -> None:
    """A given version without git has no commit, no branch and no date."""
    result = render(["{version}", "{commit}", "{branch}-{date}", "latest"], Revision(version="2.0.0", is_given=True))
    assert [tag.name for tag in result.tags] == ["2.0.0", "latest"]
    assert "there is no commit" in result.notices[0]
    assert "there is no branch and no date" in result.notices[1]


def test_version_without_numbers() -> None:
    """A version that does not begin with a number has no `{major}`."""
    result = render(["{version}", "{major}"], replace(GIVEN, version="nightly"))
    assert [tag.name for tag in result.tags] == ["nightly"]
    assert "there is no major" in result.notices[0]


def test_short_version_has_zeroes() -> None:
    """What a version leaves out is 0."""
    assert names(replace(GIVEN, version="2"), "{major}.{minor}.{patch}") == ["2.0.0"]


def test_replaced_characters_are_said() -> None:
    """A branch or version that is no tag is pushed as one, and the notice has both names."""
    branch = render(["{branch}"], replace(RELEASED, branch="feature/ä#1"))
    assert [tag.name for tag in branch.tags] == ["feature---1"]
    assert "`feature/ä#1` is pushed as `feature---1`" in branch.notices[0]
    build = render(["{version}"], replace(GIVEN, version="1.0.0+build.5"))
    assert [tag.name for tag in build.tags] == ["1.0.0-build.5"]
    assert "`1.0.0+build.5`" in build.notices[0]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1.2.3", "1.2.3"),
        ("_a", "_a"),
        ("A-b_c.d", "A-b_c.d"),
        ("feature/x", "feature-x"),
        (".hidden", "hidden"),
        ("--x", "x"),
        ("/x", "x"),
        ("a b\n", "a-b-"),
        ("äöü", "untagged"),
        ("", "untagged"),
        ("x" * 200, "x" * 128),
        ("." + "x" * 128, "x" * 128),
    ],
)
def test_sanitise(text: str, name: str) -> None:
    """What comes out is a tag that Docker takes."""
    assert sanitise(text) == name
    check_tag(name)


@pytest.mark.parametrize(
    ("version", "final"),
    [
        ("1", True),
        ("1.2.3", True),
        ("2017.05.01", True),
        ("1.0.post1", True),
        ("1.0.0+build.5", True),
        ("1.0.0-rc1", False),
        ("1.0.0rc1", False),
        ("1.0.0-1", False),
        ("1.0.0.dev1", False),
        ("1.2.3-4-gabc1234", False),
        ("0.0.0-gabc1234", False),
        ("1.2.3-dirty", False),
        ("nightly", False),
        ("", False),
    ],
)
def test_final(version: str, final: bool) -> None:
    """Only plain versions, post-releases and builds are those of releases."""
    assert is_final(version) is final
