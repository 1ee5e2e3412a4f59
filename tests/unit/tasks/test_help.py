"""`invoke --help TASK` is worth reading: it fits on a terminal, and its examples are commands that there are."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator

import pytest
from invoke.config import Config
from invoke.parser import Parser
from invoke.program import Program

from tinyship.tasks import mount

TASKS = mount.program()
NAMES = sorted(TASKS.task_names)
_HEADING = "Examples:"


def paragraphs(name: str) -> list[str]:
    """The parts of a task's manual page."""
    return (inspect.getdoc(TASKS[name]) or "").split("\n\n")


def examples(name: str) -> Iterator[list[str]]:
    """The words of each command of a task's examples, the last part of its page."""
    heading, *lines = paragraphs(name)[-1].splitlines()
    assert heading == _HEADING
    assert lines
    for line in lines:
        assert re.match(r"  (invoke|tinyship) \S", line), line
        words = shlex.split(line, comments=True)
        yield words[1 : words.index(">")] if ">" in words else words[1:]


def contexts(words: list[str]) -> list[str | None]:
    """What Invoke makes of a command line: the names of the tasks that it runs."""
    program = Program(namespace=TASKS, binary="invoke")
    core = Parser(initial=program.initial_context, ignore_unknown=True).parse_argv(words)
    return [context.name for context in Parser(contexts=TASKS.to_contexts()).parse_argv(core.unparsed)]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    """Each task has examples; each parses with the flags that there are, and is about that task."""
    typed = {name, name.rpartition(".")[0] if TASKS[name].is_default else name}
    for words in examples(name):
        assert typed & set(contexts(words)), words


def test_an_example_that_is_wrong() -> None:
    """The test above would see it."""
    from invoke.exceptions import ParseError

    for words in (["release", "--no-such-flag"], ["no.such.task"], ["size.diff", "one"]):
        with pytest.raises(ParseError):
            contexts(words)


@pytest.mark.parametrize("name", NAMES)
def test_width(name: str) -> None:
    """What Invoke does not wrap fits into 80 columns, with two in front; a first line is a sentence."""
    first, *_ = paragraphs(name)
    assert first.endswith(".")
    assert "\n" not in first
    lines = (inspect.getdoc(TASKS[name]) or "").splitlines()
    assert [line for line in lines if len(line) > 78] == []
    assert [line for line in lines if line != line.rstrip()] == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("columns", ["80", "100"])
def test_shown(name: str, columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Invoke prints all of it, with a line for each flag, and nothing is wider than the terminal."""
    monkeypatch.setenv("COLUMNS", columns)
    Program(namespace=TASKS, binary="invoke", config_class=Config).run(["invoke", "--help", name], exit=False)
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert [line for line in lines[1:] if len(line) > int(columns)] == []
    assert f"  {_HEADING}" in lines
    for argument in TASKS[name].get_arguments():
        assert re.search(rf"^  --(\[no-\])?{re.escape(argument.names[0])}\b.*\s\S", shown, re.M), argument
        assert argument.help, argument
