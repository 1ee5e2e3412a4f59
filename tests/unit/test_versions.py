"""Versions: what is one, what it means in each scheme, and an order in which all texts have their place."""

from __future__ import annotations

import itertools

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version as Pep440

from tinyship.versions import SCHEMES, Scheme, order, parse

SEMVER = ("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11")
SEMVER_TEXTS = (
    ("1.9.0", "1.10.0", "1.11.0"),
    ("1.0.0", "2.0.0", "2.1.0", "2.1.1"),
    ("1.0.0-alpha", "1.0.0"),
    (*SEMVER, "1.0.0-rc.1", "1.0.0"),
    ("1.0.0-0.3.7", "1.0.0-x.7.z.92", "1.0.0-x-y-z.--", "1.0.0"),
)
PEP440_TEXTS = (
    ("0.9", "0.9.1", "0.9.2", "0.9.10", "0.9.11", "1.0", "1.0.1", "1.1", "2.0", "2.0.1"),
    ("4.3a2", "4.3b2", "4.3rc2", "4.3"),
    ("2012.4", "2012.7", "2012.10", "2013.1", "2013.6"),
    ("0.9", "1.0a1", "1.0a2", "1.0b1", "1.0rc1", "1.0", "1.1a1"),
    ("0.9", "1.0.dev1", "1.0.dev2", "1.0.dev3", "1.0.dev4", "1.0c1", "1.0c2", "1.0", "1.0.post1", "1.1.dev1"),
    ("2012.1", "2012.2", "2012.3", "2012.15", "2013.1", "2013.2"),
    ("1.0", "1.1", "2.0", "2013.10", "2014.04", "1!1.0", "1!1.1", "1!2.0"),
    (
        *("1.dev0", "1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456", "1.0b2"),
        *("1.0b2.post345.dev456", "1.0b2.post345", "1.0rc1.dev456", "1.0rc1", "1.0", "1.0+abc.5", "1.0+abc.7"),
        *("1.0+5", "1.0.post456.dev34", "1.0.post456", "1.0.15", "1.1.dev1"),
    ),
)
SEMVERS = st.from_regex(semver.Version._REGEX, fullmatch=True).map(str.strip).filter(str.isascii)
PEP440S = st.builds(
    lambda epoch, numbers, pre, post, dev, local: f"{epoch}{'.'.join(map(str, numbers))}{pre}{post}{dev}{local}",
    st.sampled_from(["", "0!", "1!"]),
    st.lists(st.integers(0, 30), min_size=1, max_size=5),
    st.sampled_from(["", "a1", "b2", "rc1", "rc10"]),
    st.sampled_from(["", ".post0", ".post2", "-1"]),
    st.sampled_from(["", ".dev0", ".dev3"]),
    st.sampled_from(["", "+5", "+abc", "+abc.7"]),
)
NAMES = st.one_of(SEMVERS, PEP440S, st.text(max_size=12), st.sampled_from(["latest", "1.4", "v1.4.2", "abc1234", ""]))


def ascending(texts: tuple[str, ...], scheme: Scheme) -> bool:
    """Whether each text is below the next one."""
    versions = [parse(text, scheme) for text in texts]
    return all(one and two and one.order < two.order for one, two in itertools.pairwise(versions))


@pytest.mark.parametrize("scheme", ["semver", "auto"])
@pytest.mark.parametrize("texts", SEMVER_TEXTS)
def test_order_of_semantic_versioning(texts: tuple[str, ...], scheme: Scheme) -> None:
    """The examples of the specification, in their order."""
    assert ascending(texts, scheme)


@pytest.mark.parametrize("scheme", ["pep440", "auto"])
@pytest.mark.parametrize("texts", PEP440_TEXTS)
def test_order_of_pep_440(texts: tuple[str, ...], scheme: Scheme) -> None:
    """The examples of the specification, in their order, calendars, epochs and local versions included."""
    assert ascending(texts, scheme)


@pytest.mark.parametrize(
    ("scheme", "texts"),
    [
        ("auto", ("1.0.0-rc1", "1.0.0-rc2", "1.0.0-rc10", "1.0.0")),
        ("auto", ("1.0.dev1", "1.0.0-alpha.1", "1.0a2", "1.0.0-alpha3", "1.0.0-beta", "1.0rc1", "1.0.0-rc.2", "1.0")),
        ("semver", ("1.0.0-rc1", "1.0.0-rc10", "1.0.0-rc2", "1.0.0")),
        ("auto", ("1.0.0-1", "1.0.0", "1.0.0.post1", "1.0.0.1", "1.0.1")),
        ("pep440", ("1.0.0rc1", "1.0.0", "1.0.0-1", "1.0.0.post2")),
        ("auto", ("2023.12.31", "2024.01", "2024.1.1", "2024.02.0", "2024.10")),
        ("auto", ("1.2.3", "1.2.3.4", "1.2.3.10", "1.2.4")),
        ("auto", ("v1.9", "1.10", "v1.11.0", "V2")),
    ],
)
def test_order_of_projects(scheme: Scheme, texts: tuple[str, ...]) -> None:
    """What projects do: numbers without dots in pre-releases, calendars, four numbers, both schemes in one history."""
    assert ascending(texts, scheme)


