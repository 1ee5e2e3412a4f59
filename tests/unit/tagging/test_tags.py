"""Tags: filled in from what git says, and what moves is left alone by all that is no release."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tinyship.git.revision import Revision
from tinyship.settings.grammar import check_tag
from tinyship.tagging.tags import Tag, is_final, render, sanitise

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


@pytest.mark.parametrize(
    ("version", "template", "name"),
    [
        ("1.2.3", "{version}", "1.2.3"),
        ("1.2.3", "{major}.{minor}", "1.2"),
        ("1.2.3", "v{major}", "v1"),
        ("1.2.3", "{minor}", "2"),
        ("1.2.3", "{patch}", "3"),
        ("1.2.3", "latest", "latest"),
        ("1.2.3", "{version}-alpine", "1.2.3-alpine"),
        ("0.1.2", "{version}", "0.1.2"),
        ("0.1.2", "{major}.{minor}", "0.1"),
        ("0.1.2", "{major}", None),
        ("0.1.2", "v{major}", None),
        ("0.1.2", "latest", "latest"),
        ("2.0.8-rc1", "{version}", "2.0.8-rc1"),
        ("2.0.8-rc1", "{version}-alpine", "2.0.8-rc1-alpine"),
        ("2.0.8-rc1", "{major}.{minor}", None),
        ("2.0.8-rc1", "{major}", None),
        ("2.0.8-rc1", "latest", None),
        ("2.0.8-beta.67", "{version}", "2.0.8-beta.67"),
        ("2.0.8-rc1", "{short_commit}", "abc1234"),
        ("2.0.8-rc1", "{branch}", "main"),
        ("1.2.3rc2", "{version}", "1.2.3rc2"),
        ("1.2.3rc2", "{major}.{minor}", None),
        ("1.2.3.post1", "{major}.{minor}", "1.2"),
        ("1.0.dev4", "{major}", None),
        ("2024.01", "{major}.{minor}", "2024.01"),
        ("2024.1.0", "{major}", "2024"),
        ("1.2.3.4", "{major}.{minor}.{patch}", "1.2.3"),
        ("1!2.3.4", "{major}.{minor}", "2.3"),
    ],
)
def test_rules_that_people_know(version: str, template: str, name: str | None) -> None:
    """What docker/metadata-action documents of versions and patterns, and calendars and epochs beside it."""
    assert names(replace(RELEASED, version=version, tag=f"v{version}"), template) == ([name] if name else [])


@pytest.mark.parametrize(
    ("template", "follows"),
    [
        ("latest", "all"),
        ("stable-alpine", "all"),
        ("{minor}", "all"),
        ("{major}", "major"),
        ("v{major}-alpine", "major"),
        ("{major}.{minor}", "minor"),
        ("{major}.{minor}.{patch}", "patch"),
        ("{branch}", "branch"),
        ("{branch}-{major}", "branch"),
        ("{branch}-{date}", "branch"),
        ("{date}", "date"),
        ("{version}", ""),
        ("{major}-{commit}", ""),
        ("{date}-{short_commit}", ""),
    ],
)
def test_what_a_tag_follows(template: str, follows: str) -> None:
    """A moving tag says whose last release it names; one that stays follows nothing."""
    (tag,) = render([template], RELEASED).tags
    assert (tag.follows, tag.moving) == (follows, bool(follows))


def test_zero_promises_nothing() -> None:
    """Before 1.0 there is no tag for all of a major number, and the notice says why."""
    result = render(["{major}", "{major}.{minor}", "latest"], replace(RELEASED, version="0.4.1", tag="v0.4.1"))
    assert [tag.name for tag in result.tags] == ["0.4", "latest"]
    assert result.notices == (
        "tag `{major}` is left out: 0 promises nothing, so nobody should follow all versions before 1.0",
    )


def test_scheme_says_what_a_pre_release_is() -> None:
    """1.0.0-1 is a pre-release to Semantic Versioning, and a release to PEP 440."""
    revision = replace(RELEASED, version="1.0.0-1", tag="v1.0.0-1")
    assert names(revision, "{version}", "latest") == ["1.0.0-1"]
    assert names(replace(revision, scheme="pep440"), "{version}", "latest") == ["1.0.0-1", "latest"]
    assert is_final("1.0.0-1", "pep440")
    assert not is_final("1.2", "semver")


@pytest.mark.parametrize("templates", [("{version}", "{major}.{minor}"), ("{major}.{minor}", "{version}")])
def test_two_templates_of_one_name(templates: tuple[str, str]) -> None:
    """Two templates that give one name are one tag, which is said, and which stays where one of them does."""
    result = render(templates, replace(RELEASED, version="1.4", tag="v1.4"))
    assert result.tags == (Tag("1.4", False),)
    assert result.notices == (f"`{templates[0]}` and `{templates[1]}` are one tag, `1.4`",)


def test_long_names_are_cut_and_that_is_said() -> None:
    """A tag has 128 characters at most."""
    result = render(["{branch}"], replace(RELEASED, branch="x" * 130))
    assert [tag.name for tag in result.tags] == ["x" * 128]
    assert "128 at most: what is behind them is cut off" in result.notices[0]


def test_upper_case_stays_and_that_is_said() -> None:
    """Tags, unlike names of images, may have upper case; what the templates say themselves needs no notice."""
    result = render(["{branch}", "LATEST"], replace(RELEASED, branch="Main"))
    assert [tag.name for tag in result.tags] == ["Main", "LATEST"]
    assert result.notices == ("tag `Main` keeps its upper case: to Docker, `main` is another tag",)


def test_affixes_are_those_of_versions() -> None:
    """What stands around a version is kept for finding versions in a registry; other templates have nothing to find."""
    templates = [
        "{version}",
        "v{major}.{minor}",
        "{version}-alpine",
        "rel-{version}-alpine",
        "{branch}-x",
        "latest",
        "{major}.0",
    ]
    assert render(templates, RELEASED).affixes == (("rel-", "-alpine"), ("", "-alpine"), ("v", ""), ("", ""))


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
