"""What commands in `$(shell ...)` would write, as far as git and files say it; and no text breaks a reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tinyship.init import bake, compose, marks, project, recipes


@pytest.mark.parametrize(
    ("command", "tag"),
    [
        ("git rev-parse HEAD", "{commit}"),
        ("git rev-parse --verify HEAD", "{commit}"),
        ("git rev-parse --short HEAD 2>/dev/null || echo unknown", "{short_commit}"),
        ("git rev-parse --short=8 HEAD", "{short_commit}"),
        ("git rev-parse HEAD | cut -c1-7", "{short_commit}"),
        ("git log -1 --pretty=%H", "{commit}"),
        ("git --no-pager log -1 --format=%h", "{short_commit}"),
        ("git describe --tags --always --dirty", "{version}"),
        ("git describe --tags | sed 's/^v//'", "{version}"),
        ("git rev-parse --abbrev-ref HEAD", "{branch}"),
        ("git branch --show-current", "{branch}"),
        ("date +%Y%m%d", "{date}"),
        ("cat VERSION", "{version}"),
        ("cat VERSION | tr -d '\\n'", "{version}"),
        ("grep __version__ foo.py | cut -d'\"' -f2", "{version}"),
    ],
)
def test_known_commands(command: str, tag: str, tmp_path: Path) -> None:
    """Each is a tag of ours."""
    (tmp_path / "VERSION").write_text("1.0\n")
    (tmp_path / "foo.py").write_text('import sys\n__version__ = "1.2"\n')
    assert marks.template(marks.of_shell(command, tmp_path)) == tag


@pytest.mark.parametrize(
    "command",
    [
        "git rev-parse origin/main",
        "git rev-list --count HEAD",
        "git config user.name",
        "git describe | awk '{print $1}'",
        "cat MISSING",
        "cat a b",
        "grep nothing foo.py | cut -f1",
        "grep 'unclosed foo.py | cut -f1",
        "date +%s",
        "whoami",
        "",
    ],
)
def test_unknown_commands(command: str, tmp_path: Path) -> None:
    """What nobody can say here is no tag."""
    (tmp_path / "foo.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match="not known"):
        marks.template(marks.of_shell(command, tmp_path))


def test_marks_survive_joining() -> None:
    """A mark in a mark is shown as what was written."""
    inner = marks.mark("unknown", "$(A)")
    assert marks.shown(f"x-{marks.mark('unknown', f'{inner}/b')}-{marks.literal('v1.2')}") == "x-$(A)/b-v1.2"


PIECES = some.lists(
    some.sampled_from(
        [
            *(
                "\n",
                "\t",
                " ",
                "a",
                "X",
                "=",
                ":=",
                "?=",
                "+=",
                ":",
                "$(X)",
                "${a:b}",
                "$(shell git describe)",
                "$(",
                ")",
            ),
            *(
                "docker build -t ",
                "docker push ",
                "docker tag a ",
                "acme/foo:1",
                ".",
                "ifeq (",
                "ifdef X",
                "else",
                "endif",
            ),
            *(
                "define x",
                "endef",
                "include a",
                "'",
                '"',
                "\\\n",
                "`",
                "for i in a b; do ",
                "done",
                "$$i",
                "; ",
                "&& ",
                "#",
            ),
            *(
                "target ",
                "{",
                "}",
                "[",
                "]",
                ",",
                "services:\n",
                "  foo:\n",
                "    build: .\n",
                "${",
                "$(foreach a,b,c)",
            ),
            *(
                "$(word 3,a)",
                "$(call X,a)",
                "%",
                "-f",
                "--build-arg",
                " A=b",
                "export ",
                ".ONESHELL:",
                "\ue000",
                "\ue001",
            ),
        ]
    ),
    max_size=40,
).map("".join)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PIECES)
def test_any_text_is_read(tmp_path: Path, text: str) -> None:
    """However broken a file is, it is read, and what is found makes settings."""
    for name, find in (("Makefile", recipes.find), ("compose.yaml", compose.find), ("docker-bake.hcl", bake.find)):
        (tmp_path / name).write_text(text)
        find(tmp_path, name)
    assert project.look(tmp_path).outcome.values
