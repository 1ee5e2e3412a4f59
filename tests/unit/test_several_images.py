"""The images of a project: what they stand on, which are meant, and what is shared."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinyship import several
from tinyship.engine.connect import Engine
from tinyship.errors import BuildFailed, ConfigError, GitError, ImagesFailed
from tinyship.events import Event, StageFailed
from tinyship.running.together import Together
from tinyship.settings.load import Layer, load
from tinyship.stages import needs, sharing
from tinyship.stages.scope import Scope

Make = Callable[..., tuple[Scope, ...]]


def no_engine() -> Engine:
    """What must not be asked for."""
    raise AssertionError("the engine is asked")


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes the scopes of a project: entries by their names, files by theirs."""

    def made(entries: dict[str, Any], files: dict[str, str] | None = None, **around: Any) -> tuple[Scope, ...]:
        for name, text in (files or {}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        images = [
            {"image": f"lacion/{name}", "release": {"dockerfile": f"{name}.Dockerfile"}, **(entry or {}), "name": name}
            for name, entry in entries.items()
        ]
        values = {"version": {"literal": "1.0"}, **around, "images": images}
        together = Together()
        return tuple(
            Scope(
                tmp_path,
                one.settings,
                repositories=one.repositories,
                bases=one.bases,
                name=one.name,
                owners=one.owners,
                together=together,
                connect=no_engine,
            )
            for one in load([Layer("invoke.yaml", values)], environ={})
        )

    return made


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("FROM lacion/low:local", "FROM in web.Dockerfile:1"),
        ("FROM lacion/low", "FROM in web.Dockerfile:1"),
        ("FROM lacion/low:latest AS x", "FROM in web.Dockerfile:1"),
        ("FROM docker.io/lacion/low:1.0", "FROM in web.Dockerfile:1"),
        ("FROM lacion/low:compile", "FROM in web.Dockerfile:1"),
        ("FROM lacion/toolchain", "FROM in web.Dockerfile:1"),
        ("ARG FROM=lacion/low:local\nFROM $FROM", "FROM in web.Dockerfile:2"),
        ("FROM scratch\nCOPY --from=lacion/low:local /a /b", "COPY in web.Dockerfile:2"),
        ("FROM alpine\nRUN --mount=type=bind,from=lacion/low:local,target=/x true", "RUN in web.Dockerfile:2"),
        ("FROM lacion/low:0.9", ""),
        ("FROM lacion/lower:local", ""),
        ("FROM registry.example.com/lacion/low:local", ""),
        (f"FROM lacion/low@sha256:{'0' * 64}", ""),
        ("FROM alpine AS lacion\nFROM lacion", ""),
    ],
)
def test_what_a_dockerfile_names(make: Make, line: str, why: str) -> None:
    """Another image is needed by whatever of its names this project makes; its other releases are somebody else's."""
    low = {
        "build": {"dockerfile": "low.Dockerfile", "tag": "compile"},
        "base": [{"name": "lacion/toolchain:latest", "dockerfile": "low.Dockerfile"}],
    }
    scopes = make({"web": {}, "low": low}, {"web.Dockerfile": line, "low.Dockerfile": "FROM scratch"})
    assert needs.of(scopes) == {"web": {"low": why} if why else {}, "low": {}}
    assert [scope.name for scope in several.select(scopes)] == (["low", "web"] if why else ["web", "low"])


def test_other_ways_to_need_an_image(make: Make) -> None:
    """`needs`, a named context, a build's Dockerfile, a base's; a Dockerfile that is missing is told of later."""
    entries: dict[str, Any] = {
        "a": {"needs": ["e"]},
        "b": {"contexts": ["x=target:e"]},
        "c": {"build": {"dockerfile": "on-e"}},
        "d": {"base": [{"name": "lacion/d-base", "dockerfile": "on-e"}]},
        "e": {},
    }
    scopes = make(entries, {"on-e": "FROM lacion/e:local\n"})
    assert needs.of(scopes) == {
        "a": {"e": "`needs`"},
        "b": {"e": "`contexts`, x"},
        "c": {"e": "FROM in on-e:1"},
        "d": {"e": "FROM in on-e:1"},
        "e": {},
    }


