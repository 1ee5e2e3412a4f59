"""Every way in which a project can mount the tasks: what Invoke lists, completes and runs is right in each."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from invoke.collection import Collection
from invoke.config import Config
from invoke.context import Context, MockContext
from invoke.exceptions import Exit
from invoke.executor import Executor
from invoke.program import Program

import tinyship

if TYPE_CHECKING:
    from tests.conftest import Repository

YAML = """\
tinyship:
  network: none
  push: {to: [localhost:5000]}
  images: [{name: api, image: lacion/api}, {name: web, image: lacion/web}]
"""
TWO = "ns = Collection(*(tinyship.collection(name, image=name) for name in ('api', 'web')))\n"
WAYS = {
    "root": ("", "ns = tinyship.collection()\n"),
    "below": ("ship.", "ns = Collection(tinyship.collection('ship'))\n"),
    "renamed": ("boat.", "ns = Collection()\nns.add_collection(tinyship.collection(), 'boat')\n"),
    "module": ("tinyship.", "ns = Collection(tinyship)\n"),
    "module-renamed": ("boat.", "ns = Collection()\nns.add_collection(tinyship, 'boat')\n"),
    "module-named": ("boat.", "ns = Collection(Collection.from_module(tinyship, name='boat'))\n"),
    "for-an-image": ("api.", TWO),
    "deep": ("all.ship.", "ns = Collection(Collection('all', tinyship.collection('ship')))\n"),
    "dashed": ("my-ship.", "ns = Collection(tinyship.collection('my_ship'))\n"),
}
HEAD = '"""Ship it."""\nimport tinyship\nfrom invoke import Collection, call, task\n'
Run = Callable[..., tuple[str, str, int]]


@pytest.fixture
def project(repository: Repository) -> Path:
    """A project with two images, at version 1.0.0, whose tasks.py is yet to be written."""
    (repository.root / "invoke.yaml").write_text(YAML)
    (repository.root / "Dockerfile").write_text("FROM scratch\n")
    (repository.root / ".gitignore").write_text("__pycache__\n.tinyship\ntasks*\n")
    repository.commit()
    repository.git("tag", "v1.0.0")
    return repository.root


@pytest.fixture
def inv(project: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Invoke in the project, with a tasks.py: what it wrote to standard output and error, and its exit code."""

    def run(tasks: str, *words: str) -> tuple[str, str, int]:
        (project / "tasks.py").write_text(HEAD + tasks)
        code = 0
        try:
            Program(binary_names=["inv"]).run(["inv", "--search-root", str(project), *words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        return *capsys.readouterr(), code

    return run


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> tuple[str, str]:
    """One way of mounting: what stands before the names of tasks, and the lines of tasks.py."""
    return WAYS[request.param]


def data(out: str) -> list[dict[str, Any]]:
    """The lines of JSON in what was written."""
    return [json.loads(line) for line in out.splitlines()]


def test_flat_listing(way: tuple[str, str], inv: Run) -> None:
    """Each task by its whole name and its short one, with its first line."""
    prefix, tasks = way
    out, _, code = inv(tasks, "--list")
    line = next(line for line in out.splitlines() if f" {prefix}release.make " in line)
    assert f"{prefix}release.make ({prefix}release)" in line
    assert "Make the release image" in " ".join(out.split())
    assert code == 0


def test_nested_listing(way: tuple[str, str], inv: Run) -> None:
    """Collections have a line of their own, with its text; defaults have a star."""
    prefix, tasks = way
    lines = [line.strip() for line in inv(tasks, "--list", "--list-format", "nested")[0].splitlines()]
    assert any(line.startswith((".release ", "release ")) and "The tiny image that ships" in line for line in lines)
    assert any(line.startswith(".make*") for line in lines)
    if prefix:
        mount = prefix.rstrip(".").rpartition(".")[2]
        assert any(line.lstrip(".").startswith(f"{mount} ") and " tiny " in line for line in lines)


def test_json_listing(way: tuple[str, str], inv: Run) -> None:
    """Every collection below the mount has a name, a text and its default."""
    prefix, tasks = way
    (listed,) = data(inv(tasks, "--list", "--list-format", "json")[0])
    for _ in prefix.split(".")[:-1]:
        listed = listed["collections"][0]
    (release,) = (part for part in listed["collections"] if part["name"] == "release")
    assert (release["help"], release["default"]) == (
        "The tiny image that ships: make it, run it, see that it works.",
        "make",
    )


def test_listing_of_a_part(way: tuple[str, str], inv: Run) -> None:
    """`--list` takes the name of a collection."""
    prefix, tasks = way
    out, _, code = inv(tasks, "--list", f"{prefix}clean")
    assert ".leftovers" in out
    assert "promote" not in out
    assert code == 0


@pytest.mark.parametrize("name", ["release", "release.make"])
def test_help(way: tuple[str, str], inv: Run, name: str) -> None:
    """`--help` has the whole text, by both names; asked for twice, its flags keep theirs."""
    prefix, tasks = way
    for _ in range(2):
        out, _, code = inv(tasks, "--help", f"{prefix}{name}")
        assert f"{prefix}{name} [--options]" in out
        assert "--allow-dirty" in out
        assert "With --push: push even from a tree" in " ".join(out.split())
        assert code == 0


def test_dry(way: tuple[str, str], inv: Run) -> None:
    """`--dry` plans each image of the mount, before the task's name and after it."""
    prefix, tasks = way
    wanted = ["lacion/api"] if prefix == "api." else ["lacion/api", "lacion/web"]
    for words in (("--dry", f"{prefix}release", "--json"), (f"{prefix}release", "--json", "--dry")):
        out, err, code = inv(tasks, *words)
        assert (err, code) == ("", 0)
        (planned,) = data(out)
        assert [plan["image"] for plan in planned["plans"]] == wanted


def test_echo_says_nothing_on_standard_output(way: tuple[str, str], inv: Run) -> None:
    """With `--echo` as without, a result is one line of JSON."""
    prefix, tasks = way
    out, err, code = inv(tasks, "--echo", f"{prefix}config", "--json")
    assert (len(data(out)), err, code) == (1, "", 0)


def test_completion(way: tuple[str, str], inv: Run) -> None:
    """A tab completes tasks by all their names, and the flags of the task that stands before it."""
    prefix, tasks = way
    out, _, _ = inv(tasks, "--complete", "--", f"inv {prefix}")
    assert {f"{prefix}release", f"{prefix}release.make", f"{prefix}config"} <= set(out.split())
    out, _, _ = inv(tasks, "--complete", "--", f"inv {prefix}release --")
    assert {"--push", "--allow-dirty", "--version", "--json"} <= set(out.split())


def test_variables(way: tuple[str, str], inv: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our variables win over the file; so do Invoke's, where they can."""
    prefix, tasks = way
    monkeypatch.setenv("TINYSHIP_PUSH_TAGS", "{version},edge")
    monkeypatch.setenv("INVOKE_TINYSHIP_NETWORK", "host")
    out, _, code = inv(tasks, f"{prefix}config", "--json")
    first = data(out)[0]["images"][0]
    assert first["push.tags"] == {"value": ["{version}", "edge"], "from": "TINYSHIP_PUSH_TAGS"}
    assert first["network"] == {"value": "host", "from": "INVOKE_... variables"}
    assert first["push.to"]["from"].endswith("invoke.yaml")
    assert code == 0


def test_exit_codes(way: tuple[str, str], inv: Run, project: Path) -> None:
    """Nothing released is 1, a wrong setting 2, and what Invoke itself rejects has its own."""
    prefix, tasks = way
    out, err, code = inv(tasks, f"{prefix}release.show")
    assert (out, code) == ("", 1)
    assert err.startswith("error: ")
    assert inv(tasks, f"{prefix}release", "--nonsense")[2] == 1
    (project / "invoke.yaml").write_text(YAML.replace("push", "pusch"))
    _, err, code = inv(tasks, f"{prefix}release", "--dry")
    assert (err.count("\n"), code) == (1, 2)


def test_hints_are_commands(way: tuple[str, str], inv: Run) -> None:
    """What one is told to type has this program's name, and the task's in this mount; as text and as data."""
    prefix, tasks = way
    assert f"\n  `inv {prefix}release` comes first.\n" in inv(tasks, f"{prefix}release.show")[1]
    (said,) = data(inv(tasks, f"{prefix}release.show", "--json")[0])
    assert said["error"]["hint"] == f"`inv {prefix}release` comes first."


def test_help_has_commands(way: tuple[str, str], inv: Run) -> None:
    """What a page of help tells one to type is there under that name; what a flag takes is no task."""
    prefix, tasks = way
    shown = inv(tasks, "--help", f"{prefix}release.plan")[0]
    assert f"`inv --dry {prefix}release {prefix}push` prints." in shown
    assert f"  Examples:\n    inv {prefix}release.plan\n    inv {prefix}release.plan --version 2.0.1\n" in shown
    assert "invoke" not in shown
    shown = inv(tasks, "--help", f"{prefix}size.history")[0]
    assert f"    inv {prefix}size.history --stage build --limit 5\n" in shown
    shown = inv(tasks, "--help", f"{prefix}build")[0]
    assert re.search(rf"^    inv {re.escape(prefix)}build --only-image +# no compile$", shown, re.M)


@pytest.mark.parametrize(("task", "why"), [("base", "makes no base images"), ("build", "has no build stage")])
def test_nothing_to_make_is_said(task: str, why: str, inv: Run) -> None:
    """A stage that the project does not have does nothing, and says so; its result is empty."""
    out, err, code = inv("ns = tinyship.collection()\n", task)
    assert (out, code) == ("", 0)
    assert err.startswith(f"note: this project {why}")
    assert data(inv("ns = tinyship.collection()\n", task, "--json")[0]) == [{"images": []}]


def test_what_others_say_stays(inv: Run, project: Path, repository: Repository) -> None:
    """The words of a commit are not ours, whatever they look like."""
    subject = "feat: say `invoke release` in the docs"
    (project / "docs").write_text("more")
    repository.git("add", "docs")
    repository.git("commit", "-qm", subject)
    prefix, tasks = WAYS["for-an-image"]
    (said,) = data(inv(tasks, f"{prefix}release.notes", "--from", "v1.0.0", "--json")[0])
    assert [change["subject"] for change in said["releases"][0]["changes"]["commits"]] == [subject]
    assert r"\`invoke release\`" in inv(tasks, f"{prefix}release.notes", "--from", "v1.0.0")[0]


def test_interrupt(way: tuple[str, str], inv: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C inside a task is 130."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    prefix, tasks = way
    monkeypatch.setattr("tinyship.settings.describe.rows", interrupted)
    assert inv(tasks, f"{prefix}config") == ("", "interrupted\n", 130)


def test_two_mounts_run_both(inv: Run) -> None:
    """`inv api.release web.release` is two releases; Invoke runs equal tasks once."""
    out, _, code = inv(TWO, "--dry", "api.release", "--json", "web.release", "--json")
    assert [plan["image"] for line in data(out) for plan in line["plans"]] == ["lacion/api", "lacion/web"]
    assert code == 0


def test_module_mounted_twice_is_two(inv: Run) -> None:
    """The module under two names, each with a config of its own."""
    tasks = (
        "ns = Collection()\n"
        "for name in ('one', 'two'):\n"
        "    mount = Collection.from_module(tinyship, name=name, config={'tinyship': {'ca': name}})\n"
        "    ns.add_collection(mount)\n"
    )
    out, _, _ = inv(tasks, "one.config", "--json", "two.config", "--json")
    assert [line["images"][0]["ca"]["value"] for line in data(out)] == ["one", "two"]


AROUND = (
    "ship = tinyship.collection('ship', image='web')\n"
    "@task\n"
    "def first(c): print('first')\n"
    "@task\n"
    "def last(c): print('last')\n"
)


def test_tasks_of_ours_before_and_after_others(inv: Run) -> None:
    """`pre` and `post` take our tasks, with arguments too, and their output stands where it belongs."""
    tasks = AROUND + (
        "@task(pre=[first, call(ship['config'], json=True)], post=[call(ship['config'], json=True, all=True), last])\n"
        "def mine(c): print('mine')\n"
        "ns = Collection(ship, mine)\n"
    )
    out, err, code = inv(tasks, "mine")
    first, before, mine, after, last = out.splitlines()
    assert (first, mine, last, err, code) == ("first", "mine", "last", "", 0)
    assert [image["image"]["value"] for image in json.loads(before)["images"]] == ["lacion/web"]
    assert len(after) > len(before)


def test_task_before_two_others_runs_once(inv: Run) -> None:
    """Invoke copies what it mounts; copies of one task are one."""
    tasks = AROUND + (
        "before = call(ship['config'], json=True)\n"
        "@task(pre=[before])\ndef one(c): print('one')\n"
        "@task(pre=[before])\ndef two(c): print('two')\n"
        "ns = Collection(ship, one, two)\n"
    )
    config, *rest = inv(tasks, "one", "two")[0].splitlines()
    assert json.loads(config)
    assert rest == ["one", "two"]


def test_failure_before_a_task_ends_all(inv: Run) -> None:
    """What comes after a task of ours that failed is not run."""
    tasks = AROUND + (
        "@task(pre=[ship['release.show']])\ndef deploy(c): print('deployed')\nns = Collection(ship, deploy)\n"
    )
    out, err, code = inv(tasks, "deploy")
    assert (out, code) == ("", 1)
    assert "release" in err


def test_plain_calls(inv: Run) -> None:
    """A task may call ours like functions, with arguments by name or by place, and catch what they raise."""
    tasks = AROUND + (
        "from invoke import Exit\n"
        "@task\n"
        "def mine(c):\n"
        "    ship['config'](c, json=True)\n"
        "    ship['config'](c, False, True)\n"
        "    try: ship['release.show'](c)\n"
        "    except Exit as error: print(error.code)\n"
        "ns = Collection(ship, mine)\n"
    )
    by_name, by_place, code = inv(tasks, "mine")[0].splitlines()
    assert by_name == by_place
    assert code == "1"


@pytest.mark.parametrize(("words", "flags"), [((1, 2, 3), {}), ((True,), {"all": False})])
def test_wrong_calls(words: tuple[object, ...], flags: dict[str, object]) -> None:
    """Calls that no function would take are TypeErrors, as they are of functions."""
    with pytest.raises(TypeError, match="show"):
        tinyship.collection()["config"](Context(), *words, **flags)


def test_call_is_dry_with_its_context(inv: Run) -> None:
    """A plain call from a task of a dry run changes nothing, and says what it would do."""
    tasks = AROUND + "@task\ndef mine(c): ship['release'](c, json=True)\nns = Collection(ship, mine)\n"
    (planned,) = data(inv(tasks, "--dry", "mine")[0])
    assert planned["plans"][0]["image"] == "lacion/web"


def test_config_of_a_mount_holds_everywhere(inv: Run, project: Path) -> None:
    """What a mount is configured with holds as a task before another one too, and beneath the config around it."""
    (project / "invoke.yaml").unlink()
    tasks = (
        "ship = tinyship.collection('ship')\n"
        "ship.configure({'tinyship': {'image': 'lacion/foo', 'network': 'none', 'push': {'to': ['localhost:1']}}})\n"
        "@task(pre=[call(ship['config'], json=True)])\ndef mine(c): pass\n"
        "ns = Collection(ship, mine)\n"
        "ns.configure({'tinyship': {'network': 'host'}})\n"
    )
    for words in (("mine",), ("ship.config", "--json")):
        (image,) = data(inv(tasks, *words)[0])[0]["images"]
        assert {key: entry["value"] for key, entry in image.items()} == {
            "image": "lacion/foo",
            "network": "host",
            "push.to": ["localhost:1"],
        }
        assert {entry["from"] for entry in image.values()} == {"tasks.py"}


def test_executor(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Invoke's own Executor runs the tasks from a script, with the config that the script loaded."""
    config = Config(project_location=project)
    config.load_project()
    ns = Collection(tinyship)
    Executor(ns, config).execute(("tinyship.config", {"json": True}))
    assert len(data(capsys.readouterr().out)[0]["images"]) == 2
    (project / "src").mkdir()
    monkeypatch.chdir(project / "src")
    Executor(ns, Config()).execute(("tinyship.config", {"json": True}))
    assert len(data(capsys.readouterr().out)[0]["images"]) == 2


def test_task_of_a_host_can_be_tested_without_an_engine(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under Invoke's MockContext nothing is run, and errors are those of the tasks."""
    monkeypatch.chdir(project)
    with pytest.raises(Exit, match="release"):
        tinyship.collection(image="api")["release.show"](MockContext())


@pytest.mark.parametrize("folder", [".", "src/deep"])
def test_program_of_its_own(
    project: Path, folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Program with our tasks as its namespace has the project's config, which Invoke itself would not read."""
    (project / folder).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(project / folder)
    program = Program(version="3.2.1", namespace=tinyship.collection(), name="Shipper", binary="shipper")
    program.run(["shipper", "--dry", "release", "--json"], exit=False)
    (planned,) = data(capsys.readouterr().out)
    assert [plan["image"] for plan in planned["plans"]] == ["lacion/api", "lacion/web"]
    assert all(plan["version"] == "1.0.0" for plan in planned["plans"])
    program.run(["shipper", "--version"], exit=False)
    program.run(["shipper", "--list"], exit=False)
    out = capsys.readouterr().out
    assert out.startswith("Shipper 3.2.1\nSubcommands:")
    assert "release.make (release)" in out


def test_program_with_files_of_its_own_name(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Config with another prefix has files of that name."""

    class ShipConfig(Config):
        prefix = "shipper"

    (project / "invoke.yaml").rename(project / "shipper.yaml")
    monkeypatch.chdir(project)
    monkeypatch.setenv("SHIPPER_RUN_DRY", "1")
    program = Program(namespace=tinyship.collection(), config_class=ShipConfig)
    program.run(["shipper", "config", "--json"], exit=False)
    (image, _) = data(capsys.readouterr().out)[0]["images"]
    assert image["push.to"] == {"value": ["localhost:5000"], "from": "shipper.yaml"}


def test_package_of_tasks(project: Path) -> None:
    """Our tasks in a module of a package, renamed by the package, from a folder below the project."""
    (project / "tasks").mkdir()
    (project / "tasks" / "__init__.py").write_text(
        "from invoke import Collection\nfrom . import docs, images\n"
        "ns = Collection(docs)\nns.add_collection(images)\nns.add_collection(images, 'ship')\n"
    )
    (project / "tasks" / "docs.py").write_text("from invoke import task\n@task\ndef make(c): print('docs')\n")
    (project / "tasks" / "images.py").write_text(
        '"""The images."""\nimport tinyship\nns = tinyship.collection(image="web")\n'
    )
    (project / "src").mkdir()

    def run(*words: str) -> str:
        words = (sys.executable, "-m", "invoke", *words)
        return subprocess.run(words, cwd=project / "src", capture_output=True, text=True, check=True).stdout

    config, docs = run("ship.config", "--json", "docs.make").splitlines()
    assert json.loads(config)["images"][0]["image"] == {"value": "lacion/web", "from": "invoke.yaml, images[web]"}
    assert docs == "docs"
    listed = run("--list")
    assert "images.release.make (images.release)" in listed
    assert "ship.release.make (ship.release)" in listed
