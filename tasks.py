"""This project's own tasks; `./dev TASK` runs them on a fresh machine."""

from __future__ import annotations

import sys
from pathlib import Path

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

_PYTHON = sys.executable


@task
def lint(c: Context) -> None:
    """Check style and format with ruff."""
    c.run(f"{_PYTHON} -m ruff check .", echo=True)
    c.run(f"{_PYTHON} -m ruff format --check .", echo=True)


@task
def types(c: Context) -> None:
    """Check types with mypy in strict mode."""
    c.run(f"{_PYTHON} -m mypy", echo=True)


@task(
    name="test",
    help={
        "fast": "Leave out the tests that need an engine.",
        "thorough": "Only the tests that take a while, of what the others show in a smaller way.",
        "k": "Only the tests whose names match this expression of pytest's, without ruff and mypy.",
    },
)
def run_tests(c: Context, fast: bool = False, thorough: bool = False, k: str = "") -> None:
    """Check style and types, and run the tests."""
    from tools.matrix import AGAIN, TOGETHER

    marks = "not slow and thorough" if thorough else "not slow and not thorough"
    if fast:
        marks += " and not engine"
    if k:
        marks = "not slow and not engine" if fast else "not slow"
        c.run(f'{_PYTHON} -m pytest -q -m "{marks}" -k "{k}"', echo=True)
        return
    if not thorough:
        lint(c)
        types(c)
        c.run(f'{_PYTHON} -m pytest -q -m "{marks}" -n auto tests/unit', echo=True)
    c.run(f'{_PYTHON} -m pytest -q -m "{marks}" {" ".join([*TOGETHER, *AGAIN])} tests/integration', echo=True)


_FOLDERS = ("tests/unit", "tests/integration")
"""Each in a run of its own: files of the one have the names of files of the other, which pytest takes for the same."""


@task
def stress(c: Context) -> None:
    """Run the tests that take long."""
    done = [c.run(f"{_PYTHON} -m pytest -q -m slow {folder}", echo=True, warn=True) for folder in _FOLDERS]
    if any(ran is None or ran.failed for ran in done):
        raise Exit("some of them failed", 1)


_BENCHMARKS = (
    "startup",
    "api",
    "context_memory",
    "noop_release",
    "buildkit",
    "uptodate",
    "many",
    "clean",
    "sizes",
    "push",
    "pull",
)


@task(
    help={
        "only": f"One of {', '.join(_BENCHMARKS)}; all of them where nothing is said.",
        "words": "Arguments of its script, like `--rows unchanged`.",
    }
)
def bench(c: Context, only: str = "", words: str = "") -> None:
    """Run the benchmarks, each beside its peer."""
    for name in (only,) if only else _BENCHMARKS:
        c.run(f"{_PYTHON} benchmarks/{name}.py {words}", warn=True)


@task
def protos(c: Context) -> None:
    """Generate the messages of BuildKit's API from their .proto files."""
    folder = "src/tinyship/engine/buildkit/proto"
    c.run(f"{_PYTHON} -m grpc_tools.protoc -I{folder} --python_out={folder} --pyi_out={folder} {folder}/*.proto")


@task
def schema(c: Context) -> None:
    """Generate the JSON Schema of the settings, and the tables of docs/settings.md, from their types."""
    c.run(f"{_PYTHON} -m tools.settings")


@task
def docs(c: Context) -> None:
    """Make the documentation site in docs/_build; whatever Sphinx warns of is an error."""
    c.run(f"{_PYTHON} -m sphinx -q -W --keep-going -b html docs docs/_build")
    print(Path("docs/_build/index.html").resolve().as_uri())


@task
def release(c: Context) -> None:
    """Show the main job: release and push examples/foo."""
    _same_terminal("tools.demo")


@task
def picture(c: Context) -> None:
    """Make docs/release.svg afresh from a real run."""
    _same_terminal("tools.picture")


@task
def up(c: Context) -> None:
    """Start a private engine and registry where there are none."""
    _same_terminal("tools.provide", "up")


@task
def down(c: Context) -> None:
    """Stop what was started here; images stay in .engine/."""
    _same_terminal("tools.provide", "down")


@task
def status(c: Context) -> None:
    """Show what was started here."""
    _same_terminal("tools.provide", "status")


@task(
    name="test",
    help={
        "on": "Kinds of engine, like 20.10,26-containerd,podman:smoke; all of them where it is left out.",
        "smoke": "Only the smoke set; for a single kind, write :smoke behind its name.",
        "k": "Only the tests whose names match this expression of pytest's.",
    },
)
def run_on_engines(c: Context, on: str = "all", smoke: bool = False, k: str = "") -> None:
    """Run the integration tests on engines of several kinds, which are fetched and started here."""
    _same_terminal("tools.matrix", "test", "--on", on, *(["--smoke"] if smoke else []), "-k", k)


@task(name="up", help={"name": "Its kind, as `engines.list` names it."})
def engine_up(c: Context, name: str) -> None:
    """Start an engine of a kind; prints the environment for a shell."""
    _same_terminal("tools.matrix", "up", name)


@task(name="down")
def engines_down(c: Context) -> None:
    """Stop the engines of all kinds; images stay in .engine/."""
    _same_terminal("tools.matrix", "down")


@task(name="list")
def engines_list(c: Context) -> None:
    """Show the kinds of engine: where each is from, and whether it runs."""
    _same_terminal("tools.matrix", "list")


def _same_terminal(module: str, *words: str) -> None:
    """Run one of our modules on this very terminal, which Invoke's own runner would stand in front of."""
    from tools.processes import on_this_terminal

    code = on_this_terminal([_PYTHON, "-m", module, *words])
    if code:
        raise SystemExit(code)


ns = Collection(lint, types, run_tests, stress, bench, protos, schema, docs, release, picture)
ns.add_collection(Collection("engine", up=up, down=down, status=status))
ns.add_collection(Collection("engines", run_on_engines, engine_up, engines_down, engines_list))
