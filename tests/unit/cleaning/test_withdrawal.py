"""Which images of a registry stay and go: each rule, and that nothing that stays ever loses what it needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyship.cleaning.stock import Known, Rules
from tinyship.cleaning.withdrawal import Going, Judgement, judge, unneeded
from tinyship.registry.contents import Content, Contents

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RULES = Rules("lacion/foo", keep=1, age=timedelta(0), stay="last", now=NOW)
NOBODY = Known()


def sha(word: str) -> str:
    """A digest that is a word's own."""
    return f"sha256:{hashlib.sha256(word.encode()).hexdigest()}"


@dataclass
class Store:
    """A repository to be judged, made image by image."""

    tags: dict[str, str] = field(default_factory=dict)
    manifests: dict[str, Content] = field(default_factory=dict)

    def image(
        self,
        *tags: str,
        days: int = 100,
        project: str = "lacion/foo",
        layers: dict[str, int] | None = None,
        **more: Any,
    ) -> str:
        """An image of a version: that of its first tag, unless told."""
        version = more.pop("version", tags[0] if tags else "")
        commit = more.pop("commit", "")
        labels = {"tinyship.project": project} if project else {}
        labels |= {"org.opencontainers.image.version": version, "org.opencontainers.image.revision": commit}
        name = more.pop("name", tags[0] if tags else "")
        digest = sha(name)
        blobs = {digest: 10, **(layers if layers is not None else {f"layer of {name}": 1000})}
        made = NOW - timedelta(days=days)
        self.manifests[digest] = replace(Content(digest, blobs=blobs, labels=labels, created=made), **more)
        self.tags.update(dict.fromkeys(tags, digest))
        return digest

    def index(self, *tags: str, lists: tuple[str, ...], **more: Any) -> str:
        """An index of images."""
        digest = sha(f"index {tags[0]}")
        self.manifests[digest] = replace(Content(digest, lists, lists, blobs={digest: 5}), **more)
        self.tags.update(dict.fromkeys(tags, digest))
        return digest

    @property
    def contents(self) -> Contents:
        """What it has."""
        return Contents(self.tags, self.manifests)

    def judged(self, rules: Rules = RULES, known: Known = NOBODY, **more: Any) -> dict[str, tuple[bool, str]]:
        """Whether each image stays, and why, by its first tag."""
        found = judge("r/foo", self.contents, rules, known, **more)
        return {one.name.removeprefix("r/foo:"): (one.stays, one.reason) for one in found.verdicts}


def goes(store: Store, rules: Rules = RULES, known: Known = NOBODY) -> set[str]:
    """The first tags of what goes."""
    return {name for name, (stays, _) in store.judged(rules, known).items() if not stays}


def deleted(found: Judgement) -> list[list[str]]:
    """The digests of each round."""
    return [[one.digest for one in some] for some in found.rounds]


def test_the_last_releases_stay_by_version() -> None:
    """1.10 comes after 1.9, whatever their dates, and some commits after a tag come after the tag."""
    store = Store()
    for number, version in enumerate(("1.9.0", "1.10.0", "1.10.0-2-g1234567", "2.0.0-rc.1")):
        store.image(version, days=number)
    assert store.judged(replace(RULES, keep=2)) == {
        "2.0.0-rc.1": (True, "the last release"),
        "1.10.0-2-g1234567": (True, "one of the last releases: number 2"),
        "1.10.0": (False, "not one of the last 2 releases"),
        "1.9.0": (False, "not one of the last 2 releases"),
    }


def test_an_image_stays_or_goes_with_all_its_tags() -> None:
    """What one of its tags protects is protected; the version is what it is known by."""
    store = Store()
    commit = "ab" * 20
    store.image("3.0.0")
    store.image("1.0.0", commit, "latest", version="1.0.0")
    store.image("0.9.0", "cd" * 20, version="0.9.0")
    found = judge("r/foo", store.contents, RULES, NOBODY)
    three, one, nine = found.verdicts
    assert (three.name, three.stays) == ("r/foo:3.0.0", True)
    assert (one.name, one.also) == ("r/foo:1.0.0", ("r/foo:latest", f"r/foo:{commit}"))
    assert (one.stays, one.reason) == (True, "`latest` goes from release to release, and names it")
    assert not nine.stays
    ((going,),) = found.rounds
    assert going == Going(sha("0.9.0"), ("0.9.0", "cd" * 20))


@pytest.mark.parametrize("word", ["latest", "stable", "main", "1.4", "20260401"])
def test_moving_tags_stay(word: str) -> None:
    """Words, branches, shortened versions, dates: with templates that make them, or by hand."""
    store = Store()
    store.image("3.0.0")
    store.image("1.4.2", word)
    rules = replace(RULES, templates=("{version}", "latest", "{major}.{minor}", "{branch}", "{date}"))
    assert store.judged(rules)["1.4.2"] == (True, f"`{word}` goes from release to release, and names it")


