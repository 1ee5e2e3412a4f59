"""Who stays and who goes: each rule, their order, and that nothing that a rule protects ever goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyship.cleaning import retention
from tinyship.cleaning.retention import Cleaned, Facts, Git, Refusal, Removed, Verdict

START = datetime(2026, 1, 1, tzinfo=UTC)
NOBODY = Git()
CALLED = {f"sha256:{number:064x}": f"foo:1.{number}.0" for number in range(10)}


def release(number: int, **more: object) -> Facts:
    """A release of `foo`; a higher number is a later one."""
    facts: dict[str, object] = {
        "id": f"sha256:{number:064x}",
        "repository": "foo",
        "names": (f"foo:1.{number}.0",),
        "made": START + timedelta(days=number),
        "commit": f"{number:040x}",
    }
    if "carries" in more:
        more["carries"] = {above: CALLED.get(above, above[7:19]) for above in more["carries"]}  # type: ignore[attr-defined]
    return Facts(**(facts | more))  # type: ignore[arg-type]


def judged(*images: Facts, keep: int = 1, git: Git = NOBODY) -> dict[str, tuple[bool, str]]:
    """What `old_releases` says, by the first names."""
    verdicts = retention.old_releases(images, keep={"foo": keep, "bar": keep}, git=git).values()
    return {verdict.name: (verdict.stays, verdict.reason) for verdict in verdicts}


def test_the_last_releases_stay() -> None:
    """Of each repository by itself, whatever the order in which they are given."""
    other = release(0, id="other", repository="bar", names=("bar:0.1.0",))
    found = judged(release(1), other, release(3), release(2), keep=2)
    assert found == {
        "foo:1.3.0": (True, "the last release"),
        "foo:1.2.0": (True, "one of the last releases: number 2"),
        "foo:1.1.0": (False, "not one of the last 2 releases"),
        "bar:0.1.0": (True, "the last release"),
    }


def test_what_git_alone_keeps() -> None:
    """By the settings that keep less; what another rule keeps, too, is not counted, nor a setting that adds nothing."""
    images = [release(1), release(2, containers=("web",)), release(3), release(4), release(5)]
    by_tag, by_history = "the tag v1 names its commit", retention.DESCENDED
    git = Git({images[0].commit: by_tag, images[1].commit: by_tag, images[2].commit: by_history})
    keep = {"foo": 1}
    assert retention.for_git_alone(images, keep=keep, git=git) == {
        "named": (images[2],),
        "none": (images[0], images[2]),
    }
    only_tags = Git({images[0].commit: by_tag})
    assert retention.for_git_alone(images, keep=keep, git=only_tags) == {"none": (images[0],)}
    assert retention.for_git_alone(images, keep=keep, git=Git({images[4].commit: by_tag})) == {}
    only_history = Git({images[2].commit: by_history})
    assert retention.for_git_alone(images, keep=keep, git=only_history) == {"named": (images[2],)}


def test_releases_of_one_moment_are_ordered_by_version() -> None:
    """1.10 comes after 1.9."""
    nine = release(1, made=START, version=(1, 9, 0), names=("foo:1.9.0",))
    ten = release(2, made=START, version=(1, 10, 0), names=("foo:1.10.0",))
    assert judged(nine, ten) == {
        "foo:1.10.0": (True, "the last release"),
        "foo:1.9.0": (False, "not the last release"),
    }


@pytest.mark.parametrize("ids", [("a", "b"), ("b", "a")])
def test_of_two_releases_of_one_commit_local_is_the_last(ids: tuple[str, str]) -> None:
    """A clean and a dirty one have the same date and the same numbers."""
    clean, dirty = (release(1, id=one) for one in ids)
    clean, dirty = replace(clean, names=("foo:1.0.0",)), replace(dirty, names=("foo:1.0.0-dirty",), local=True)
    assert judged(clean, dirty) == {
        "foo:1.0.0-dirty": (True, "the last release"),
        "foo:1.0.0": (False, "not the last release"),
    }


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"containers": ("web",)}, "the container web uses it"),
        ({"containers": ("web", "api")}, "the container web uses it, and 1 more"),
        ({"owner": "bar"}, "it is bar's, too"),
        ({"foreign": ("bar:1",)}, "shared: it is bar:1, too"),
        ({"local": True}, "it is tagged `local`"),
        ({"carries": ("sha256:abcdefabcdefabcdef",)}, "abcdefabcdef stands on it"),
        ({"carries": (f"sha256:{9:064x}",)}, "foo:1.9.0 stands on it"),
        ({"release": False}, "it is no release"),
        ({"names": ()}, "it has no name: `clean` removes it"),
    ],
)
def test_what_protects_a_release(more: dict[str, object], reason: str) -> None:
    """Each rule by itself, in its words."""
    old = release(1, **more)
    verdict = retention.old_releases([old, release(9)], keep={"foo": 1}, git=NOBODY)[old.id]
    assert (verdict.stays, verdict.reason) == (True, reason)


def test_git_protects_what_it_reaches() -> None:
    """By the commit in the labels; where history is cut off, what is not known to be reached stays."""
    git = Git({f"{1:040x}": "the tag v1.1.0 names its commit"})
    found = judged(release(1), release(2), release(3), git=git)
    assert found["foo:1.1.0"] == (True, "the tag v1.1.0 names its commit")
    assert found["foo:1.2.0"] == (False, "not the last release")
    cut = judged(release(1), release(2), release(3, commit=""), release(4), git=Git(git.reached, cut_off=True))
    assert cut["foo:1.2.0"][1] == "git's history is cut off here: what reaches its commit is not known"
    assert not cut["foo:1.3.0"][0]


def test_what_goes_protects_nothing() -> None:
    """An image on which only such stand that go themselves goes, too; a whole tower stays for its top."""
    tower = [release(number, carries=(release(number + 1).id,)) for number in range(1, 4)]
    assert not any(stays for stays, _ in list(judged(*tower, release(4), release(9)).values())[:4])
    assert all(stays for stays, _ in judged(*tower, release(4, containers=("web",)), release(9)).values())


def test_everything_but_what_others_need() -> None:
    """The last release, `local` and git hold nothing; containers, others' names, and what stands on it do."""
    images = [
        release(1, local=True),
        release(2, containers=("web",)),
        release(3, names=()),
        release(4, release=False, carries=(release(2).id,)),
    ]
    verdicts = retention.everything(images)
    assert [verdict.stays for verdict in verdicts.values()] == [False, True, False, True]
    assert [verdict.reason for verdict in verdicts.values()] == [
        "everything goes",
        "the container web uses it",
        "it has no name",
        "foo:1.2.0 stands on it",
    ]