@pytest.mark.parametrize(
    ("scheme", "texts"),
    [
        ("semver", ("1.0.0+20130313144700", "1.0.0+exp.sha.5114f85", "1.0.0")),
        ("auto", ("1.0", "1.0.0", "v1", "1.0.0.0", "1.0.0+5")),
        ("auto", ("1.0.0-rc.1", "1.0.0rc1", "1.0.0-rc1")),
        ("pep440", ("1.1RC1", "1.1rc1", "1.1-c1", "v1.1.pre1")),
    ],
)
def test_neither_is_first(scheme: Scheme, texts: tuple[str, ...]) -> None:
    """Builds of a version, and several ways to write one, are on one step."""
    versions = [parse(text, scheme) for text in texts]
    assert len({version.order for version in versions if version}) == 1
    assert all(versions)


@pytest.mark.parametrize(
    ("text", "auto", "semantic", "pep440"),
    [
        ("1.2.3", "final", "final", "final"),
        ("v1.2.3", "final", "final", "final"),
        ("1.2", "final", "none", "final"),
        ("42", "final", "none", "final"),
        ("1.2.3.4", "final", "none", "final"),
        ("2024.01", "final", "none", "final"),
        ("2024.1.0", "final", "final", "final"),
        ("2017.05.01", "final", "none", "final"),
        ("1!2.0", "final", "none", "final"),
        ("1.0.post1", "final", "none", "final"),
        ("1.0.0-1", "pre", "pre", "final"),
        ("1.0.0-post1", "pre", "pre", "final"),
        ("1.0.0+build.5", "final", "final", "final"),
        ("1.0.0-rc1", "pre", "pre", "pre"),
        ("1.0.0rc1", "pre", "none", "pre"),
        ("1.0.0.dev1", "pre", "none", "pre"),
        ("1.0.0-alpine", "pre", "pre", "none"),
        ("1.2.3-4-gabc1234", "pre", "pre", "none"),
        ("1.2.3-dirty", "pre", "pre", "none"),
        ("0.0.0-gabc1234", "pre", "pre", "none"),
        ("1.4-4-gabc1234", "none", "none", "none"),
        ("1.4-dirty", "none", "none", "none"),
        ("2024-01-15", "none", "none", "none"),
        ("nightly", "none", "none", "none"),
        ("latest", "none", "none", "none"),
        ("1.2.x", "none", "none", "none"),
        ("v", "none", "none", "none"),
        ("", "none", "none", "none"),
        (" 1.2.3", "none", "none", "none"),
        ("1.2.3\n", "none", "none", "none"),
        ("١.٢.٣", "none", "none", "none"),  # noqa: RUF001  # digits, but not those of versions
        ("1" * 5000, "none", "none", "none"),
    ],
)
def test_what_is_a_version(text: str, auto: str, semantic: str, pep440: str) -> None:
    """Each scheme has its own versions; auto takes those of both, and the first one's meaning where they differ."""

    def kind(scheme: Scheme) -> str:
        version = parse(text, scheme)
        return "none" if version is None else "final" if version.is_final else "pre"

    assert (kind("auto"), kind("semver"), kind("pep440")) == (auto, semantic, pep440)


def test_numbers() -> None:
    """The numbers are those that are written; lines fill them up."""
    version = parse("v1.4")
    assert version is not None
    assert (version.text, version.numbers, version.epoch) == ("v1.4", (1, 4), 0)
    assert [version.line(length) for length in range(4)] == [(), (1,), (1, 4), (1, 4, 0)]
    other = parse("2!3.1.4rc1")
    assert other is not None
    assert (other.numbers, other.epoch, other.line(1)) == ((3, 1, 4), 2, (3,))


def test_order_of_any_texts() -> None:
    """Words are below every version, and their numbers are numbers."""
    assert max(["zebra", "1.9", "1.10.0", "2.0.0-rc1"], key=order) == "2.0.0-rc1"
    assert max(["zebra", "alpha"], key=order) == "zebra"
    assert max(["nightly-9", "nightly-10"], key=order) == "nightly-10"


@given(SEMVERS, SEMVERS)
def test_order_is_that_of_the_library_for_semver(one: str, two: str) -> None:
    """Any two semantic versions compare as the library compares them."""
    first, second = parse(one, "semver"), parse(two, "semver")
    assert first is not None
    assert second is not None
    expected = semver.Version.parse(one).compare(two)
    assert (first.order > second.order) - (first.order < second.order) == expected


@given(PEP440S, PEP440S)
def test_order_is_that_of_the_library_for_pep_440(one: str, two: str) -> None:
    """Any two versions of PEP 440 compare as the library compares them."""
    first, second = parse(one, "pep440"), parse(two, "pep440")
    assert first is not None
    assert second is not None
    wanted = (Pep440(one) > Pep440(two)) - (Pep440(one) < Pep440(two))
    assert (first.order > second.order) - (first.order < second.order) == wanted
    assert first.is_final is not Pep440(one).is_prerelease


@given(NAMES, NAMES, NAMES, st.sampled_from(SCHEMES))
def test_order_is_total(one: str, two: str, three: str, scheme: Scheme) -> None:
    """Any texts can be compared; only equal ones are equal; and the order goes on from two to a third."""
    first, second, third = (order(text, scheme) for text in (one, two, three))
    assert (first < second) + (second < first) + (one == two) == 1
    if first <= second <= third:
        assert first <= third


@given(st.lists(NAMES, min_size=1), st.sampled_from(SCHEMES))
def test_highest_is_the_same_in_any_order(texts: list[str], scheme: Scheme) -> None:
    """What is highest depends on the texts alone, and none is above it."""
    found = max(texts, key=lambda text: order(text, scheme))
    assert found == max(reversed(texts), key=lambda text: order(text, scheme))
    assert all(order(text, scheme) <= order(found, scheme) for text in texts)
