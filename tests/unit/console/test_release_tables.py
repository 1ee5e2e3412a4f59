"""Releases as text: the last one in full, and all that are known."""

from __future__ import annotations

from dataclasses import replace

from tinyship.console import releases
from tinyship.kept.record import BaseImage, Pushed, Release, Runtime, Sizes
from tinyship.stages.releases import Known

RELEASE = Release(
    image="lacion/foo",
    version="1.4.0",
    commit="c" * 40,
    tree="t",
    dirty=False,
    source="",
    created="2017-05-01T12:00:00+00:00",
    platform="linux/amd64",
    id="sha256:0",
    tags=("local", "1.4.0"),
    sizes=(Sizes("release", "lacion/foo:1.4.0", 36_500_000, None, 22_400_000, 3),),
    pushed=(
        Pushed("registry.example.com:5000/lacion/foo:1.4.0", "sha256:1"),
        Pushed("registry.example.com:5000/lacion/foo:latest", "sha256:1"),
        Pushed("lacion/foo:1.4.0", "sha256:9"),
    ),
    given=True,
    branch="main",
    bases=(BaseImage("alpine:3.22", "sha256:2"), BaseImage("lacion/base:latest", "")),
    run=Runtime(("8080/tcp",), "1000", ("/init",), ("serve",), True),
)
KNOWN = Known(
    "lacion/foo", "1.4.0", "c" * 40, "2026-01-02T23:30:00-02:00", "sha256:" + "12" * 32, 14_000_000, 36_500_000,
    "v1.4.0", ("tag", "note", "here", "registry"),
)  # fmt: skip


def test_last_release() -> None:
    """What is known of it, and a table of sizes."""
    assert releases.release(RELEASE) == (
        "lacion/foo 1.4.0",
        "  commit    cccccccccccccccccccccccccccccccccccccccc on main",
        "  date      2017-05-01T12:00:00+00:00",
        "  version   given, not from a git tag",
        "  platform  linux/amd64",
        "  id        sha256:0",
        "  tag       lacion/foo:local",
        "  tag       lacion/foo:1.4.0",
        "  base      alpine:3.22@sha256:2",
        "  base      lacion/base:latest",
        "  user      1000",
        "  runs      /init serve",
        "  ports     8080/tcp",
        "  health    checked",
        "  pushed    registry.example.com:5000/lacion/foo@sha256:1",
        "            as 1.4.0, latest",
        "  pushed    lacion/foo@sha256:9",
        "            as 1.4.0",
        "",
        "  stage    image             unpacked  pull   unique  layers",
        "  release  lacion/foo:1.4.0   36.5 MB     -  22.4 MB       3",
    )


def test_unpushed_release() -> None:
    """What is not known has no line, and what is missing is said."""
    lines = releases.release(replace(RELEASE, pushed=(), sizes=(), run=None, commit="", smoke=True, given=False))
    assert lines[-2:] == ("  smoke     it works", "  pushed    not yet: `invoke push`")
    assert not [line for line in lines if line.startswith(("  commit", "  user", "  version"))]


def test_known_releases() -> None:
    """A row for each; one that is nothing but a tag says so, and so does one that has none."""
    tag_only = Known("lacion/foo", "1.3.0", "b" * 40, "", "", None, None, "v1.3.0", ("tag",))
    foreign = Known("lacion/foo", "1.2.0\x1b[31m", "", "", "sha256:3", 1, None, "", ("registry",))
    between = replace(foreign, version="1.2.0-4-g1234567")
    assert releases.known_lines("lacion/foo", (KNOWN, tag_only, replace(foreign, version="1.2.0-rc1"), between)) == (
        "lacion/foo",
        "version           date        commit   digest          pull  unpacked  known from",
        "1.4.0             2026-01-03  ccccccc  121212121212   14 MB   36.5 MB  git tag, git note, here, registry",
        "1.3.0             -           bbbbbbb  -                  -         -  git tag: no release is known",
        "1.2.0-rc1         -           -        3             1 Byte         -  registry, no git tag",
        "1.2.0-4-g1234567  -           -        3             1 Byte         -  registry",
    )
    assert "\x1b" not in "".join(releases.known_lines("lacion/foo", (foreign,)))
