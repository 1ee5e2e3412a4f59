"""The history of a project: what release and push add to it, from where it is gathered, and what goes wrong quietly."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.kept.test_history import DIGEST, SIZES, entry

from tinyship.engine.connect import Engine
from tinyship.events import Event, Notice
from tinyship.kept import history as files
from tinyship.kept import notes, record
from tinyship.kept.record import Previous, Pushed, Release
from tinyship.settings.load import Layer, load
from tinyship.stages import history
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tests.conftest import Repository


def no_engine() -> Engine:
    """An engine that nothing here may ask for."""
    raise AssertionError("the engine was asked")


class Told:
    """Takes events, and keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def __call__(self, event: Event) -> None:
        assert isinstance(event, Notice)
        assert event.level == "warning"
        self.warnings.append(event.text)


def scope_of(root: Path, **size: Any) -> Scope:
    """An image whose history this is."""
    section = {"image": "lacion/foo", "size": size, "version": {"literal": "1"}}
    (loaded,) = load([Layer("invoke.yaml", section)], environ={})
    return Scope(root, loaded.settings, Told(), connect=no_engine)


def warnings(scope: Scope) -> list[str]:
    """What was said since the last time, and forget it."""
    assert isinstance(scope.events, Told)
    said, scope.events.warnings = scope.events.warnings, []
    return said


def release(version: str, commit: str, **changes: Any) -> Release:
    """A release, as the record has it."""
    made = Release(
        image="lacion/foo",
        version=version,
        commit=commit,
        tree="",
        dirty=False,
        source="",
        created="2026-01-01T00:00:00+00:00",
        platform="linux/amd64",
        id="sha256:1",
        tags=("local",),
        sizes=SIZES,
    )
    return replace(made, **changes)


def is_pushed(made: Release) -> Release:
    """The same release after its push."""
    sizes = tuple(replace(one, pull=7) for one in made.sizes)
    return replace(made, pushed=(Pushed("r/lacion/foo:1", DIGEST),), sizes=sizes)


def test_release_and_push(repository: Repository) -> None:
    """A release is an entry, its push fills in digest and pull size, and notes it on the commit."""
    made = release("1", repository.commit())
    scope = scope_of(repository.root)
    history.released(scope, made, None)
    (first,) = history.known(scope)
    assert (first.version, first.commit, first.digest, first.created) == ("1", made.commit, "", made.created)
    assert notes.read(repository.root) == files.Found()
    history.pushed(scope, is_pushed(made), allow_dirty=False)
    (second,) = history.known(scope)
    assert (second.digest, second.sizes[0].pull, second.recorded) == (DIGEST, 7, first.recorded)
    assert notes.read(repository.root) == files.read(repository.root) == files.Found((second,))
    history.pushed(scope, is_pushed(made), allow_dirty=False)
    assert (repository.root / ".tinyship" / "history.jsonl").read_text().count("\n") == 2
    assert warnings(scope) == []
    assert repository.git("status", "--short") == ""


@pytest.mark.parametrize(
    ("changes", "allow_dirty", "size"),
    [({"dirty": True}, True, {}), ({}, True, {}), ({"commit": ""}, False, {}), ({}, False, {"notes": False})],
)
def test_no_note(repository: Repository, changes: dict[str, Any], allow_dirty: bool, size: dict[str, Any]) -> None:
    """Nothing is noted of what no commit holds, nor where the settings say so; the file has it all the same."""
    made = replace(release("1", repository.commit()), **changes)
    scope = scope_of(repository.root, **size)
    history.pushed(scope, is_pushed(made), allow_dirty=allow_dirty)
    assert notes.read(repository.root) == files.Found()
    assert [one.digest for one in files.read(repository.root).entries] == [DIGEST]
    assert warnings(scope) == []


def test_the_same_image_again_keeps_its_digest(repository: Repository) -> None:
    """A release of what was pushed already is still that; another image of the same version is not."""
    made = release("1", repository.commit())
    scope = scope_of(repository.root)
    history.released(scope, made, None)
    history.pushed(scope, is_pushed(made), allow_dirty=False)
    history.released(scope, made, made)
    (same,) = files.read(repository.root).entries
    assert (same.digest, same.sizes[0].pull) == (DIGEST, 7)
    history.released(scope, replace(made, id="sha256:2"), made)
    (other,) = files.read(repository.root).entries
    assert (other.digest, other.sizes[0].pull) == ("", None)