def test_dirty_versions_and_commits_are_no_moving_tags() -> None:
    """A tree with changes had no other tag: its version goes as others do."""
    store = Store()
    store.image("3.0.0")
    store.image("1.4.2-dirty")
    store.image("ab" * 20, version="1.3.0")
    assert goes(store) == {"1.4.2-dirty", "ab" * 20}


def test_final_versions_stay_by_default() -> None:
    """And those of git tags; narrowed to these, or to none."""
    store = Store()
    store.image("3.0.0")
    store.image("1.0.0", commit="c1" * 20)
    store.image("1.1.0-rc.1", commit="c2" * 20)
    store.image("1.1.0-rc.2", commit="c3" * 20)
    store.image("c4" * 20, version="1.1.0", commit="c4" * 20)
    known = Known(versions={"1.1.0-rc.1": "v1.1.0-rc.1"}, commits={"c2" * 20: "v1.1.0-rc.1"})
    final = store.judged(replace(RULES, stay="final"), known)
    assert final["1.0.0"] == (True, "a final version, which others may name")
    assert final["1.1.0-rc.1"] == (True, "the git tag v1.1.0-rc.1 has its version")
    assert final["1.1.0-rc.2"] == (False, "no final version, not the last release")
    assert not final["c4" * 20][0], "only its commit is named"
    assert goes(store, replace(RULES, stay="tagged"), known) == {"1.0.0", "1.1.0-rc.2", "c4" * 20}
    assert goes(store, RULES, known) == {"1.0.0", "1.1.0-rc.1", "1.1.0-rc.2", "c4" * 20}


def test_the_commit_of_a_git_tag_stays() -> None:
    """Also under another name; and not what had changes that no commit has."""
    store = Store()
    store.image("3.0.0")
    store.image("1.0.0-3-g1234567", commit="c1" * 20)
    store.image("1.0.0-4-g1234567-dirty", commit="c1" * 20)
    known = Known(commits={"c1" * 20: "nightly"})
    judged = store.judged(replace(RULES, stay="tagged"), known)
    assert judged["1.0.0-3-g1234567"] == (True, "the git tag nightly has its commit")
    assert not judged["1.0.0-4-g1234567-dirty"][0]


def test_without_all_of_git_nothing_is_judged_by_it() -> None:
    """A shallow clone may miss tags; who does not ask for them is not held up."""
    store = Store()
    store.image("3.0.0")
    store.image("1.0.0-1-g1234567")
    known = Known(cut_off=True)
    stays, why = store.judged(replace(RULES, stay="tagged"), known)["1.0.0-1-g1234567"]
    assert stays
    assert "cut off" in why
    assert goes(store, RULES, known) == {"1.0.0-1-g1234567"}


def test_what_is_young_stays() -> None:
    """By the date in the image, or the later one of its release; without any date too."""
    store = Store()
    store.image("3.0.0", commit="c3" * 20)
    store.image("1.0.0", days=29)
    store.image("1.1.0", days=31)
    store.image("1.2.0", days=31)
    store.image("1.3.0", days=31, commit="c1" * 20)
    store.image("1.4.0", created=None)
    store.image("1.5.0", days=-3)
    known = Known(
        released={sha("1.2.0"): NOW - timedelta(days=2)}, dates={("1.3.0", "c1" * 20): NOW - timedelta(days=2)}
    )
    rules = replace(RULES, age=timedelta(days=30))
    judged = store.judged(rules, known)
    assert judged["1.0.0"] == (True, "younger than 30 days: of 2026-05-03")
    assert judged["1.2.0"] == judged["1.3.0"] == (True, "younger than 30 days: of 2026-05-30")
    assert judged["1.4.0"] == (True, "nothing says how old it is")
    assert judged["1.5.0"][0], "clocks differ"
    assert judged["1.1.0"] == (False, "not the last release, and older than 30 days")


def test_what_is_not_ours_stays() -> None:
    """Another project's, what has no label, what is no image, what cannot be read."""
    store = Store()
    store.image("3.0.0")
    store.image("1.0.0", project="other/bar")
    store.image("1.1.0", project="")
    store.image("1.2.0", labels=None)
    store.index("1.3.0", lists=(store.image(name="a"), store.image(name="b", project="other/bar")))
    store.index("1.4.0", lists=())
    judged = store.judged()
    assert judged["1.0.0"] == (True, "it is other/bar's")
    assert judged["1.1.0"] == (True, "not known to be ours: it has no label `tinyship.project`")
    assert judged["1.2.0"] == judged["1.4.0"] == (True, "not known to be ours: it is no image")
    assert judged["1.3.0"] == (True, "it is other/bar's")
    assert goes(store) == set()


