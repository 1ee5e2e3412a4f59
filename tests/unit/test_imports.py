"""Start-up: what importing and mounting tinyship may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinyship

HOUSE = Path(tinyship.__file__).parent
FLOORS = (
    "__main__ testing",
    "cli",
    "tasks",
    "console init project",
    "selection",
    "several",
    "pipeline",
    "stages",
    "lineage plan",
    "cleaning",
    "kept registry labels",
    "tagging",
    "engine sizes",
    "context",
    "git dockerfiles",
    "settings",
    "credentials state",
    "events reference running units versions",
    "errors",
    "codes",
)
"""What stands in `src/tinyship`, from the top: each imports only from floors below its own."""

HEAVY = (
    "docker",
    "git",
    "rich",
    "msgspec",
    "h2",
    "google.protobuf",
    "requests",
    "humanize",
    "dxf",
    "urllib3",
    "semver",
    "packaging",
)
ALLOWED = {"tinyship", "tinyship.tasks", "tinyship.tasks.callers", "tinyship.tasks.menu", "tinyship.tasks.mount"}


def loaded(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`, beyond those of Invoke itself."""
    script = f"import sys, invoke.program; before = set(sys.modules); {code}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_sizes_need_nothing_of_the_rest() -> None:
    """`tinyship.sizes` is a library of its own: no Invoke, no engine, no registry, no git, no terminal."""
    script = (
        "import pkgutil, sys, tinyship.sizes as sizes\n"
        "for module in pkgutil.walk_packages(sizes.__path__, 'tinyship.sizes.'):\n"
        "    if not module.name.endswith('__main__'): __import__(module.name)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    ours = {name for name in done.stdout.split() if name.startswith("tinyship.")}
    assert "tinyship.sizes.account" in ours
    assert not loaded & {"invoke", "docker", "requests", "dxf", "git", "rich", "plotly"}
    assert not [name for name in ours if name.startswith(("tinyship.engine", "tinyship.registry", "tinyship.tasks"))]


def test_mounting_loads_only_the_adapters() -> None:
    """`invoke --list` pays for the menu, and for no module of a task."""
    ours = {name for name in loaded("import tinyship; tinyship.collection()") if name.startswith("tinyship")}
    assert ours == ALLOWED


@pytest.mark.parametrize("code", ["import tinyship; tinyship.collection()", "import tinyship; tinyship.ns"])
def test_mounting_loads_nothing_heavy(code: str) -> None:
    """No library that costs milliseconds comes with a mount."""
    assert not {name for name in loaded(code) if name.startswith(HEAVY)}


def test_importing_the_package_loads_nothing() -> None:
    """`import tinyship` is the package's own file and no more."""
    assert {name for name in loaded("import tinyship") if name.startswith("tinyship")} == {"tinyship"}


def test_what_users_test_with_comes_only_when_asked_for() -> None:
    """`tinyship.testing` is loaded by no other part, and loads pytest only with its fixtures."""
    everything = "import tinyship, tinyship.cli; tinyship.collection(); tinyship.Project; tinyship.Record"
    assert not {name for name in loaded(everything) if name.startswith(("tinyship.testing", "pytest", "_pytest"))}
    ours = {name for name in loaded("import tinyship.testing") if name.startswith(("tinyship", "pytest", "docker"))}
    assert ours == {"tinyship", "tinyship.testing"}


def imports(tree: ast.AST) -> Iterator[str]:
    """The names in `tinyship` that a module imports to run, wherever it does; not those that only types need."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and node.module == "tinyship":
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tinyship."):
            yield str(node.module).split(".")[1]
        yield from imports(node)


def test_every_room_has_a_floor() -> None:
    """A new module or package at the top gets its place among the others."""
    there = {entry.stem for entry in HOUSE.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").exists()}
    assert there - {"__init__"} == set(" ".join(FLOORS).split())


def test_imports_go_down() -> None:
    """No module imports from its own floor's neighbours or from a floor above."""
    floor = {name: number for number, names in enumerate(FLOORS) for name in names.split()}
    wrong = []
    for file in HOUSE.rglob("*.py"):
        room = file.relative_to(HOUSE).parts[0].removesuffix(".py")
        for name in imports(ast.parse(file.read_text())):
            if room != "__init__" and name in floor and name != room and floor[name] <= floor[room]:
                wrong.append(f"{file.relative_to(HOUSE)} imports {name}")
    assert not wrong


def test_public_names_exist() -> None:
    """Every name of `__all__` can be had, and a wrong one is an AttributeError."""
    for name in tinyship.__all__:
        assert getattr(tinyship, name) is not None
    with pytest.raises(AttributeError, match="Nothing"):
        tinyship.Nothing  # noqa: B018