def test_a_named_context_stands_before_an_image(make: Make) -> None:
    """A folder with the name of an image is that folder."""
    scopes = make(
        {"web": {"contexts": ["lacion/low:local=here"]}, "low": {}}, {"web.Dockerfile": "FROM lacion/low:local"}
    )
    assert needs.of(scopes)["web"] == {}


def test_own_base_images_are_no_other_images(make: Make) -> None:
    """Both make the base that they stand on: neither needs the other."""
    base = {"base": [{"name": "lacion/base", "dockerfile": "base"}]}
    files = {"base": "FROM scratch", "a.Dockerfile": "FROM lacion/base", "b.Dockerfile": "FROM lacion/base:latest"}
    assert needs.of(make({"a": base, "b": base}, files)) == {"a": {}, "b": {}}


def test_among(make: Make) -> None:
    """What narrows a choice from elsewhere narrows that of names and globs; what is needed comes with it or not."""
    scopes = make({"web": {"needs": ["low"]}, "api": {}, "low": {}})
    assert [scope.name for scope in several.select(scopes, among=["web"])] == ["low", "web"]
    assert [scope.name for scope in several.select(scopes, among=["web"], with_needs=False)] == ["web"]
    assert [scope.name for scope in several.select(scopes, ["a*", "low"], among=["api", "web"])] == ["api"]
    assert several.select(scopes, among=[]) == ()
    assert several.select(scopes, ["api"], among=["web"]) == ()
    assert several.chosen(scopes, ["w*"], among=["web", "low"]) == {"web"}


def test_among_one(tmp_path: Path) -> None:
    """The only image of a project is called by its repository."""
    (loaded,) = load([Layer("invoke.yaml", {"image": "lacion/foo", "version": {"literal": "1"}})], environ={})
    scopes = (Scope(tmp_path, loaded.settings, connect=no_engine),)
    assert several.select(scopes, among=["lacion/foo"]) == scopes
    assert several.select(scopes, among=[]) == ()


def test_changed(make: Make, tmp_path: Path) -> None:
    """What stands on a changed image by a Dockerfile is changed."""
    files = {f"{name}.Dockerfile": "FROM scratch\n" for name in ("low", "api")}
    entries = {
        name: {"release": {"dockerfile": f"{name}.Dockerfile", "context": name}} for name in ("web", "low", "api")
    }
    for name in entries:
        (tmp_path / name).mkdir()
    scopes = make(entries, {**files, "web.Dockerfile": "FROM lacion/low\n", "low/file": "1"})
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    assert several.changed(scopes, "HEAD").names == ()
    (tmp_path / "low" / "file").write_text("2")
    found = several.changed(scopes, "HEAD")
    assert found.names == ("web", "low")
    assert [str(reason) for reason in found.images["web"]] == ["it stands on low, which changed"]


def test_a_circle(make: Make) -> None:
    """The way round, and what says each step of it."""
    scopes = make({"api": {"needs": ["base"]}, "base": {}}, {"base.Dockerfile": "FROM lacion/api:local"})
    with pytest.raises(ConfigError) as caught:
        several.select(scopes)
    assert str(caught.value).splitlines()[:3] == [
        "these images stand on each other: api -> base -> api",
        "  | api needs base: `needs`",
        "  | base needs api: FROM in base.Dockerfile:1",
    ]
    assert caught.value.exit_code == 2


ENTRIES: dict[str, Any] = {"web-a": {"needs": ["low"]}, "web-b": {}, "low": {}, "other": {}}


@pytest.mark.parametrize(
    ("images", "found", "alone"),
    [
        ((), ["low", "web-a", "web-b", "other"], None),
        (("web-a",), ["low", "web-a"], ["web-a"]),
        (("web-*",), ["low", "web-a", "web-b"], ["web-a", "web-b"]),
        (("other", "low"), ["low", "other"], None),
        (("*",), ["low", "web-a", "web-b", "other"], None),
    ],
)
def test_choosing(make: Make, images: tuple[str, ...], found: list[str], alone: list[str] | None) -> None:
    """Names and globs; with what these stand on, and without."""
    scopes = make(ENTRIES)
    assert [scope.name for scope in several.select(scopes, images)] == found
    assert [scope.name for scope in several.select(scopes, images, with_needs=False)] == (alone or found)


