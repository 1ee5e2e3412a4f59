"""The history of sizes over real releases and pushes, run as a user runs them."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from ships import Ship

from tinyship import Project
from tinyship.kept import notes

pytestmark = pytest.mark.engine


def grow(ship: Ship, version: str, size: int) -> str:
    """Commit a release image with a file of so many bytes more, tag it, and return the commit."""
    dockerfile = ship.root / "Dockerfile"
    text = dockerfile.read_text().partition("COPY ballast")[0]
    (ship.root / "ballast").write_bytes(bytes(size))
    dockerfile.write_text(f"{text}COPY ballast /ballast-{size}\n")
    ship.commit(version)
    ship.git("tag", f"v{version}")
    return ship.git("rev-parse", "HEAD")


def test_from_version_to_version(ship: Ship) -> None:
    """Three releases, two of them pushed: what each gained, which are known, and the same from a script."""
    ship.invoke("release", "push")
    grow(ship, "1.1.0", 1_000_000)
    ship.invoke("release")
    grow(ship, "1.2.0", 3_000_000)
    done = ship.invoke("release", "push")
    assert "+2 MB" in done.out
    (trend,) = ship.invoke("size.history", "--json").json["images"]
    assert (trend["image"], trend["stage"]) == (ship.image, "release")
    first, second, third = trend["points"]
    assert [point["version"] for point in trend["points"]] == ["1.0.0", "1.1.0", "1.2.0"]
    assert (first["unpacked_change"], third["unpacked_change"]) == (None, 2_000_000)
    assert second["unpacked_change"] > 1_000_000 - 100
    assert [bool(point["digest"]) for point in trend["points"]] == [True, False, True]
    assert [point["pull"] is not None for point in trend["points"]] == [True, False, True]
    assert third["digest"] == ship.record["pushed"][0]["digest"]
    shown = ship.invoke("size.history").out.splitlines()
    assert shown[0] == f"release {ship.image}"
    assert [line.split()[0] for line in shown[1:]] == ["version", "1.0.0", "1.1.0", "1.2.0"]
    assert shown[2].endswith("#")
    assert "known" in shown[2]
    (last,) = ship.invoke("size.history", "--limit", "1", "--json").json["images"][0]["points"]
    assert last == third
    assert ship.invoke("size.history", "--stage", "base").out.startswith(f"base {ship.base}\n")
    assert ship.invoke("size.history", "--stage", "build").out.startswith(f"build {ship.image}\n")
    entries = Project.load(ship.root).history()
    assert [entry.version for entry in entries] == ["1.0.0", "1.1.0", "1.2.0"]
    assert notes.read(ship.root).entries == (entries[0], entries[2])
    assert ship.git("status", "--short") == ""


def test_growth_is_measured_against_the_commit_before(ship: Ship) -> None:
    """A fix on an old branch is no growth below the newest release, and a budget is held to what came before it."""
    ship.invoke("release")
    first = ship.git("rev-parse", "HEAD")
    grow(ship, "2.0.0", 5_000_000)
    ship.invoke("release")
    ship.git("checkout", "-q", "-b", "old", first)
    grow(ship, "1.0.1", 1_000)
    ship.invoke("release")
    assert ship.record["previous"]["version"] == "1.0.0"
    ship.configure(size={"budgets": [{"growth": "100kB"}]})
    grow(ship, "1.0.2", 400_000)
    assert "unpacked growth 400" in ship.invoke("release", code=1).err.replace("399", "400")
    assert [entry.version for entry in Project.load(ship.root).history()] == ["1.0.0", "2.0.0", "1.0.1"]


def test_release_again(ship: Ship) -> None:
    """The first commit released a second time has changed by nothing, and is one entry; so is a later one."""
    ship.invoke("release", "push")
    again = ship.invoke("release")
    assert [line.split()[-1] for line in again.out.splitlines() if line.startswith("base")] == ["="]
    grow(ship, "1.1.0", 1_000_000)
    for _ in range(2):
        ship.invoke("release")
        assert ship.record["previous"]["version"] == "1.0.0"
    assert [entry.version for entry in Project.load(ship.root).history()] == ["1.0.0", "1.1.0"]


def test_dirty_pushes_are_not_noted(ship: Ship) -> None:
    """What no commit holds is in this folder's history, and in nobody else's."""
    (ship.root / "src" / "main.txt").write_text("changed\n")
    ship.invoke("release", "push", "--allow-dirty")
    (entry,) = Project.load(ship.root).history()
    assert entry.version == "1.0.0-dirty"
    assert entry.digest
    assert ship.git("for-each-ref", "refs/notes") == ""


def test_two_clones_and_a_remote(ship: Ship, tmp_path: Path) -> None:
    """What one clone pushes, another measures against; without the setting --fetch gets it."""
    bare = tmp_path / "bare.git"
    ship.configure(size={"notes_remote": "origin"})
    ship.git("tag", "-f", "v1.0.0")
    subprocess.run(["git", "clone", "-q", "--bare", ship.root, bare], check=True)
    ship.git("remote", "add", "origin", str(bare))
    ship.invoke("release", "push")
    there = replace(ship, root=tmp_path / "there")
    subprocess.run(["git", "clone", "-q", bare, there.root], check=True)
    grow(there, "1.1.0", 1_000_000)
    there.invoke("release", "push")
    assert there.record["previous"]["version"] == "1.0.0"
    ship.configure(size={"notes_remote": ""})
    assert "1.1.0" not in ship.invoke("size.history").out
    assert "1.1.0" in ship.invoke("size.history", "--fetch").out
    assert [entry.version for entry in Project.load(ship.root).history(fetch=True)] == ["1.0.0", "1.1.0"]
    ship.git("remote", "remove", "origin")
    failed = ship.invoke("size.history", "--fetch", code=1)
    assert "'origin' does not appear to be a git repository" in failed.err
    assert "Traceback" not in failed.err


def test_remote_that_is_away(ship: Ship) -> None:
    """The images are pushed; that the notes are not is a warning with the command that does it."""
    ship.git("remote", "add", "origin", "/nowhere/at/all")
    ship.configure(size={"notes_remote": "origin"})
    done = ship.invoke("release", "push")
    assert ship.record["pushed"]
    assert "warning: the notes of `origin` are not looked at" in done.err
    assert "`git push origin refs/notes/tinyship` sends them" in done.err


def test_record_of_an_older_tinyship(ship: Ship) -> None:
    """A project that has but a record is measured against it, and keeps it; one without either begins afresh."""
    ship.invoke("release")
    (ship.root / ".tinyship" / "history.jsonl").unlink()
    grow(ship, "1.1.0", 1_000_000)
    assert "1.0.0" in ship.invoke("size.history").out
    ship.invoke("release")
    assert ship.record["previous"]["version"] == "1.0.0"
    assert [entry.version for entry in Project.load(ship.root).history()] == ["1.0.0", "1.1.0"]
    shutil.rmtree(ship.root / ".tinyship")
    ship.invoke("release")
    assert ship.record["previous"] is None


def test_nothing_yet(ship: Ship) -> None:
    """Without a release, and with a stage or a number that cannot be, it is said what would help."""
    assert "`invoke release` does it" in ship.invoke("size.history").out
    assert ship.invoke("size.history", "--json").json == {"images": []}
    assert "base, build, release" in ship.invoke("size.history", "--stage", "bulid", code=2).err
    assert "0 or more" in ship.invoke("size.history", "--limit=-1", code=2).err
    ship.invoke("release")
    file = ship.root / ".tinyship" / "history.jsonl"
    data = json.loads(file.read_text())
    data["sizes"] = [sizes for sizes in data["sizes"] if sizes["stage"] != "build"]
    file.write_text(json.dumps(data) + "\nodd\n")
    done = ship.invoke("size.history", "--stage", "build")
    assert "no release had a build image" in done.out
    assert "history.jsonl: line 2: no entry of a history" in done.err


def test_dry(ship: Ship) -> None:
    """The plans say what would be written and fetched; nothing is."""
    ship.configure(size={"notes_remote": "origin"})
    plan = ship.invoke("--dry", "release", "push").out
    for text in ("fetch", ".tinyship/history.jsonl", "refs/notes/tinyship", "to origin"):
        assert text in plan
    assert "from origin" in ship.invoke("--dry", "size.history", "--fetch").out
    assert not (ship.root / ".tinyship").exists()
    assert ship.git("for-each-ref", "refs/notes") == ""