def test_leftovers() -> None:
    """What has a name stays; what has none goes where nobody uses it."""
    verdicts = retention.leftovers([release(1), release(2, names=()), release(3, names=(), containers=("web",))])
    assert [(one.stays, one.reason) for one in verdicts.values()] == [
        (True, "it has a name"),
        (False, "it has no name"),
        (True, "the container web uses it"),
    ]


def test_names_stay_together() -> None:
    """An image is one row, whatever it is called."""
    (verdict,) = retention.everything([release(1, names=("foo:1.0.0", "foo:local", "foo:abc"), bytes=7)]).values()
    assert verdict == Verdict("image", "foo:1.0.0", False, "everything goes", 7, ("foo:local", "foo:abc"))


@pytest.mark.parametrize(
    ("going", "staying", "above", "asked"),
    [
        (1, 1, 0.5, None),
        (2, 1, 0.5, (2, 3)),
        (1, 0, 0.99, (1, 1)),
        (1, 0, 1, None),
        (1, 99, 0, (1, 100)),
        (0, 0, 0, None),
    ],
)
def test_a_large_share_asks(going: int, staying: int, above: float, asked: tuple[int, int] | None) -> None:
    """More than the share, not as much as it; what comes back by itself does not count."""
    verdicts = [
        *(Verdict("image", f"foo:{number}", False, "") for number in range(going)),
        *(Verdict("image", f"foo:{number}", True, "") for number in range(staying)),
        *(Verdict("image", f"{number:012x}", False, "") for number in range(9)),
        Verdict("artifact", "bin/foo", False, ""),
        Verdict("container", "web", False, ""),
    ]
    assert retention.asks(verdicts, above) == asked


