"""Go and Python programs without a Dockerfile: one is written that makes a tiny image of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.unit.init.conftest import text_of

from tinyship.context import ignore
from tinyship.dockerfiles import dockerfile, named

if TYPE_CHECKING:
    from tests.unit.init.conftest import Look

MAIN = 'package main\n\nvar (\n\tversion = "dev"\n\tcommit  = ""\n)\n\nfunc main() {}\n'


def written(look: Look, files: dict[str, str]) -> str:
    """The Dockerfile that is written for a project, which is one, and explains what it does."""
    text = text_of(look(files), "Dockerfile")
    keywords = [keyword for _, keyword, _ in dockerfile.instructions(text)]
    assert set(keywords) <= {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT"}
    assert keywords[-1] == "ENTRYPOINT"
    assert text.count("#") >= 5
    assert max(map(len, text.splitlines())) <= 120
    return text


def test_go(look: Look) -> None:
    """A static program on nothing, with the version linked in where the source has a variable for it."""
    text = written(look, {"go.mod": "module github.com/acme/ship/v2\n\ngo 1.23.4\n", "go.sum": "", "main.go": MAIN})
    assert named.final_base(text) == "scratch"
    assert dockerfile.parse(text).bases == ("golang:1.23-alpine", "scratch")
    assert "-X main.commit=${GIT_COMMIT} -X main.version=${VERSION}" in text
    assert {"GIT_COMMIT", "VERSION"} <= dockerfile.parse(text).args
    assert "COPY go.mod go.sum ./" in text
    assert 'ENTRYPOINT ["/ship"]' in text


def test_go_below_cmd(look: Look) -> None:
    """The one program below cmd is that; without variables nothing is linked in."""
    files = {
        "go.mod": "module acme\n",
        "cmd/tool/main.go": "package main\nfunc main() {}\n",
        "lib.go": "package acme\n",
    }
    text = written(look, files)
    assert "-o /out/tool " in text
    assert text.rstrip().partition("COPY --from")[0].count(" ./cmd/tool\n") == 1
    assert "-X" not in text
    assert "COPY go.mod ./" in text


def test_several_programs(look: Look) -> None:
    """Which of them ships is not guessed."""
    files = {"go.mod": "module acme\n", "cmd/a/main.go": "package main\n", "cmd/b/main.go": "package main\n"}
    proposal = look(files)
    assert "Dockerfile" not in [file.name for file in proposal.files]
    assert any("cmd/a, cmd/b" in one.why for one in proposal.outcome.unclear)


PYTHONS = {
    "script": (
        {"pyproject.toml": '[project]\nname = "my-tool"\nrequires-python = ">=3.11"\nscripts.tool = "my_tool:main"\n'},
        '["tool"]',
        ["install --no-cache-dir --no-compile ."],
    ),
    "module": (
        {"pyproject.toml": '[project]\nname = "my-tool"\n', "src/my_tool/__main__.py": ""},
        '["python", "-m", "my_tool"]',
        ["install --no-cache-dir --no-compile ."],
    ),
    "requirements": (
        {"requirements.txt": "flask\n", "app.py": "", ".python-version": "3.12.4\n"},
        '["python", "app.py"]',
        ["install --no-cache-dir --no-compile -r requirements.txt"],
    ),
    "one-file": ({"main.py": ""}, '["python", "main.py"]', []),
}


@pytest.mark.parametrize("name", PYTHONS)
def test_python(name: str, look: Look) -> None:
    """An interpreter, and what is installed, without pip, caches or tests of its own."""
    files, start, installs = PYTHONS[name]
    text = written(look, files)
    version = "3.12" if ".python-version" in files else r"3\.\d+"
    assert re.fullmatch(rf"python:{version}-alpine", named.final_base(text))
    assert f"ENTRYPOINT {start}\n" in text
    assert re.findall(r"install --no-cache-dir .*", text) == installs
    assert ("COPY . .\n" in text.rpartition("FROM")[2]) == (name in {"requirements", "one-file"})


def test_python_without_a_start(look: Look) -> None:
    """What starts it is not guessed."""
    proposal = look({"pyproject.toml": '[project]\nname = "lib"\n'})
    assert "Dockerfile" not in [file.name for file in proposal.files]
    assert any("which script starts it" in one.why for one in proposal.outcome.unclear)


@pytest.mark.parametrize(
    ("files", "image", "place"),
    [
        ({"go.mod": "module github.com/acme/Ship\n", "main.go": "package main\n"}, "ship", "go.mod:1"),
        ({"pyproject.toml": '[project]\nname = "My_Tool"\nscripts.t = "a:b"\n'}, "t", "pyproject.toml:2"),
        ({"Dockerfile": "FROM scratch\n"}, "foo", "the folder's name"),
    ],
)
def test_name_where_nothing_says_one(look: Look, files: dict[str, str], image: str, place: str) -> None:
    """The image has the program's name, or the folder's, and it is shown that this is where it is from."""
    proposal = look(files)
    assert proposal.outcome.values["image"] == image
    assert str(proposal.outcome.carried[0].place) == place


def test_dockerignore_keeps_what_is_needed(look: Look) -> None:
    """What the Dockerfile names stays in the context; the rest of the usual does not."""
    proposal = look({"Dockerfile": "FROM scratch\nCOPY .env tasks.py /\n", "main.py": ""})
    patterns = ignore.parse(text_of(proposal, ".dockerignore").encode())
    assert {".git", ".tinyship", "**/__pycache__", "invoke.yaml"} <= set(patterns)
    assert not {".env", "tasks.py"} & set(patterns)
