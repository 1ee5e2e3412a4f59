"""Mounting: as the root, below a root, twice, from the module and from the factory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.program import Program

import tinyship
from tinyship.tasks.mount import MountedTask

NAMES = {
    "base.list",
    "base.make",
    "base.outdated",
    "base.update",
    "build.make",
    "build.shell",
    "build.test",
    "clean.all",
    "clean.cache",
    "clean.images",
    "clean.leftovers",
    "clean.registry",
    "config.schema",
    "config.show",
    "push.promote",
    "push.send",
    "release.check",
    "release.graph",
    "release.list",
    "release.make",
    "release.notes",
    "release.plan",
    "release.run",
    "release.schema",
    "release.show",
    "release.smoke",
    "size.diff",
    "size.explain",
    "size.history",
    "size.remote",
    "size.report",
    "size.table",
}
ROOT = '"""Ship it."""\nimport tinyship\nns = tinyship.collection()\n'
TWO = (
    "import tinyship\nfrom invoke import Collection\n"
    "ns = Collection(tinyship.collection('api', image='api'), tinyship.collection('web', image='web'))\n"
)


def listing(folder: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """What `invoke --list` prints in a folder."""
    Program().run(["inv", "--search-root", str(folder), *flags, "--list"], exit=False)
    return capsys.readouterr().out


def project(tmp_path: Path, tasks: str) -> Path:
    """A folder with this tasks.py; its own name, because Invoke caches modules by name."""
    (tmp_path / "tasks.py").write_text(tasks)
    return tmp_path


def test_collection_has_the_tasks() -> None:
    """The tasks and their names are a promise to scripts."""
    assert set(tinyship.collection().task_names) == NAMES


@pytest.mark.parametrize("stage", ["base", "build", "release", "push", "clean", "size"])
def test_stages_run_by_their_own_name(stage: str) -> None:
    """`invoke release` is the default task of the collection `release`."""
    task = tinyship.collection()[stage]
    assert task.is_default


def test_every_task_and_flag_has_help() -> None:
    """`--help` has a text for each task and each flag, and the first line fits a listing."""
    for name in NAMES:
        task = tinyship.collection()[name]
        assert task.__doc__
        assert len(task.__doc__.splitlines()[0]) <= 54, name
        for argument in task.get_arguments():
            assert argument.help, f"{name} {argument.name}"


def test_module_can_be_added() -> None:
    """`add_collection(tinyship)` mounts a copy under the package's name."""
    root = Collection()
    root.add_collection(tinyship)  # type: ignore[arg-type]  # Invoke takes modules, its annotation does not say so
    assert {f"tinyship.{name}" for name in NAMES} == set(root.task_names)


def test_two_mounts_are_two() -> None:
    """Invoke runs equal tasks once; those of two mounts are not equal, nor are a module's copies."""
    one, two = tinyship.collection("one"), tinyship.collection("two")
    assert one["release"] != two["release"]
    assert len({one["release"], two["release"]}) == 2
    copies = [Collection.from_module(tinyship, name=name) for name in ("one", "two")]
    assert copies[0]["release"] != copies[1]["release"]
    assert isinstance(copies[0]["release"], MountedTask)


def test_listing_of_a_root_mount(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three lines of tasks.py list every task with its first line."""
    text = listing(project(tmp_path, ROOT), capsys)
    for name in NAMES:
        assert name in text
    assert "release.make (release)" in text


def test_listing_as_json_has_help_for_collections(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Collections that are no modules have their texts too."""
    data = json.loads(listing(project(tmp_path, TWO), capsys, "--list-format", "json"))
    assert [part["name"] for part in data["collections"]] == ["api", "web"]
    for part in data["collections"]:
        assert part["help"]
        assert all(child["help"] for child in part["collections"])