def test_a_report_holds_what_was_done() -> None:
    """Every name by itself; what was refused stands among what was kept."""
    done = Cleaned(
        "clean.images",
        removed=(Removed("image", "foo:1"),),
        stayed=(Verdict("image", "foo:3", True, "the last release", 5, ("foo:local",)),),
        refused=(Refusal("image", "foo:2", "a container uses it"),),
        freed=3,
        complete=False,
        error="interrupted",
    )
    assert done.as_json() == {
        "schema": 1,
        "task": "clean.images",
        "complete": False,
        "error": "interrupted",
        "freed": 3,
        "removed": [{"kind": "image", "name": "foo:1"}],
        "kept": [
            {"kind": "image", "name": "foo:2", "reason": "a container uses it"},
            {"kind": "image", "name": "foo:3", "reason": "the last release"},
            {"kind": "image", "name": "foo:local", "reason": "the last release"},
        ],
    }


numbers = st.integers(0, 7)
images_of_a_project = st.lists(
    st.builds(
        release,
        numbers,
        repository=st.sampled_from(["foo", "bar"]),
        names=st.sampled_from([(), ("foo:1",), ("foo:1", "foo:2")]),
        release=st.booleans(),
        made=st.sampled_from([START, START + timedelta(1), retention.EVER]),
        local=st.booleans(),
        containers=st.sampled_from([(), (), ("web",)]),
        foreign=st.sampled_from([(), (), ("other:1",)]),
        owner=st.sampled_from(["", "", "other"]),
        carries=st.lists(numbers.map(lambda number: f"sha256:{number:064x}"), max_size=2).map(tuple),
    ),
    unique_by=lambda image: image.id,
)


@given(images_of_a_project, st.integers(1, 4), st.sets(numbers), st.booleans())
def test_nothing_protected_goes(images: list[Facts], keep: int, reached: set[int], cut_off: bool) -> None:
    """Whatever the images: none that a rule protects goes, none that stays stands on one that goes."""
    git = Git({f"{number:040x}": "a branch" for number in reached}, cut_off)
    by_id = {image.id: image for image in images}
    for rule in ("old", "everything", "leftovers"):
        verdicts = {
            "old": lambda: retention.old_releases(images, keep={"foo": keep, "bar": keep}, git=git),
            "everything": lambda: retention.everything(images),
            "leftovers": lambda: retention.leftovers(images),
        }[rule]()
        assert verdicts.keys() == by_id.keys()
        going = {key for key, verdict in verdicts.items() if not verdict.stays}
        for key in going:
            image = by_id[key]
            assert (image.containers, image.foreign, image.owner) == ((), (), "")
            assert set(image.carries) <= going
            if rule == "old":
                assert (bool(image.names), image.release, image.local) == (True, True, False)
                assert not cut_off
                assert image.commit not in git.reached
            if rule == "leftovers":
                assert not image.names
        assert all(verdict.reason for verdict in verdicts.values())
        if rule == "old":
            for repository in ("foo", "bar"):
                some = [image for image in images if image.repository == repository and image.release and image.names]
                later = sorted(some, key=lambda image: image.made, reverse=True)
                stayed = [image for image in some if image.id not in going]
                assert len(stayed) >= min(keep, len(some))
                assert all(image.made <= later[keep - 1].made for image in some if image.id in going)


@given(images_of_a_project, st.integers(1, 4))
def test_the_order_of_the_images_decides_nothing(images: list[Facts], keep: int) -> None:
    """Who goes is the same, however the engine lists them."""
    there = retention.old_releases(images, keep={"foo": keep, "bar": keep}, git=NOBODY)
    back = retention.old_releases(images[::-1], keep={"foo": keep, "bar": keep}, git=NOBODY)
    assert {key: one.stays for key, one in there.items()} == {key: one.stays for key, one in back.items()}
