"""Every command of a page that needs no engine runs, in the order of the page, and writes what the page shows."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import scenes
import scenes_of_docs
from tests import pages, playing
from tests.pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Repository


IN_A_CLONE = ("docs/benchmarks.md",)
PLAYED = (
    "docs/how-to/compose.md",
    "docs/how-to/hooks.md",
    "docs/how-to/script.md",
    "docs/settings.md",
)


@pytest.mark.parametrize("page", PLAYED)
def test_page(page: str, repository: Repository, tmp_path: Path) -> None:
    """In a project that has a commit."""
    (repository.root / "Dockerfile").write_text("FROM scratch\n")
    (repository.root / "tasks.py").write_text('"""Ship it."""\nimport tinyship\nns = tinyship.collection()\n')
    (repository.root / "invoke.yaml").write_text("tinyship: {image: shop/web}\n")
    repository.commit()
    playing.Player(repository.root, tmp_path / "reader").play(ROOT / page)


@pytest.mark.parametrize("page", IN_A_CLONE)
def test_page_about_this_repository(page: str, tmp_path: Path) -> None:
    """In a clone of it, as far as such a page looks at it: with `./dev`, which runs nothing."""
    root = tmp_path / "tinyship"
    root.mkdir()
    playing.stand_in_for_dev(root)
    playing.stand_in_for_benchmarks(root)
    playing.Player(root, tmp_path / "reader").play(ROOT / page)


def test_each_command_is_played() -> None:
    """Each page with commands is played here or in `integration/scenes.py`, once."""
    played = [*PLAYED, *IN_A_CLONE, *scenes.SCENES, *scenes_of_docs.PLAYED_BY]
    for page, test in scenes_of_docs.PLAYED_BY.items():
        named = page.removeprefix("examples/").removesuffix("/README.md")
        assert named in (ROOT / "tests" / "integration" / test).read_text()
    with_commands = [
        page.relative_to(ROOT).as_posix()
        for page in pages.all_pages()
        if any(step.kind == "console" for step in pages.steps(page))
    ]
    assert sorted(played) == sorted(with_commands)


@pytest.mark.parametrize(
    ("words", "is_one"),
    [
        ("test", True),
        ("bench --only pull", True),
        ("bench --only nothing", False),
        ("sail", False),
        ("bench --wind", False),
    ],
)
def test_stand_in_for_dev(words: str, is_one: bool, tmp_path: Path) -> None:
    """It takes what `./dev` takes, and nothing else."""
    playing.stand_in_for_dev(tmp_path)
    done = subprocess.run(["./dev", *words.split()], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode == 0) == is_one


@pytest.mark.parametrize(
    ("shown", "wrote", "is_so"),
    [
        ("a\n", "a\n", True),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("a\n...\n", "a\n", True),
        ("a ... c\n", "a b c\n", True),
        ("a ...\n", "a b\nc\n", False),
        ("...\nc\n", "a\nb\nc\n", True),
        ("...\nb\n", "a\nb\nc\n", False),
        ("a   b\n", "a b  \n", True),
        ("a b\n", "ab\n", False),
        ("made 1.2 s\n", "made 1 min 05 s\n", True),
        ("made 1.2 s\n", "kept 1.2 s\n", False),
        ("at 1a2b3c4 of 2020-01-01\n", "at abcdef0 of 2026-11-30\n", True),
        ("a built 1.2 s\n", "a up to date 0.1 s\n", True),
        ("a up to date 1.2 s\n", "a built 0.1 s\n", False),
        ("at 0.0.0-g1a2b3c4\n", "at 0.0.0-gabcdef0\n", True),
        ("5.96 MB\n", "6.1 MB\n", True),
        ("980 kB\n", "1.02 MB\n", True),
        ("5.96 MB\n", "7.1 MB\n", False),
        ("98 % below\n", "97 % below\n", True),
        ("98 % below\n", "50 % below\n", False),
    ],
)
def test_what_a_page_shows(shown: str, wrote: str, is_so: bool) -> None:
    """Dots stand for anything, and sizes may be a tenth off; all else has to be there, and nothing more."""
    assert pages.agrees(shown, wrote) == is_so


def test_a_page_in_one_shell(tmp_path: Path) -> None:
    """Folders, variables and exit codes last from one command to the next; names are those of this machine."""
    page = tmp_path / "page.md"
    page.write_text(
        "In `note.txt`:\n```text\nshop/a\n```\n```console\n$ mkdir -p b && cd b\n$ export WORD=shop/b\n```\n"
        "And to `../note.txt`:\n```text\nmore\n```\n```console\n$ cat ../note.txt \\\n    - <<END\n> $WORD\n> END\n"
        "shop/a\nmore\nshop/b\n$ false\nerror...\n```\n"
    )
    player = playing.Player(tmp_path, tmp_path / "reader", {"shop/": "bcdf/"})
    with pytest.raises(AssertionError, match=r"\$ false"):
        player.play(page)
    assert (tmp_path / "note.txt").read_text() == "bcdf/a\nmore\n"
    assert player.type("echo $WORD $(basename $PWD)") == "shop/b b"
    player.type("(echo error; exit 3)", "error\n")
    assert player.type("echo $?") == "3"


@pytest.mark.parametrize(
    "block",
    [
        "```sh\nls\n```\n",
        "```\nls\n```\n",
        "- a list\n  ```console\n  $ ls\n  ```\n",
        "```python\nprint()\n```\n",
        "```console\nls\n```\n",
        "```console title\n$ ls\n```\n",
    ],
)
def test_a_block_that_nothing_would_run(block: str, tmp_path: Path) -> None:
    """A page cannot have one."""
    page = tmp_path / "page.md"
    page.write_text(block)
    with pytest.raises(AssertionError):
        [step.commands() for step in pages.steps(page) if step.kind == "console"]


def test_benchmarks_of_the_page() -> None:
    """Each command of the page runs a script that there is, with flags that it takes."""
    found = [step for step in pages.steps(ROOT / "docs/benchmarks.md") if step.kind == "console"]
    commands = [command for step in found for command, _ in step.commands()]
    assert commands
    assert [wrong for command in commands if (wrong := playing.no_benchmark(command))] == []


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("./dev bench    # all of them", ""),
        ("./dev bench --only nothing", "there is no benchmarks/nothing.py"),
        ('./dev bench --only buildkit --words "--rows unchanged"', ""),
        ('./dev bench --only buildkit --words "--wind"', "buildkit takes no --wind"),
        ("python benchmarks/many.py --fifty", ""),
        ("python benchmarks/many.py --sixty", "many takes no --sixty"),
        ("python benchmarks/nothing.py", "there is no benchmarks/nothing.py"),
        ("git status", ""),
    ],
)
def test_commands_that_run_no_benchmark(command: str, wrong: str) -> None:
    """A script that there is not, or a flag that it does not take, is named."""
    assert playing.no_benchmark(command) == wrong


def test_each_benchmark_has_a_stand_in(tmp_path: Path) -> None:
    """The page's scene has a file for each script."""
    playing.stand_in_for_benchmarks(tmp_path)
    names = {script.name for script in (ROOT / "benchmarks").glob("*.py")}
    assert "startup.py" in names
    assert {script.name for script in (tmp_path / "benchmarks").iterdir()} == names