def test_what_cannot_be_read_may_list_anything() -> None:
    """So nothing goes; an image lists nothing."""
    store = Store()
    store.image("3.0.0")
    store.image("1.0.0")
    store.image("0.1.0", fault="it is a riddle", opaque=True, labels=None, blobs={})
    judged = store.judged()
    assert judged["0.1.0"] == (True, "not known to be ours: it is a riddle")
    assert judged["1.0.0"] == (True, "`0.1.0` cannot be read, so that it is not known what it lists")
    store.manifests[sha("0.1.0")] = Content(sha("0.1.0"), fault="it has no config")
    assert goes(store) == {"1.0.0"}
    store.manifests[sha("0.1.0")] = Content(sha("0.1.0"), fault="it is gone", missing=True)
    assert goes(store) == set(), "a registry that has it the next moment"


def test_what_the_record_names_stays() -> None:
    """It is what the next deployment takes."""
    store = Store()
    store.image("3.0.0")
    digest = store.image("1.0.0")
    known = Known(recorded=frozenset({digest}))
    assert store.judged(RULES, known)["1.0.0"] == (True, "`.tinyship/release.json` names it")


def test_what_an_index_lists_goes_and_stays_with_it() -> None:
    """The index first; what another one lists that stays, or what has a tag that stays, is kept."""
    store = Store()
    amd, arm, old, named, prov = (store.image(name=name) for name in ("amd", "arm", "old", "named", "prov"))
    store.manifests[prov] = replace(store.manifests[prov], labels={})
    store.tags["stable"] = named
    new = store.index("2.0.0", lists=(amd, arm))
    gone = store.index("1.0.0", lists=(arm, old, named, prov), images=(arm, old, named))
    found = judge("r/foo", store.contents, RULES, NOBODY)
    assert deleted(found) == [[gone], sorted([old, prov])]
    assert {one.held for one in found.rounds[1]} == {(gone,)}
    assert all(new not in some for some in deleted(found))


def test_a_tag_of_what_an_index_lists() -> None:
    """It counts as no release of its own; it stays with its index, and goes after it."""
    store = Store()
    child, other = store.image("2.0.0-amd64"), store.image("1.0.0-amd64")
    store.index("2.0.0", lists=(child,))
    index = store.index("1.0.0", lists=(other,))
    assert store.judged()["2.0.0-amd64"] == (True, "`2.0.0` lists it")
    assert deleted(judge("r/foo", store.contents, RULES, NOBODY)) == [[index], [other]]


def test_signatures_follow_their_image() -> None:
    """After it, where it goes; those of what stays, and of what is not here, stay."""
    store = Store()
    new, old = store.image("2.0.0"), store.image("1.0.0")

    def sign(digest: str, suffix: str = ".sig") -> str:
        tag = digest.replace(":", "-") + suffix
        return store.image(tag, name=f"{digest}{suffix}", labels=None)

    kept, gone, again, lost = sign(new), sign(old), sign(sign(old, "")), sign(sha("elsewhere"))
    found = judge("r/foo", store.contents, RULES, NOBODY)
    said = {store.tags[one.name.removeprefix("r/foo:")]: (one.stays, one.reason) for one in found.verdicts}
    assert said[kept] == (True, "it belongs to `2.0.0`, which stays")
    assert said[gone] == (False, "it belongs to `1.0.0`, which goes")
    assert said[again][0] is False
    assert said[lost] == (True, "not known to be ours: what it belongs to is not here")
    rounds = deleted(found)
    assert rounds[0] == [old]
    assert gone in rounds[1]
    assert again in rounds[2]


def test_what_something_that_stays_is_about_stays() -> None:
    """A manifest with a subject names it, whatever it is called."""
    store = Store()
    store.image("2.0.0")
    old = store.image("1.0.0")
    store.image("sbom", subject=old, labels=None)
    assert store.judged()["1.0.0"] == (True, "`sbom` belongs to it")


def test_only_what_was_to_go_before() -> None:
    """At a second look nothing goes that was not seen at the first, with these tags."""
    store = Store()
    for version in ("3.0.0", "2.0.0", "1.0.0", "0.9.0"):
        store.image(version)
    first = [one for some in judge("r/foo", store.contents, RULES, NOBODY).rounds for one in some]
    store.image("4.0.0")
    store.tags["1.0.0-again"] = store.tags["1.0.0"]
    judged = store.judged(only=first)
    assert judged["3.0.0"] == (True, "it, or a tag of it, changed since the first look")
    assert {name for name, (stays, _) in judged.items() if not stays} == {"2.0.0", "0.9.0"}


