"""How a build fails: the step, the lines of its Dockerfile, its last output, and the way out; with both builders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ships import Ship

from tinyship.context.source import Context
from tinyship.engine.buildkit.solve import BuildKitBuilder
from tinyship.engine.classic import ClassicBuilder
from tinyship.engine.connect import Engine
from tinyship.engine.request import BuildRequest
from tinyship.errors import BuildFailed
from tinyship.events import Event, Notice, ignore

pytestmark = pytest.mark.engine
both = pytest.mark.parametrize("kind", [BuildKitBuilder, ClassicBuilder], ids=["buildkit", "classic"])
Kind = type[BuildKitBuilder | ClassicBuilder]
Fails = Callable[..., BuildFailed]


@pytest.fixture
def fails(engine: Engine, tmp_path: Path, namespace: str) -> Fails:
    """Builds a Dockerfile with this text, which has to fail, and gives the error."""

    def failed(text: str, kind: Kind = BuildKitBuilder, **more: Any) -> BuildFailed:
        (tmp_path / "Dockerfile").write_text(text)
        (tmp_path / "a.txt").write_text("a")
        request = BuildRequest(
            context=Context.open(tmp_path, tmp_path / "Dockerfile"), tags=(f"{namespace}/fails:1",), **more
        )
        with pytest.raises(BuildFailed) as caught:
            kind(engine).build(request, ignore)
        return caught.value

    return failed


def marked(error: BuildFailed) -> list[str]:
    """The lines of the Dockerfile that an error marks."""
    if not error.source:
        return []
    return [line for number, line in enumerate(error.source.lines, error.source.first) if number in error.source.marked]


@both
def test_command_that_fails(fails: Fails, busybox: str, kind: Kind) -> None:
    """All of it, as the user sees it: the step, the exit code, the lines, the output without codes."""
    text = f"FROM {busybox}\n\n# a comment\nRUN printf '\\033[31mred\\033[0m\\n' && \\\n  exit 7\n"
    error = fails(text, kind)
    assert str(error).splitlines() == [
        "step 2/2 `RUN printf '\\033[31mred\\033[0m\\n' && exit 7` failed with exit code 7",
        "  Dockerfile:4",
        "    2 |",
        "    3 |     # a comment",
        "    4 | >>> RUN printf '\\033[31mred\\033[0m\\n' && \\",
        "    5 | >>>   exit 7",
        "  | red",
    ]


@pytest.mark.needs("buildkit")
@pytest.mark.parametrize("builder", ["buildkit", "classic"])
@pytest.mark.parametrize("context", [".", "docker/base", "src"])
def test_where_the_dockerfile_is(ship: Ship, busybox: str, builder: str, context: str) -> None:
    """It is named by its path in the project, whatever its context is, and where that does not hold it."""
    file = ship.root / "docker" / "base" / "Dockerfile"
    file.parent.mkdir()
    file.write_text(f"FROM {busybox}\nRUN exit 3\n")
    base = {"name": ship.base, "dockerfile": "docker/base/Dockerfile", "context": context}
    ship.configure(builder=builder, base=[base])
    assert "\n  docker/base/Dockerfile:2\n" in ship.invoke("base", code=1).err


def test_command_of_a_stage(fails: Fails, busybox: str) -> None:
    """The step of one stage is named with it, while another one that ran is not blamed."""
    text = (
        f"FROM {busybox} AS one\nRUN sleep 30\nFROM {busybox} AS two\nARG X=3\nRUN echo $X; sleep 0.5; exit $X\n"
        f"FROM {busybox}\nCOPY --from=one /bin /1\nCOPY --from=two /bin /2\n"
    )
    error = fails(text, no_cache=True)
    assert "2/2 of two `RUN echo" in error.message
    assert error.message.endswith("failed with exit code 3")
    assert marked(error) == ["RUN echo $X; sleep 0.5; exit $X"]
    assert error.tail == ("3",)


@both
def test_command_that_is_not_there(fails: Fails, busybox: str, kind: Kind) -> None:
    """A program that cannot be started is named."""
    error = fails(f'FROM {busybox}\nRUN ["/absent"]\n', kind)
    assert "/absent" in str(error)
    assert marked(error) == ['RUN ["/absent"]']


@both
def test_missing_source(fails: Fails, kind: Kind) -> None:
    """A file that is not in the context: its name, its line, and where to look; not the engine's own bookkeeping."""
    error = fails("FROM scratch\nCOPY a.txt /\nCOPY nothing /\n", kind)
    assert "`COPY nothing /` failed: " in error.message
    assert "checksum of ref" not in error.message
    assert marked(error) == ["COPY nothing /"]
    assert ".dockerignore" in error.hint


@both
def test_missing_in_another_stage(fails: Fails, busybox: str, kind: Kind) -> None:
    """A file that a stage does not have is not looked for in the context."""
    error = fails(f"FROM {busybox} AS one\nFROM scratch\nCOPY --from=one /nothing /\n", kind)
    assert "/nothing" in error.message
    assert marked(error) == ["COPY --from=one /nothing /"]
    assert ".dockerignore" not in error.hint


@both
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("NONSENSE x", "unknown instruction: NONSENSE"),
        ("COPY one", "at least two arguments"),
    ],
)
def test_parse_error(fails: Fails, busybox: str, kind: Kind, line: str, words: str) -> None:
    """What cannot be parsed is shown where it stands."""
    error = fails(f"FROM {busybox}\nRUN true\n{line}\n", kind)
    assert error.message.startswith("the Dockerfile cannot be built: ")
    assert words in error.message
    assert "parse error" not in error.message
    assert marked(error) == [line]


