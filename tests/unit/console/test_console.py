"""The console: results on standard output, progress on standard error, no codes where nobody looks."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tinyship.console.console import Console
from tinyship.events import Log, Notice, StageEnded, StageStarted
from tinyship.plan import Action, Plan
from tinyship.sizes.table import Row

ROWS = [
    Row("build", "lacion/foo:build", 356_000_000, None, 100_000_000, 12, None),
    Row("release", "lacion/foo:1.0.0", 14_100_000, 5_000_000, None, 3, -300_000, note="mind the gap"),
]
PLAN = Plan(
    "release", "lacion/foo", "1.0.0", "c" * 40, False, (Action("build", "lacion/foo:build", "from ."),), ("so it is",)
)


class Terminal(io.StringIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Both:
    """A console and what it wrote."""

    def __init__(self, *, json: bool = False, terminal: bool = False) -> None:
        kind = Terminal if terminal else io.StringIO
        self._out, self._err = kind(), kind()
        self.console = Console(json=json, stdout=self._out, stderr=self._err)

    @property
    def out(self) -> str:
        return self._out.getvalue()

    @property
    def err(self) -> str:
        return self._err.getvalue()


def everything(console: Console) -> None:
    """One of each."""
    with console:
        console.event(StageStarted("build", "foo:build", "building"))
        console.event(Log("app", "\x1b[31mred"))
        console.event(StageEnded("build", "foo:build", "built", 1.0))
        console.event(Notice("mind this", "warning"))
        console.say("größe")
        console.table(("name", "value"), [("a", "1")], right=("value",))
        console.sizes(ROWS)
        console.plan(PLAN)
        console.result({"name": "größe"})


def test_progress_and_results_go_apart() -> None:
    """Events go to standard error, everything else to standard output, empty lines between them to the former."""
    both = Both()
    everything(both.console)
    assert both.err.splitlines() == [
        "build foo:build: building",
        "app | red",
        "build foo:build: built (1.0 s)",
        "warning: mind this",
        "",
        "",
    ]
    assert both.out.startswith("größe\n")
    assert "" not in both.out.splitlines()
    assert "{" not in both.out


def test_json_is_alone() -> None:
    """One line of ASCII on standard output, and nothing else there; progress as ever."""
    both = Both(json=True)
    everything(both.console)
    assert both.out.isascii()
    assert both.out.count("\n") == 1
    assert json.loads(both.out) == {"name": "größe"}
    assert "mind this" in both.err


def test_json_of_other_things(tmp_path: Path) -> None:
    """Data classes, times and paths have a form in JSON."""

    @dataclass
    class Thing:
        when: datetime
        where: Path

    both = Both(json=True)
    both.console.result([Thing(datetime(2017, 5, 1, tzinfo=UTC), tmp_path)])
    assert json.loads(both.out) == [{"when": "2017-05-01T00:00:00+00:00", "where": str(tmp_path)}]


@pytest.mark.parametrize("as_json", [False, True])
def test_wording_is_of_our_texts(as_json: bool) -> None:
    """What we say has the words that commands have here; what git, a container or a config says is as they said it."""
    said, ours = "`invoke release`", "`inv ship.release`"
    out, err = io.StringIO(), io.StringIO()
    console = Console(json=as_json, stdout=out, stderr=err, wording=lambda text: text.replace(said, ours))
    console.event(Notice(said))
    console.event(Log(source="app", line=said))
    console.say(said)
    console.lines([said], others=True)
    console.result({"hint": said, "notices": [said], "commits": [{"text": said}]})
    assert err.getvalue().splitlines() == [f"note: {ours}", f"app | {said}"]
    if as_json:
        assert json.loads(out.getvalue()) == {"hint": ours, "notices": [ours], "commits": [{"text": said}]}
    else:
        assert out.getvalue().splitlines() == [ours, said]


def test_size_table() -> None:
    """Columns stand below each other, what is not known is a dash, notes come last."""
    both = Both()
    both.console.sizes(ROWS)
    lines = both.out.splitlines()
    assert [line.split() for line in lines] == [
        ["stage", "image", "unpacked", "pull", "unique", "layers", "change"],
        ["build", "lacion/foo:build", "356", "MB", "-", "100", "MB", "12", "-"],
        ["release", "lacion/foo:1.0.0", "14.1", "MB", "5", "MB", "-", "3", "-300", "kB"],
        ["lacion/foo:1.0.0:", "mind", "the", "gap"],
    ]
    assert lines[0].index("unpacked") + 8 == lines[1].index("356 MB") + 6 == lines[2].index("14.1 MB") + 7
    assert all(line == line.rstrip() for line in lines)


def test_tables_in_a_pipe_are_as_wide_as_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is folded where no terminal says how wide it is."""
    monkeypatch.setenv("COLUMNS", "20")
    both = Both()
    both.console.table(("name",), [("n" * 300,)])
    assert both.out.splitlines() == ["name", "n" * 300]