def test_baseline_over_branches(repository: Repository) -> None:
    """A fix on an old branch is measured against the release below it, not against the newest."""
    first = repository.commit("1")
    repository.git("branch", "old")
    second = repository.commit("2")
    scope = scope_of(repository.root)
    for version, commit in (("1", first), ("2", second)):
        history.released(scope, release(version, commit), None)
    repository.git("checkout", "-q", "old")
    fix = repository.commit("fix")
    scope = scope_of(repository.root)
    assert scope.revision.commit == fix
    assert history.before(scope) == Previous("1", first, SIZES)
    repository.git("checkout", "-q", second)
    assert history.before(scope_of(repository.root)) == Previous("1", first, SIZES)
    repository.git("checkout", "-q", first)
    assert history.before(scope_of(repository.root)) == Previous("2", second, SIZES)


def test_baseline_from_notes(repository: Repository) -> None:
    """A clone without the folder has the history in its notes."""
    first = repository.commit("1")
    notes.add(repository.root, replace(entry("1"), commit=first))
    repository.commit("2")
    assert history.before(scope_of(repository.root)) == Previous("1", first, SIZES)
    assert history.before(scope_of(repository.root, notes=False)) is None


def test_more_sources(repository: Repository) -> None:
    """Entries from elsewhere count where nothing is written down here of the release, by another name either."""
    first, _ = repository.commit("1"), repository.commit("2")
    scope = scope_of(repository.root)
    elsewhere = replace(entry("0", "e"), commit=first)
    history.released(scope, release("0", first), None)
    (one,) = history.known(scope, [elsewhere, replace(elsewhere, version="v0")])
    assert one.recorded > elsewhere.recorded
    other = replace(elsewhere, version="9", commit="9" * 40)
    assert [entry.version for entry in history.known(scope, [other])] == ["9", "0"]


def test_record_of_an_older_tinyship(repository: Repository) -> None:
    """What only the record knows is measured against, and goes into the history with the next release."""
    first, second, third = (repository.commit(text) for text in "123")
    last = release("2", second, previous=Previous("1", first, SIZES))
    record.update(repository.root, last)
    scope = scope_of(repository.root)
    assert [one.version for one in history.known(scope)] == ["1", "2"]
    assert history.before(scope) == last_of(last)
    history.released(scope, release("3", third), last)
    assert [one.version for one in files.read(repository.root).entries] == ["1", "2", "3"]
    assert history.before(scope) == last_of(last)
    history.released(scope, release("3", third), last)
    assert len(files.read(repository.root).entries) == 3


def last_of(made: Release) -> Previous:
    """A release as a later one remembers it."""
    return Previous(made.version, made.commit, made.sizes)


def test_without_a_repository(tmp_path: Path) -> None:
    """Releases without commits are measured against the last one; nothing is noted, and nothing warned of."""
    scope = scope_of(tmp_path)
    assert history.before(scope) is None
    for version in "12":
        history.released(scope, release(version, ""), None)
        history.pushed(scope, is_pushed(release(version, "")), allow_dirty=True)
    before = history.before(scope)
    assert before
    assert before.version == "2"
    assert warnings(scope) == []


def test_other_images_are_not_ours(repository: Repository) -> None:
    """Several images share a file and notes."""
    commit = repository.commit()
    scope = scope_of(repository.root)
    other = replace(entry("9", ""), image="lacion/bar", commit=commit)
    files.add(repository.root, other)
    notes.add(repository.root, other)
    assert history.known(scope) == ()
    assert history.before(scope) is None


def test_folder_that_is_gone(repository: Repository) -> None:
    """Without `.tinyship` there is no history, until there is one again."""
    scope = scope_of(repository.root)
    repository.commit()
    assert history.known(scope) == ()
    history.released(scope, release("1", "a" * 40), None)
    subprocess.run(["rm", "-r", ".tinyship"], cwd=repository.root, check=True)
    assert history.known(scope) == ()
    history.released(scope, release("1", "a" * 40), None)
    assert len(history.known(scope)) == 1


def test_file_that_cannot_be_used(repository: Repository) -> None:
    """What cannot be read or written is warned of, and nothing fails."""
    made = release("1", repository.commit())
    (repository.root / ".tinyship" / "history.jsonl").mkdir(parents=True)
    scope = scope_of(repository.root)
    assert history.before(scope) is None
    assert ["cannot be read" in text for text in warnings(scope)] == [True]
    history.released(scope, made, None)
    assert ["what was released is not in the history of sizes" in text for text in warnings(scope)] == [True]
    history.pushed(scope, is_pushed(made), allow_dirty=False)
    assert len(warnings(scope)) == 1
    assert len(notes.read(repository.root).entries) == 1


