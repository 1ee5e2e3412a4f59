"""What a terminal has no room for: reasons are folded at words, names with a mark, and nothing is lost."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyship.cleaning.retention import Verdict
from tinyship.console import checks, fold, tables, verdicts
from tinyship.plan import Action, Check, Plan
from tinyship.sizes.table import Row

NAME = "registry.example.com:5000/harbour/ships/lacion/foo-with-a-long-name"
LONG = Verdict(
    "image",
    f"{NAME}:1.2.3",
    False,
    "it is not of the last 3 releases, no container uses it, and neither a git tag nor a branch reaches its commit",
    14_100_000,
    (f"{NAME}:{'ab' * 20}",),
)
ROW = Row("release", f"{NAME}:1.2.3", 36_500_000, 14_000_000, 22_400_000, 3, -300_000, dead=0)
PLAN = Plan(
    "push", "lacion/foo", "1.2.3", "", False, (Action("push", f"{NAME}:1.2.3", "as its digest, to a registry"),)
)
CHECK = Check(
    "tags", "failed", "lacion/foo:1.2.3 names another image there, and versions never move", (), "Take a new one."
)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_tables_fit(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """All tables with names that are long; every word of them is there, on a line or on two."""
    monkeypatch.setattr(fold, "room", lambda: width)
    for lines, words in (
        (verdicts.lines([LONG]), (LONG.reason, LONG.name)),
        (tables.sizes([ROW]), (ROW.image, "36.5 MB")),
        (tables.plan(PLAN), (NAME, "to a registry")),
        (list(checks.lines([CHECK])), (CHECK.said, CHECK.hint)),
    ):
        assert max(len(line) for line in lines) <= width, "\n".join(lines)
        for text in words:
            assert all(word in "".join(lines).replace("…", "") or len(word) > 40 for word in text.split())


def test_a_reason_is_folded_at_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays in its column; a name is parted where its parts are joined, and a mark says that it goes on."""
    monkeypatch.setattr(fold, "room", lambda: 72)
    rows = [("goes", "lacion/foo:1.2.3", "no container uses it and no git tag reaches it")]
    assert tables.table(("", "name", "why"), [*rows, ("stays", "lacion/a-name-that-is-quite-long:1.0.0", "used")]) == (
        "       name                                    why",
        "goes   lacion/foo:1.2.3                        no container uses it and",
        "                                               no git tag reaches it",
        "stays  lacion/a-name-that-is-quite-long:1.0.0  used",
    )
    monkeypatch.setattr(fold, "room", lambda: 50)
    assert tables.table(("", "name", "why"), [("goes", "lacion/a-name-that-is-quite-long:1.0.0", rows[0][2])]) == (
        "      name                  why",
        "goes  lacion/a-name-that-…  no container uses it",
        "      is-quite-long:1.0.0   and no git tag reaches",
        "                            it",
    )


def test_what_ends_a_row_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A digest at the end is not parted, however narrow the terminal is."""
    monkeypatch.setattr(fold, "room", lambda: 40)
    digest = f"sha256:{'ab' * 32}"
    assert digest in "\n".join(tables.table(("platform", "digest"), [("linux/amd64", digest)]))


@given(st.text(alphabet="ab/:- ", max_size=80), st.integers(min_value=2, max_value=40))
def test_nothing_is_lost(text: str, width: int) -> None:
    """Whatever is folded is all there, and no line is longer than there is room."""
    lines = fold.words(text.strip(), width)
    assert "".join("".join(lines).split()).replace("…", "") == "".join(text.split())
    assert all(len(line) <= width for line in lines)


SCRIPT = "from tinyship.console import fold; print(fold.room())"


def test_the_room_is_that_of_the_terminal() -> None:
    """What goes into a file or a pipe is never folded, whatever COLUMNS says."""
    ours, theirs = pty.openpty()
    import termios

    termios.tcsetwinsize(ours, (24, 93))
    subprocess.run([sys.executable, "-c", SCRIPT], stdout=theirs, check=True)
    assert os.read(ours, 100).strip() == b"93"
    os.close(ours)
    os.close(theirs)
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, check=True, env={**os.environ, "COLUMNS": "80"}
    )
    assert ran.stdout.strip() == b"0"
