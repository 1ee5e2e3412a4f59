"""Moving tags follow the highest version: what is known decides whether they move, never what was pushed last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyship import versions
from tinyship.git.revision import Revision
from tinyship.tagging.released import finals
from tinyship.tagging.tags import Tags, render, settle
from tinyship.versions import Scheme, parse

COMMIT = "abc1234" + "0" * 33
DEFAULT = ("{version}", "{commit}", "{major}.{minor}", "{major}", "latest")
NUMBERS = st.lists(st.integers(0, 12), min_size=3, max_size=3).map(lambda numbers: ".".join(map(str, numbers)))
VERSIONS = st.builds("".join, st.tuples(NUMBERS, st.sampled_from(["", "", "", "-rc.1", "-beta", "+b.1"])))


def rendered(version: str, *templates: str) -> Tags:
    """The tags of a release of this version."""
    revision = Revision(commit=COMMIT, branch="main", version=version, tag=f"v{version}")
    return render(templates or DEFAULT, revision)


def moved(version: str, known: list[str], *templates: str, scheme: Scheme = "auto") -> list[str]:
    """The moving tags that are left."""
    return [tag.name for tag in settle(rendered(version, *templates), version, known, scheme).tags if tag.moving]


@pytest.mark.parametrize(
    ("version", "known", "expected"),
    [
        ("1.4.2", [], ["1.4", "1", "latest"]),
        ("1.4.2", ["1.4.1", "1.3.9", "0.9.0"], ["1.4", "1", "latest"]),
        ("1.4.2", ["1.4.2", "1.4", "1", "latest"], ["1.4", "1", "latest"]),
        ("1.4.2", ["2.0.0"], ["1.4", "1"]),
        ("1.4.2", ["1.5.0"], ["1.4"]),
        ("1.4.2", ["1.4.3"], []),
        ("1.4.2", ["1.4.10", "2.0.0"], []),
        ("1.4.2", ["v2.0.0"], ["1.4", "1"]),
        ("1.4.2", ["2.0.0-rc.1", "2.0.0rc1", "2.0.0.dev1", "2.0.0-4-gabc1234"], ["1.4", "1", "latest"]),
        ("1.4.2", ["2.0.0-dirty", "1.5-dirty", "2.0.0-alpine", "nightly", "edge"], ["1.4", "1", "latest"]),
        ("1.4.2", ["latest", "main", COMMIT, "abc1234", "1234567", "9" * 40], ["1.4", "1", "latest"]),
        ("1.4.2", ["2", "7", "20240115", "202401", "20240115.1", "2024-01", "123456.1.1"], ["1.4", "1", "latest"]),
        ("1.4.2", ["1.4.2+build.7"], ["1.4", "1", "latest"]),
        ("1.4.2", ["1.4.2.post1"], []),
        ("1.4.2", ["1.4.2.1"], []),
        ("1.4.2", ["2024.1.0"], ["1.4", "1"]),
        ("2024.2.0", ["2024.10.0", "1.9.9"], ["2024.2"]),
        ("1.4.2", ["1!1.0"], ["1.4"]),
        ("0.4.2", ["0.5.0"], ["0.4"]),
    ],
)
def test_highest_version_has_the_moving_tags(version: str, known: list[str], expected: list[str]) -> None:
    """A tag stays where a higher final version of its line is known; what is no version decides nothing."""
    assert moved(version, known) == expected


@pytest.mark.parametrize(
    ("version", "known", "expected"),
    [
        ("1.4.2", ["1.5", "1.5.0"], ["1.4"]),
        ("1.4.2", ["1.5"], ["1.4"]),
        ("1.4.2", ["1.4"], ["1.4", "1", "latest"]),
        ("1.4.0", ["1.4", "1"], ["1.4", "1", "latest"]),
        ("1.4", ["1.5"], []),
        ("1.4", ["1.3", "1"], ["1", "latest"]),
        ("1.4", ["1.4.1"], []),
        ("42", ["41", "9"], ["42.0", "latest"]),
        ("42", ["43"], ["42.0"]),
        ("42", ["1234567", "20240115", COMMIT], ["42.0", "latest"]),
        ("20240115", ["20240114", "1234567"], ["20240115.0", "latest"]),
        ("20240115", ["20240116"], ["20240115.0"]),
    ],
)
def test_short_names(version: str, known: list[str], expected: list[str]) -> None:
    """`1.5` is a moving tag beside 1.5.0, and a version where it is all that there is; single numbers only among such.

    A tag that is this very version is a promise, and not listed.
    """
    assert moved(version, known) == [name for name in expected if name != version]


def test_notices_name_the_tag_and_the_higher_version() -> None:
    """What is left out is told, with the highest version that has the tag; what render said comes first."""
    settled = settle(rendered("1.4.2", "{version}", "{major}", "latest"), "1.4.2", ["1.5.0", "2.0.0", "v1.4.9"])
    assert [tag.name for tag in settled.tags] == ["1.4.2"]
    assert settled.notices == (
        "`1` stays: 1.5.0 is higher than 1.4.2",
        "`latest` stays: 2.0.0 is higher than 1.4.2",
    )
    early = settle(rendered("0.4.2", "{major}", "latest"), "0.4.2", ["0.5.0"])
    assert [notice.partition(":")[0] for notice in early.notices] == ["tag `{major}` is left out", "`latest` stays"]


def test_what_does_not_follow_versions_is_left_alone() -> None:
    """Versions, commits, branches and dates are not held back by a higher version."""
    tags = rendered("1.4.2", "{version}", "{commit}", "{branch}", "{branch}-{major}")
    assert settle(tags, "1.4.2", ["9.0.0"]) == tags


@pytest.mark.parametrize("version", ["2.0.0-rc.1", "2.0.0-4-gabc1234", "nightly", ""])
def test_what_is_no_release_moves_nothing(version: str) -> None:
    """Even where somebody rendered tags for it, a pre-release has no moving tag, and that is said."""
    settled = settle(rendered("1.4.2", "{commit}", "latest"), version, ["1.0.0"])
    assert [tag.name for tag in settled.tags] == [COMMIT]
    assert settled.notices == (f"`latest` stays: {version} is no released version",)


def test_variants_know_their_own_versions() -> None:
    """With templates that write something around the version, the registry's tags are read without it."""
    templates = ("{version}-alpine", "{major}-alpine", "alpine")
    assert moved("1.4.2", ["1.5.0-alpine"], *templates) == []
    assert moved("1.4.2", ["1.4.1-alpine", "1-alpine", "alpine", "1.5.0-rc.1-alpine"], *templates) == [
        "1-alpine",
        "alpine",
    ]
    assert moved("1.4.2", ["1.5.0-debian"], *templates) == ["1-alpine", "alpine"]
    assert moved("1.4.2", ["release-2.0.0"], "release-{version}", "latest") == []