def test_broken_lines_are_told_of(repository: Repository) -> None:
    """A line that nobody understands is a warning with its number."""
    repository.commit()
    scope = scope_of(repository.root)
    history.released(scope, release("1", "a" * 40), None)
    with (repository.root / ".tinyship" / "history.jsonl").open("a") as file:
        file.write("<<<<<<<\n")
    assert len(history.known(scope)) == 1
    (text,) = warnings(scope)
    assert "line 2" in text


def test_notes_that_cannot_be_used(repository: Repository) -> None:
    """A ref that is no notes is warned of; the push stays a push."""
    made = release("1", repository.commit())
    repository.git("update-ref", notes.REF, repository.git("hash-object", "-w", "file.txt"))
    scope = scope_of(repository.root)
    assert history.known(scope) == ()
    assert "the git notes of earlier releases cannot be read" in warnings(scope)[0]
    history.pushed(scope, is_pushed(made), allow_dirty=False)
    (text,) = warnings(scope)
    assert "1 is pushed, but no git note says what it weighs" in text


def test_history_that_git_cannot_walk(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where git cannot say what came before, the last release does."""
    first, second = repository.commit("1"), repository.commit("2")
    scope = scope_of(repository.root)
    for version, commit in (("1", first), ("0", "e" * 40)):
        history.released(scope, release(version, commit), None)
    assert scope.revision.commit == second
    (repository.root / ".git" / "objects" / second[:2] / second[2:]).unlink()
    found = history.before(scope)
    assert found
    assert found.version == "0"
    assert "which release came before" in warnings(scope)[0]


def test_remote(repository: Repository, tmp_path: Path) -> None:
    """With a remote, a clean push sends the notes, and another clone measures against what they tell."""
    bare, clone = tmp_path / "bare.git", tmp_path / "clone"
    first = repository.commit("1")
    subprocess.run(["git", "clone", "-q", "--bare", repository.root, bare], check=True)
    repository.git("remote", "add", "origin", str(bare))
    scope = scope_of(repository.root, notes_remote="origin")
    history.pushed(scope, is_pushed(release("1", first)), allow_dirty=False)
    subprocess.run(["git", "clone", "-q", bare, clone], check=True)
    subprocess.run(["git", "commit", "-q", "--allow-empty", "-m", "2"], cwd=clone, check=True)
    assert history.before(scope_of(clone)) is None
    there = scope_of(clone, notes_remote="origin")
    before = history.before(there)
    assert before
    assert (before.version, before.commit) == ("1", first)
    assert warnings(scope) == warnings(there) == []


def test_remote_that_is_away(repository: Repository) -> None:
    """A remote that does not answer is a warning before a release, and after a push one with the way out."""
    commit = repository.commit()
    repository.git("remote", "add", "origin", "/nowhere/at/all")
    scope = scope_of(repository.root, notes_remote="origin")
    assert history.before(scope) is None
    assert "the notes of `origin` are not looked at" in warnings(scope)[0]
    history.pushed(scope, is_pushed(release("1", commit)), allow_dirty=False)
    (text,) = warnings(scope)
    assert "1 is pushed, but its sizes are not in the notes of `origin`" in text
    assert "`git push origin refs/notes/tinyship` sends them" in text
    assert len(notes.read(repository.root).entries) == 1


def test_plans(repository: Repository) -> None:
    """What is read, written, fetched and sent is in the plans."""
    commit = repository.commit()
    scope = scope_of(repository.root, notes_remote="mine")
    assert [(one.verb, one.target, one.detail) for one in history.plan_push(scope)] == [
        ("write", notes.REF, f"a git note on {commit[:7]}"),
        ("push", notes.REF, "to mine"),
    ]
    assert [one.verb for one in (*history.plan_before(scope), *history.plan_released())] == ["fetch", "write"]
    assert [one.verb for one in history.plan_show(scope, fetch=True, registry=False)] == ["fetch", "read", "read"]
    quiet = scope_of(repository.root, notes=False)
    assert history.plan_push(quiet) == history.plan_before(quiet) == ()
    assert [one.verb for one in history.plan_show(quiet, fetch=False, registry=False)] == ["read"]
    (repository.root / "new").touch()
    assert history.plan_push(scope_of(repository.root)) == ()