def test_choosing_what_is_not_there(make: Make, tmp_path: Path) -> None:
    """The nearest is named; a project with one image has nothing to choose."""
    with pytest.raises(ConfigError, match=r"no entry of `tinyship.images` is named `webb-a`; the nearest is `web-a`"):
        several.select(make(ENTRIES), ["webb-a"])
    (one,) = load([Layer("invoke.yaml", {"image": "lacion/foo", "version": {"literal": "1"}})], environ={})
    with pytest.raises(ConfigError, match=r"there are no `tinyship.images`, so none is named `foo`"):
        several.select([Scope(tmp_path, one.settings)], ["foo"])


def test_artifacts_in_one_place(make: Make) -> None:
    """Images that put artifacts into one place are never made at the same time."""
    build = {"dockerfile": "x", "artifacts": ["bin"]}
    inside = {"dockerfile": "x", "artifacts": ["bin/b"]}
    other = {"dockerfile": "x", "artifacts": ["bin2"]}
    scopes = make({"a": {"build": build}, "b": {"build": inside}, "c": {"build": other}, "d": {}})
    assert needs.after(scopes) == {"a": (), "b": ("a",), "c": ()}


BASE = {"name": "lacion/base", "dockerfile": "base"}


def test_one_base_image_in_two_ways(make: Make) -> None:
    """In its own entry the config says it at once; from settings around it, it is seen before anything is made."""
    with pytest.raises(ConfigError, match=r"lacion/base has another `target` in `b` than in `a`"):
        make({"a": {"base": [BASE]}, "b": {"base": [{**BASE, "target": "x"}]}})
    with pytest.raises(ConfigError, match=r"lacion/base:latest of `b` is lacion/base of `a` .*write it in one way"):
        make({"a": {"base": [BASE]}, "b": {"base": [{**BASE, "name": "lacion/base:latest"}]}})
    files = {"base": "FROM scratch\nARG SPEED\n"}
    scopes = make({"a": {"base": [BASE], "args": ["OTHER=1"]}, "b": {"base": [BASE], "args": ["OTHER=2"]}}, files)
    sharing.check(scopes)
    assert [scope.owners for scope in scopes] == [{"lacion/base": "lacion/a"}] * 2
    scopes = make({"a": {"base": [BASE]}, "b": {"base": [BASE], "args": ["SPEED=2"]}}, files)
    with pytest.raises(ConfigError, match=r"lacion/base has other `args` in `b` than in `a`"):
        sharing.check(scopes)
    scopes = make({"a": {"base": [BASE]}, "b": {"base": [BASE], "builder": "classic"}}, files)
    with pytest.raises(ConfigError, match="has other `builder` or `proxy`"):
        sharing.check(scopes)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("a", "`a` is this image itself"),
        ("bb", "no entry of `tinyship.images` is named `bb`; the nearest is `b`"),
    ],
)
def test_wrong_needs(make: Make, wanted: str, words: str) -> None:
    """What an image needs has to be another one that is there."""
    with pytest.raises(ConfigError) as caught:
        make({"a": {"needs": [wanted]}, "b": {}})
    assert str(caught.value) == f"invoke.yaml, images[a]: `tinyship.needs`: {words}"


def test_needs_of_one_image() -> None:
    """Where there are no others, there is none to need; and fewer jobs than one are none."""
    with pytest.raises(ConfigError, match=r"`tinyship.needs`: there are no `tinyship.images`"):
        load([Layer("invoke.yaml", {"image": "lacion/foo", "needs": ["x"]})], environ={})
    with pytest.raises(ConfigError, match=r"`tinyship.jobs`: it is at least 1"):
        load([Layer("invoke.yaml", {"image": "lacion/foo", "jobs": -1})], environ={})


