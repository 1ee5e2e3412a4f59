"""What the documents say is what the code does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_origin

import msgspec
import pytest

import tinyship
from tinyship.settings import invoke_config
from tinyship.settings.load import load
from tinyship.settings.schema import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()
MAKE = (ROOT / "docs" / "from-make.md").read_text()


def test_readme_lists_every_task() -> None:
    """The table has each task, by the name that one types, and no other."""
    table = re.findall(r"^\| (`.*?) \|", README, re.M)
    named = {name for row in table for name in re.findall(r"`([^`]+)`", row)}
    ours = tinyship.collection()
    typed = {name.rpartition(".")[0] if ours[name].is_default and "." in name else name for name in ours.task_names}
    assert named == typed


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_pages_name_tasks_and_flags_that_there_are(page: Path) -> None:
    """Each `invoke TASK --flag` of a page is one."""
    ours = tinyship.collection()
    for words in re.findall(r"(?:`|\$ )invoke ((?:[a-z]+(?:\.[a-z]+)*)(?: [^`|#\n]*)?)", page.read_text()):
        name, *rest = words.split()
        assert name in ours.task_names or name in ours.collections, words
        known = {flag for argument in ours[name].get_arguments() for flag in argument.names}
        for flag in (word.removeprefix("--").partition("=")[0] for word in rest if word.startswith("--")):
            assert flag.replace("-", "_") in known or flag in known, f"{name} has no --{flag}"


@pytest.mark.parametrize("text", [README, MAKE], ids=["README", "from-make"])
def test_config_blocks_are_valid(text: str, tmp_path: Path) -> None:
    """Every block of YAML in the documents is a config that loads."""
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.S)
    assert blocks
    for block in blocks:
        (tmp_path / "invoke.yaml").write_text(block)
        (loaded,) = load(invoke_config.of_project(tmp_path), environ={})
        assert loaded.settings.image == "lacion/foo"


def test_settings_page_names_every_key() -> None:
    """The page has a row for each key of the schema, by its dotted name, and for no other."""
    rows = re.findall(r"^\| (`.*?) \|", SETTINGS, re.M)
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(named) == sorted({"images", *leaves(Settings, "")})


def leaves(section: type[msgspec.Struct], prefix: str) -> Iterator[str]:
    """The dotted names of all keys of a section; `[]` stands behind the name of a list of sections."""
    for entry in msgspec.structs.fields(section):
        kinds = [kind for kind in (entry.type, *get_args(entry.type)) if isinstance(kind, type)]
        inner = next((kind for kind in kinds if issubclass(kind, msgspec.Struct)), None)
        is_list = get_origin(entry.type) is tuple
        if inner:
            yield from leaves(inner, f"{prefix}{entry.name}{'[]' if is_list else ''}.")
        else:
            yield f"{prefix}{entry.name}"


@pytest.mark.parametrize("text", [README, MAKE], ids=["README", "from-make"])
def test_links_lead_somewhere(text: str) -> None:
    """Links to files of the repository are links to files that are there."""
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / link).exists() or (ROOT / "docs" / link).exists(), link


def test_tasks_py_of_the_readme_works(tmp_path: Path) -> None:
    """The three lines of README are a tasks.py."""
    block = re.search(r"```python\n(\"\"\"Ship foo.*?)```", README, re.S)
    assert block
    assert len(block[1].splitlines()) == 3
    (tmp_path / "tasks.py").write_text(block[1])
    words = [sys.executable, "-m", "invoke", "--list", "--list-format", "json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {part["name"] for part in json.loads(done.stdout)["collections"]} >= {"base", "build", "release", "push"}


@pytest.mark.parametrize("name", re.findall(r"`invoke ([a-z.]+)", README + MAKE))
def test_named_tasks_exist(name: str) -> None:
    """A task that a document names can be run."""
    assert tinyship.collection()[name]


def test_tasks_of_this_project_are_listed() -> None:
    """CONTRIBUTING names the tasks of `./dev`, and only such."""
    words = [sys.executable, "-m", "invoke", "--list", "--list-format", "json"]
    listed = json.loads(subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    ours = {task["name"] for task in listed["tasks"]}
    ours |= {f"{part['name']}.{task['name']}" for part in listed["collections"] for task in part["tasks"]}
    named = set(re.findall(r"`\./dev ([a-z.]+)", (ROOT / "CONTRIBUTING.md").read_text()))
    assert named
    assert named <= ours


def test_version_is_one() -> None:
    """The package, its metadata and the changelog agree."""
    assert f'version = "{tinyship.__version__}"' in (ROOT / "pyproject.toml").read_text()
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()


def test_package_is_typed() -> None:
    """The marker for type checkers is there."""
    assert (Path(tinyship.__file__).parent / "py.typed").exists()


def test_each_fault_is_a_test() -> None:
    """Each row of the fault table of the page on releases names tests, and these are there."""
    page = (ROOT / "docs" / "releases.md").read_text()
    rows = re.findall(r"^\| (?!fault )(.+?) \|.*\| ([^|]+) \|$", page.partition("## When something fails")[2], re.M)
    there = {
        name
        for file in (ROOT / "tests" / "integration").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }
    assert len(rows) >= 25
    for fault, tests in rows:
        if fault.startswith("---"):
            continue
        named = re.findall(r"`(test_\w+)`", tests)
        assert named, fault
        assert set(named) <= there, f"{fault}: {sorted(set(named) - there)}"