def test_scheme_decides() -> None:
    """1.4.2-1 is below 1.4.2 to Semantic Versioning, above it to PEP 440; 1.5 is none to the first."""
    assert moved("1.4.2", ["1.4.2-1"], "latest") == ["latest"]
    assert moved("1.4.2", ["1.4.2-1"], "latest", scheme="pep440") == []
    assert moved("1.4.2", ["1.5"], "latest", scheme="semver") == ["latest"]


@pytest.mark.parametrize(
    ("known", "like", "expected"),
    [
        ([], "", None),
        (["latest", "nightly", COMMIT], "", None),
        (["1.4.2", "1.10.0", "1.10", "1", "2.0.0-rc.1", "latest"], "", "1.10.0"),
        (["1.4", "1.5", "1234567"], "", "1.5"),
        (["1", "2", "10"], "", "10"),
        (["1.4.2", "20240115.1"], "", "1.4.2"),
        (["1.4.2", "7"], "1.4.3", "1.4.2"),
        (["7"], "1.4.3", None),
        (["1.0.0+b.9", "1.0.0+b.10"], "", "1.0.0+b.10"),
    ],
)
def test_highest_known(known: list[str], like: str, expected: str | None) -> None:
    """The highest final version among names of all kinds, in whatever order they come."""
    for names in (known, known[::-1]):
        found = [version.text for version in finals(names, "auto", (), parse(like))]
        assert max(found, key=versions.order, default=None) == expected


def test_highest_of_variants() -> None:
    """Affixes are cut, as for settling."""
    found = finals(["1.4.2-alpine", "1.5.0-alpine"], "auto", (("", "-alpine"),), None)
    assert [version.text for version in found] == ["1.4.2", "1.5.0"]


@given(VERSIONS, st.lists(VERSIONS, max_size=8))
def test_no_tag_is_moved_below_the_highest(version: str, known: list[str]) -> None:
    """Whatever is released last, a tag that moves names the highest final version of its line."""
    lines = {"all": 0, "major": 1, "minor": 2}
    own = versions.parse(version)
    assert own is not None
    finals = [one for one in map(versions.parse, known) if one and one.is_final]
    settled = settle(rendered(version), version, known)
    for tag in settled.tags:
        if tag.moving:
            line = lines[tag.follows]
            assert own.is_final
            assert all(one.order <= own.order for one in finals if one.line(line) == own.line(line))
    assert settle(settled, version, known).tags == settled.tags
    assert settle(rendered(version), version, [*known[::-1], "latest", "1"]) == settled


@given(VERSIONS, st.lists(st.text(max_size=20), max_size=8), st.sampled_from(versions.SCHEMES))
def test_any_names_can_be_known(version: str, known: list[str], scheme: Scheme) -> None:
    """Registries hold tags of all kinds: none is an error, and nothing is invented."""
    tags = rendered(version)
    settled = settle(tags, version, known, scheme)
    assert set(settled.tags) <= set(tags.tags)
    assert len(settled.notices) == len(tags.notices) + len(tags.tags) - len(settled.tags)


@given(st.lists(VERSIONS, min_size=1, max_size=8, unique=True))
def test_any_order_of_releases_ends_alike(releases: list[str]) -> None:
    """After all releases of a history, in any order, each moving tag is where the order of versions puts it."""
    finals = [one for one in map(versions.parse, releases) if one and one.is_final]
    latest = ""
    done: list[str] = []
    for version in releases:
        if any(tag.name == "latest" for tag in settle(rendered(version), version, done).tags):
            latest = version
        done.append(version)
    top = max((one.order for one in finals), default=None)
    named = versions.parse(latest)
    assert (named.order if named else None) == top