def test_bytes_are_claimed_once_and_only_where_nothing_else_needs_them() -> None:
    """Shared layers belong to nobody alone; what all that goes shares is in the sum."""
    store = Store()
    store.image("3.0.0", layers={"base": 1000, "three": 1})
    store.image("2.0.0", layers={"base": 1000, "old": 500, "two": 20})
    store.image("1.0.0", layers={"base": 1000, "old": 500, "one": 30})
    found = judge("r/foo", store.contents, RULES, NOBODY)
    assert {one.name: one.bytes for one in found.verdicts} == {
        "r/foo:3.0.0": 1011,
        "r/foo:2.0.0": 30,
        "r/foo:1.0.0": 40,
    }
    gone = [digest for some in deleted(found) for digest in some]
    assert unneeded([(store.contents, gone)]) == 500 + 20 + 30 + 2 * 10


def test_bytes_that_another_repository_of_the_registry_needs() -> None:
    """A registry keeps a blob once for all of its repositories."""
    one, two = Store(), Store()
    gone = one.image("1.0.0", layers={"base": 1000, "own": 7})
    two.image("1.0.0", layers={"base": 1000}, name="other")
    assert unneeded([(one.contents, [gone]), (two.contents, [])]) == 10 + 7


def test_what_the_record_names_inside_of_an_index_stays() -> None:
    """A digest of one platform may be what is deployed."""
    store = Store()
    amd, arm = store.image(name="amd"), store.image(name="arm")
    store.image("2.0.0")
    index = store.index("1.0.0", lists=(amd, arm))
    known = Known(recorded=frozenset({amd}))
    assert deleted(judge("r/foo", store.contents, RULES, known)) == [[index], [arm]]


def test_affixes_of_templates() -> None:
    """`{version}-alpine` is a version."""
    store = Store()
    store.image("2.0.0-alpine", version="2.0.0")
    store.image("1.0.0-alpine", version="1.0.0")
    rules = replace(RULES, templates=("{version}-alpine",), stay="final")
    assert store.judged(rules)["1.0.0-alpine"] == (True, "a final version, which others may name")


_WORDS = st.sampled_from(["latest", "stable", "1.0", *(f"1.{number}.0" for number in range(6)), "ab" * 20, "x" * 7])


@st.composite
def _stores(draw: st.DrawFn) -> Store:
    """Any repository of a few images and indexes, ours and others'."""
    store = Store()
    images = [
        store.image(
            name=f"i{number}", days=draw(st.integers(0, 60)), project=draw(st.sampled_from(["lacion/foo"] * 3 + [""]))
        )
        for number in range(draw(st.integers(1, 6)))
    ]
    for number in range(draw(st.integers(0, 3))):
        lists = tuple(draw(st.lists(st.sampled_from(images), max_size=3, unique=True)))
        digest = sha(f"x{number}")
        store.manifests[digest] = Content(digest, lists, lists, blobs={digest: 1})
        images.append(digest)
    for word in draw(st.lists(_WORDS, min_size=1, unique=True)):
        store.tags[word] = draw(st.sampled_from(images))
    if draw(st.booleans()):
        store.image("sbom", labels=None, subject=draw(st.sampled_from(images)))
    for number, digest in enumerate(draw(st.lists(st.sampled_from(images), max_size=2, unique=True))):
        store.tags[digest.replace(":", "-") + ".sig"] = store.image(name=f"s{number}", labels=None)
    return store


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_stores(), st.integers(1, 3), st.sampled_from(["final", "tagged", "last"]), st.integers(0, 40))
def test_nothing_that_stays_loses_anything(store: Store, keep: int, stay: Any, days: int) -> None:
    """Whatever there is: tags that stay find all that is behind them, at each moment; a tag is left; others' stay."""
    reachable = _reachable(store, store.tags.values())
    contents = Contents(store.tags, {digest: store.manifests[digest] for digest in reachable})
    rules = replace(RULES, keep=keep, stay=stay, age=timedelta(days=days))
    found = judge("r/foo", contents, rules, NOBODY)
    assert len(found.verdicts) == len(set(store.tags.values()))
    there = set(reachable)
    tags = dict(store.tags)
    for some in found.rounds:
        for one in some:
            assert set(one.tags) == {tag for tag, digest in tags.items() if digest == one.digest}
            assert not set(one.held) & there
        there -= {one.digest for one in some}
        tags = {tag: digest for tag, digest in tags.items() if digest in there}
        assert _reachable(store, tags.values()) <= there
    assert tags
    assert all(store.manifests[digest].labels != {} for digest in reachable - there)


def _reachable(store: Store, digests: Any) -> set[str]:
    found: set[str] = set()
    left = list(digests)
    while left:
        digest = left.pop()
        found.add(digest)
        left += store.manifests[digest].lists
        left += [subject for subject in (store.manifests[digest].subject,) if subject]
    return found
