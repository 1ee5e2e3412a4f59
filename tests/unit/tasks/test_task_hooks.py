"""Hooks that name tasks, and stages of a project's own, through Invoke's own program; no engine is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from invoke.context import Context

import tinyship
from tinyship.tasks import hooks

if TYPE_CHECKING:
    from tests.conftest import Repository

HEAD = '"""Ship it."""\nimport sys\nimport tinyship\nfrom invoke import Collection, Exit, task\n'
MINE = """
@task
def first(context):
    print("first")

@task(pre=[first])
def notify(context, stage, record=None, plan=None):
    print("notified of", stage, (record or plan)["task" if plan else "images"])
    print("warned", file=sys.stderr)
    context.run("echo from a shell")
    sys.stdout.write("no end")

@task
def ends(context): raise Exit("enough", code=7)

@task
def shell(context): context.run("exit 5", hide=True)

@task
def breaks(context): raise KeyError("x")

@task
def leaves(context): raise Exit(code=0)

def mine(scope):
    from tinyship.stages.scope import Made
    print("mine builds", scope.settings.image)
    return Made("build", "lacion/foo:build", "", "built", 0.0)

@task
def outer(context): ship["base"](context)

ship = tinyship.collection("ship", stages={"base": lambda scope: (), "build": mine})
ns = Collection(
    outer, first, notify, ends, shell, breaks, leaves,
    ship,
)
"""
Run = Callable[..., tuple[str, str, int]]


@pytest.fixture
def inv(repository: Repository) -> Run:
    """Invoke in a project with these hooks: what it wrote to standard output and error, and its exit code."""
    root = repository.root
    (root / ".gitignore").write_text("__pycache__\n.tinyship\n")
    (root / "tasks.py").write_text(HEAD + MINE)

    def run(entries: list[dict[str, str]], *words: str) -> tuple[str, str, int]:
        config = {"image": "lacion/foo", "version": {"literal": "1.0"}, "hooks": entries}
        (root / "invoke.json").write_text(json.dumps({"tinyship": config}))
        command = [sys.executable, "-m", "invoke", *words]
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60, check=False
        )
        return done.stdout, done.stderr, done.returncode

    return run


def test_task_before_and_after(inv: Run) -> None:
    """It gets what it has parameters for; what it writes, and its tasks before it, is progress and no result."""
    entries = [{when: "build", "task": "notify"} for when in ("before", "after")]
    out, err, code = inv(entries, "ship.build", "--json")
    result = out.splitlines()[-1]
    assert (json.loads(result)["images"][0]["made_from"], code) == ("", 0)
    assert "mine builds lacion/foo" in out
    said = [line.partition(" | ")[2] for line in err.splitlines() if line.startswith("before build | ")]
    assert said == ["first", "notified of build build", "warned", "from a shell", "no end"]
    assert "after build | notified of build [{'stage': 'build', 'image': 'lacion/foo:build'" in err
    assert "hook lacion/foo: after build passed" in err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ends", "`ends` enough"),
        ("shell", "`shell` ended with exit code 5 of `exit 5`"),
        ("breaks", "`breaks` ended with KeyError: 'x'"),
    ],
)
def test_task_that_fails(inv: Run, name: str, said: str) -> None:
    """The stage fails, and is not begun."""
    out, err, code = inv([{"before": "build", "task": name}], "ship.build")
    assert f"error: build lacion/foo: the hook before build failed: {said}" in err
    assert "mine builds" not in out
    assert code == 1


def test_task_that_ends_well(inv: Run) -> None:
    """An exit with 0 is none that failed."""
    out, _, code = inv([{"before": "build", "task": "leaves"}], "ship.build")
    assert ("mine builds" in out, code) == (True, 0)


def test_task_with_hooks_of_its_own(inv: Run) -> None:
    """A task that a hook runs may be one of ours, with hooks that are tasks as well."""
    out, err, code = inv([{"before": "build", "task": "outer"}, {"before": "base", "task": "first"}], "ship.build")
    assert ("mine builds" in out, code) == (True, 0)
    assert [line for line in err.splitlines() if "first" in line] == [
        "hook lacion/foo: before base: first",
        "before base | first",
        "before build | hook lacion/foo: before base: first",
        "before build | first",
    ]


def test_task_that_leads_to_itself(inv: Run) -> None:
    """It is an error rather than a run without end."""
    _, err, code = inv([{"before": "base", "task": "outer"}], "ship.build")
    assert "a hook of base leads to base again: `outer` would run without end" in err
    assert code == 1


def test_no_such_task(inv: Run) -> None:
    """Told before anything is done, with the nearest one."""
    out, err, code = inv([{"after": "build", "task": "notifi"}], "ship.build")
    assert err == "error: invoke.json: `tinyship.hooks[0].task`: no task is named `notifi`; the nearest is `notify`\n"
    assert (out, code) == ("", 2)


def test_dry(inv: Run) -> None:
    """Hooks and own stages are shown, and nothing is run."""
    out, err, code = inv(
        [{"before": "build", "task": "notify"}, {"after": "build", "run": "x y"}], "--dry", "ship.build"
    )
    assert [line.split() for line in out.splitlines() if "build" in line][1:] == [
        ["run", "notify", "before", "build,", "a", "task"],
        ["call", "tasks.mine", "in", "place", "of", "build"],
        ["run", "x", "y", "after", "build"],
    ]
    assert (err, code) == ("", 0)


def test_called_by_no_program() -> None:
    """A task of ours that a script calls has no program whose tasks it could run."""
    assert hooks.around(Context()) is None


def test_stage_that_there_is_not() -> None:
    """A mount with a function for another name is an error, and says which there are."""
    with pytest.raises(ValueError, match=r"`bild` is no stage; there are base, build, release, push"):
        tinyship.collection(stages={"bild": print})