def test_failures_of_several(make: Make) -> None:
    """All failures at the end, each once, and what was not begun because of them; the others are done."""
    scopes = make({"a": {}, "b": {"needs": ["a"]}, "c": {}, "d": {}})
    events: list[Event] = []
    scopes = tuple(_with_events(scope, events) for scope in scopes)
    same = BuildFailed("no compiler", stage="base", image="lacion/base")

    def act(scope: Scope) -> str:
        if scope.name in "ac":
            raise same
        return scope.name

    with pytest.raises(ImagesFailed) as caught:
        several.each(scopes, act, jobs=1)
    assert str(caught.value).splitlines() == [
        "2 of 4 images failed",
        "  a, c: base lacion/base: no compiler",
        "  b: not begun, because a failed",
    ]
    assert caught.value.done == {"d": "d"}
    assert caught.value.exit_code == 1
    assert events == [
        StageFailed("base", "lacion/base", "no compiler"),
        StageFailed("", "c", "base lacion/base failed"),
    ]


def test_a_failure_that_images_share(make: Make) -> None:
    """It is told once, then for each image that fails for it; the stage and image that it happened on are its own."""
    events: list[Event] = []
    scopes = tuple(_with_events(scope, events) for scope in make({"a": {}, "b": {}, "c": {}}))

    def base(scope: Scope) -> None:
        with scope.stage("base", "lacion/base", "building"):
            raise BuildFailed("no compiler")

    def act(scope: Scope) -> None:
        if scope.name == "c":
            raise BuildFailed("no room", stage="build", image="lacion/c:build")
        with scope.stage("build", f"lacion/{scope.name}:build", "building"):
            scope.together.once("base", lambda: base(scope))

    with pytest.raises(ImagesFailed) as caught:
        several.each(scopes, act, jobs=1)
    assert str(caught.value).splitlines() == [
        "3 of 3 images failed",
        "  a, b: base lacion/base: no compiler",
        "  c: build lacion/c:build: no room",
    ]
    assert [event for event in events if isinstance(event, StageFailed)] == [
        StageFailed("base", "lacion/base", "no compiler"),
        StageFailed("", "a", "base lacion/base failed"),
        StageFailed("", "b", "base lacion/base failed"),
        StageFailed("build", "lacion/c:build", "no room"),
    ]


def test_a_failure_of_all_is_none_of_the_first(make: Make) -> None:
    """What git cannot tell is told under the name of no stage, although one asked first."""
    events: list[Event] = []
    scopes = tuple(_with_events(scope, events) for scope in make({"a": {}, "b": {}}))

    def fail() -> None:
        raise GitError("git is missing")

    def act(scope: Scope) -> None:
        with scope.stage("build", f"lacion/{scope.name}:build", "building"):
            scope.together.once("revision", fail)

    with pytest.raises(ImagesFailed, match=r"(?m)^  a, b: git is missing$"):
        several.each(scopes, act, jobs=1)
    assert [event for event in events if isinstance(event, StageFailed)] == [
        StageFailed("", "a", "git is missing"),
        StageFailed("", "b", "for the same reason as a"),
    ]


def test_config_errors_of_several(make: Make) -> None:
    """When all that failed is the config, the exit code says so."""

    def act(scope: Scope) -> None:
        raise ConfigError("no")

    with pytest.raises(ImagesFailed) as caught:
        several.each(make({"a": {}, "b": {}}), act)
    assert caught.value.exit_code == 2


def test_a_mistake_of_ours_is_no_failed_image(make: Make) -> None:
    """What is no error of tinyship's comes out as it is."""

    def act(scope: Scope) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        several.each(make({"a": {}, "b": {}}), act)


def test_one_revision_for_all(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git is asked once for all that have the same versions, and once for each that has its own."""
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "--allow-empty", "-m", "x"], ["tag", "v1.0.0"]):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@x", *words], cwd=tmp_path, check=True)
    subprocess.run(["git", "tag", "api/v2.0.0"], cwd=tmp_path, check=True)
    from tinyship.git import revision

    asked = []
    ask = revision.read

    def read(*words: Any) -> revision.Revision:
        asked.append(words)
        return ask(*words)

    monkeypatch.setattr(revision, "read", read)
    scopes = make({"a": {}, "b": {}, "api": {"version": {"tag": "api/v*"}}}, version={})
    assert [scope.revision.version for scope in scopes] == ["1.0.0", "1.0.0", "2.0.0"]
    assert len(asked) == 2


def _with_events(scope: Scope, events: list[Event]) -> Scope:
    from dataclasses import replace

    return replace(scope, events=events.append)