def test_tables_show_what_they_are_given() -> None:
    """Brackets are no markup, colons no emoji."""
    both = Both()
    both.console.table(("name",), [("[bold]x[/bold] :smile: [/]",)])
    assert both.out.splitlines()[1] == "[bold]x[/bold] :smile: [/]"


def test_no_rows() -> None:
    """A table without rows is none."""
    both = Both()
    both.console.table(("name",), [])
    both.console.sizes([])
    assert both.out == ""


def test_plan() -> None:
    """A heading with the commit, a line for each action, the notices."""
    both = Both()
    both.console.plan(PLAN)
    heading, action, notice = [line for line in both.out.splitlines() if line]
    assert heading == "release of lacion/foo 1.0.0, commit ccccccc would"
    assert action.split() == ["build", "lacion/foo:build", "from", "."]
    assert notice == "note: so it is"


def test_plan_that_is_not_about_head() -> None:
    """Its heading names the image alone."""
    both = Both()
    both.console.plan(Plan("push.promote", "lacion/foo", "", "", False, ()))
    assert both.out.startswith("push.promote of lacion/foo would\n")


def test_plan_of_nothing() -> None:
    """A plan without actions says so."""
    both = Both()
    both.console.plan(Plan("clean", "lacion/foo", "1.0.0", "", False, ()))
    assert "clean of lacion/foo 1.0.0 would" in both.out
    assert "do nothing" in both.out


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("CI", "true"), ("TERM", "dumb")])
def test_plain_on_a_terminal(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR, CI and a dumb terminal give plain lines without any code."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv(name, value)
    both = Both(terminal=True)
    everything(both.console)
    assert "\x1b" not in both.out + both.err
    assert "build foo:build: built (1.0 s)" in both.err.splitlines()


@pytest.mark.parametrize("piped", ["stdout", "stderr"])
def test_plain_where_one_is_no_terminal(piped: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have to be terminals for a live display."""
    monkeypatch.setenv("TERM", "xterm-256color")
    streams = {"stdout": Terminal(), "stderr": Terminal(), piped: io.StringIO()}
    everything(Console(**streams))  # type: ignore[arg-type]
    assert "\x1b" not in streams["stdout"].getvalue() + streams["stderr"].getvalue()


def test_codes_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real terminal gets a live display: the counterpart of the tests above; an empty NO_COLOR is none."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "")
    both = Both(terminal=True)
    everything(both.console)
    assert "\x1b[" in both.err
    assert "✓" in both.err


def test_stream_that_cannot_encode() -> None:
    """Letters that standard output lacks are no error, in tables either."""
    raw = io.BytesIO()
    with Console(stdout=io.TextIOWrapper(raw, "ascii"), stderr=io.StringIO()) as console:
        console.say("größe")
        console.table(("näme",), [("☺",)])
    assert raw.getvalue() == b"gr??e\nn?me\n?\n"
