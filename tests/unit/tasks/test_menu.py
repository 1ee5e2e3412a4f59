"""The menu says what the modules of the tasks have; a command line loads those of the tasks that it names."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from invoke.collection import Collection
from invoke.program import Program

import tinyship
from tinyship import tasks
from tinyship.tasks import menu, mount
from tinyship.tasks.spec import Spec

ENTRIES = [entry for _, entries in menu.PARTS.values() for entry in entries] + list(menu.OF_PROGRAM)
PROJECT = "import tinyship\nfrom invoke import Collection\nns = Collection(ship=tinyship.collection())\n"


def specs(module: str) -> list[Spec]:
    """The tasks of a module, in their order."""
    found = vars(import_module(f"tinyship.tasks.{module}")).values()
    return [one for one in found if isinstance(one, Spec) and one.body.__module__ == f"tinyship.tasks.{module}"]


def test_the_menu_is_what_the_modules_have() -> None:
    """Each task of each module is there once, under its name, with the first line of its help."""
    modules = sorted(module.name for module in iter_modules(tasks.__path__))
    there = [
        (module, one.name, (one.body.__doc__ or "").partition("\n")[0]) for module in modules for one in specs(module)
    ]
    assert sorted(ENTRIES) == sorted(there)
    assert [line for _, _, line in ENTRIES if "invoke " in line] == []  # a listing would have to see what one types


def test_what_a_collection_is_about() -> None:
    """A listing says of a collection what the module of its first task says of itself."""
    for about, entries in menu.PARTS.values():
        module = import_module(f"tinyship.tasks.{entries[0][0]}")
        assert about == (module.__doc__ or "").partition("\n")[0]


def loaded(folder: Path, *words: str) -> set[str]:
    """The modules of tasks that a command line loads; it must not fail."""
    (folder / "tasks.py").write_text(PROJECT)
    code = "import sys; from invoke.main import program; program.run(exit=False); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    said = done.stderr.splitlines()
    assert len(said) == 1, done.stderr
    modules = {entry[0] for entry in ENTRIES}
    return modules & {name.removeprefix("tinyship.tasks.") for name in said[0].split()}


@pytest.mark.parametrize(
    ("words", "modules"),
    [
        (["--list"], set()),
        (["--list", "--list-format=json"], set()),
        (["--list=ship.size"], set()),
        (["--help", "ship.size.history"], {"size"}),
        (["ship.size", "--help"], {"size"}),
        (["ship.base.outdated", "--help"], {"pins"}),
        (["--complete", "--", "invoke ship.config.schema --"], {"config"}),
        (["--complete", "--", "invoke ship.rel"], set()),
    ],
)
def test_what_a_command_line_loads(words: list[str], modules: set[str], tmp_path: Path) -> None:
    """A listing loads no module of a task; help and completion load that of the task that is meant."""
    assert loaded(tmp_path, *words) == modules


def names(root: Collection, command: str) -> list[str]:
    """The tasks that a program reads from a command line."""
    program = Program(namespace=root, binary="inv")
    program.create_config()
    program.parse_core(f"inv {command}".split())
    program.parse_collection()
    program.parse_tasks()
    return [str(context.name) for context in program.tasks]


def renamed() -> Collection:
    """A host that has our parts under names of its own, and one of them as a collection's default."""
    ours = tinyship.collection()
    root = Collection()
    root.add_collection(ours.collections["release"], name="ship")
    inner = Collection("inner")
    inner.add_collection(ours.collections["size"], name="weigh")
    inner.add_task(ours["base.list"], name="bases")
    inner.default = "weigh.table"
    root.add_collection(inner)
    return root


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ship", ["ship.make"]),
        ("ship.make --push", ["ship.make"]),
        ("ship --version 2.0 ship.check", ["ship.make", "ship.check"]),
        ("inner.weigh", ["inner.weigh.table"]),
        ("inner", ["inner.weigh.table"]),
        ("inner.weigh.diff one two", ["inner.weigh.diff"]),
        ("inner.bases ship.run", ["inner.bases", "ship.run"]),
    ],
)
def test_names_of_a_host(command: str, expected: list[str]) -> None:
    """Whatever a host calls our collections, its command lines are read."""
    assert names(renamed(), command) == expected


def test_a_part_keeps_what_a_host_adds() -> None:
    """A host's own task in one of our collections is listed, copied and read."""
    from invoke.tasks import Task

    ours = tinyship.collection()
    extra: Task[Any] = Task(lambda c: None, name="extra", aliases=("more",))
    ours.collections["size"].add_task(extra)
    inner = Collection("inner")
    inner.add_task(Task(lambda c: None, name="deep"))
    ours.collections["size"].add_collection(inner)
    module = type(sys)("host")
    module.ns = ours  # type: ignore[attr-defined]
    root = Collection.from_module(module)
    assert root["size.more"] is root["size.extra"]
    assert {"size.extra", "size.inner.deep", "size.table"} <= set(root.task_names)
    assert names(root, "size.more size.inner.deep") == ["size.extra", "size.inner.deep"]


def test_a_task_tells_all_when_it_is_asked() -> None:
    """What Invoke and others read of a task is there, though its module comes late."""
    task = mount.collection()["size.diff"]
    assert "spec" not in vars(task)
    assert task.name == task.__name__ == "diff"
    assert "spec" not in vars(task)
    assert (task.__doc__ or "").startswith("Show what differs between two images.\n")
    assert task.positional == ("before", "after")
    assert task.help["top"]
    assert callable(task.body)
    with pytest.raises(AttributeError, match="nothing"):
        task.nothing  # noqa: B018