def test_variable_that_must_be_set(fails: Fails, busybox: str) -> None:
    """An error of a variable shows the instruction that it stands in."""
    error = fails(f"FROM {busybox}\nWORKDIR ${{A:?must}}\n")
    assert "must" in error.message
    assert marked(error) == ["WORKDIR ${A:?must}"]


@both
def test_unknown_target(fails: Fails, busybox: str, kind: Kind) -> None:
    """A target that no stage has is an error that proposes what was meant."""
    error = fails(f"FROM {busybox} AS one\n", kind, target="on")
    assert str(error) == "Dockerfile has no stage on, which is the target\n  Did you mean one?"


def test_stage_that_is_none(fails: Fails, busybox: str) -> None:
    """COPY from a stage that is not there: BuildKit takes it for an image, the error says what it is."""
    error = fails(f"FROM {busybox} AS one\nFROM one AS two\nCOPY --from=tow /a /b\n")
    assert error.message.startswith("there is no stage tow, and no image of that name is to be had: ")
    assert error.hint == "Its stages are one, two."
    assert marked(error) == ["COPY --from=tow /a /b"]


@both
def test_base_image_that_is_not_to_be_had(fails: Fails, kind: Kind) -> None:
    """A base image that cannot be pulled: its name as it is written, why, and its line."""
    error = fails("ARG TAG=1\nFROM 127.0.0.1:1/none:${TAG}\nRUN true\n", kind)
    assert error.message.startswith("the base image 127.0.0.1:1/none:1 is not to be had: ")
    assert "connection refused" in error.message
    assert marked(error) == ["FROM 127.0.0.1:1/none:${TAG}"]
    assert "`invoke base`" in error.hint


def test_base_image_that_a_registry_lacks(fails: Fails, registry: str) -> None:
    """A registry that answers, and has no such image."""
    error = fails(f"FROM {registry}/absent:1\n")
    assert error.message.startswith(f"the base image {registry}/absent:1 is not to be had: ")
    assert "not found" in error.message


def test_frontend_that_cannot_be_pulled(fails: Fails) -> None:
    """A `# syntax=` line needs an image; where it is not to be had, the error says so, and what to do."""
    error = fails("# syntax=127.0.0.1:1/dockerfile:1\nFROM scratch\nCOPY a.txt /\n")
    assert error.message.startswith(
        "the line `# syntax=127.0.0.1:1/dockerfile:1` asks for the frontend image 127.0.0.1:1/dockerfile:1, "
        "which cannot be pulled: "
    )
    assert "connection refused" in error.message
    assert error.hint == "Without the line the engine's own frontend builds it; or name an image that it can pull."
    assert marked(error) == ["# syntax=127.0.0.1:1/dockerfile:1"]


@pytest.mark.needs("buildkit of 24")
def test_sbom_scanner_that_cannot_be_pulled(fails: Fails, busybox: str) -> None:
    """An SBOM attestation needs an image too."""
    error = fails(f"FROM {busybox}\nRUN true\n", attests={"sbom": "generator=127.0.0.1:1/scanner:1"})
    assert error.message.startswith(
        "an SBOM attestation needs the scanner image 127.0.0.1:1/scanner:1, which cannot be pulled: "
    )
    assert error.hint == "Leave the attestation out; or name a scanner that can be pulled, as `generator=<image>`."


@pytest.mark.needs("buildkit of 23")
def test_warnings(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """What the frontend warns of comes once, with file and line, behind all steps; engines before 23 do not warn."""
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "Dockerfile").write_text(f"FROM {busybox}\nRUN echo a \\\n\n  && echo b\n")
    context = Context.open(tmp_path, tmp_path / "docker" / "Dockerfile")
    seen: list[Event] = []
    BuildKitBuilder(engine).build(BuildRequest(context=context, tags=(f"{namespace}/warns:1",)), seen.append)
    (notice,) = [event for event in seen if isinstance(event, Notice)]
    assert notice.level == "warning"
    assert notice.text.startswith("docker/Dockerfile:4: ")
    assert "mpty continuation line" in notice.text
    assert "https://" in notice.text
    assert seen[-1] is notice


def test_as_the_user_sees_it(ship: Ship) -> None:
    """A task ends with the error; its JSON has the lines as data."""
    (ship.root / "docker" / "Dockerfile.base").write_text("FROM tinyship-test-busybox\nRUN echo oops; exit 3\n")
    ran = ship.invoke("base", code=1)
    assert f"error: base {ship.base}: step 2/2 `RUN echo oops; exit 3` failed with exit code 3\n" in ran.err
    assert "  docker/Dockerfile.base:2\n    1 |     FROM tinyship-test-busybox\n    2 | >>> RUN echo oops" in ran.err
    assert "  | oops\n" in ran.err
    assert "Traceback" not in ran.err
    error = ship.invoke("base", "--json", code=1).json["error"]
    assert error["source"] == {
        "file": "docker/Dockerfile.base",
        "first": 1,
        "lines": ["FROM tinyship-test-busybox", "RUN echo oops; exit 3"],
        "marked": [2],
    }
    assert json.dumps(error["tail"]) == '["oops"]'
