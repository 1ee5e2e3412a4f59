"""Dockerfiles: arguments, stages and base images, as the builder will read them."""

from __future__ import annotations

import pytest

from tinyship.dockerfiles.dockerfile import Stage, beyond_classic, instructions, parse


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("FROM a\n", set()),
        ("ARG A\nFROM a\nARG B=1\narg C\n", {"A", "B", "C"}),
        ("FROM a\nARG A=1 B C='x y' D=\"p q\"\n", {"A", "B", "C", "D"}),
        ("FROM a\nARG \\\n  A=1 \\\n  # a comment\n\n  B=2\n", {"A", "B"}),
        ("FROM a\n# ARG A\nRUN echo ARG B\nENV ARG=C\n", set()),
        ("FROM a\n  ARG A\n\tARG\tB\n", {"A", "B"}),
        ("FROM a\r\nARG A=1\r\nARG B\r\n", {"A", "B"}),
        ("\ufeffARG A\nFROM a\n", {"A"}),
        ("FROM a\nARG A=b=c\n", {"A"}),
    ],
)
def test_args(text: str, args: set[str]) -> None:
    """Arguments are found wherever they are declared, and nowhere else."""
    assert parse(text).args == args


@pytest.mark.parametrize(
    ("text", "bases"),
    [
        ("FROM alpine:3.6\n", ("alpine:3.6",)),
        ("from alpine\n", ("alpine",)),
        ("FROM\talpine\n", ("alpine",)),
        ("FROM   alpine   AS   x\n", ("alpine",)),
        ("FROM --platform=linux/amd64 alpine AS x\n", ("alpine",)),
        ("FROM alpine AS build\nFROM scratch\nCOPY --from=build /a /a\n", ("alpine", "scratch")),
        ("FROM golang AS Build\nFROM build AS test\nFROM alpine\nFROM TEST\n", ("golang", "alpine")),
        ("FROM alpine\nFROM alpine\n", ("alpine",)),
        ("FROM alpine AS alpine\nFROM alpine\n", ("alpine",)),
        ("ARG TAG=3.6\nFROM alpine:$TAG\n", ("alpine:3.6",)),
        ("ARG TAG=3.6\nFROM alpine:${TAG}\n", ("alpine:3.6",)),
        ('ARG IMAGE="lacion/alpine"\nFROM $IMAGE\n', ("lacion/alpine",)),
        ("ARG TAG=3.6\nARG IMAGE=alpine:$TAG\nFROM ${IMAGE}\n", ("alpine:3.6",)),
        ("FROM alpine:${TAG:-3.6}\n", ("alpine:3.6",)),
        ("ARG TAG\nFROM alpine:${TAG:-3.6}\n", ("alpine:3.6",)),
        ("ARG TAG\nFROM alpine:$TAG\nFROM busybox\n", ("busybox",)),
        ("FROM alpine\nARG TAG=1\nFROM busybox:$TAG\n", ("alpine",)),
        ("FROM \\\n  alpine\n", ("alpine",)),
        ("", ()),
        ("FROM\n", ()),
        ("# FROM alpine\n", ()),
    ],
)
def test_bases(text: str, bases: tuple[str, ...]) -> None:
    """Base images are those that no stage is; only defaults from before the first FROM are filled in."""
    assert parse(text).bases == bases


def test_global_args() -> None:
    """Those before the first FROM are told apart, because a FROM can use no others."""
    found = parse("ARG A\nARG B=1\nFROM a\nARG C\n")
    assert found.global_args == {"A", "B"}
    assert found.args == {"A", "B", "C"}


def test_given_arguments() -> None:
    """They win over defaults, only where the argument is declared before the first FROM."""
    text = "ARG A=1\nARG B\nFROM a:$A\nFROM b:$B\nFROM c:${C:-3}\n"
    assert parse(text, {"A": "2", "B": "x", "C": "y"}).bases == ("a:2", "b:x", "c:3")


def test_stages() -> None:
    """Stages have their name, their base and the line of their FROM."""
    text = "# comment\nARG A=x\n\nFROM $A AS one\nRUN true \\\n  && true\nFROM one\n"
    assert parse(text).stages == (Stage("one", "x", 4), Stage("", "one", 7))


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nRUN <<EOF\nFROM no\nARG NO\nEOF\nARG YES\n",
        "FROM a\nRUN <<-EOF\n\tFROM no\n\tEOF\nARG YES\n",
        "FROM a\nRUN <<'EOF' sh\nFROM no\nEOF\nARG YES\n",
        "FROM a\nCOPY <<one <<two /dir/\nFROM no\none\nARG NO\ntwo\nARG YES\n",
        "FROM a\r\nRUN <<EOF\r\nFROM no\r\nEOF\r\nARG YES\r\n",
        "FROM a\nRUN cat <<< text\nARG YES\n",
        "FROM a\nRUN echo $((1<<SHIFT))\nARG YES\n",
        "FROM a\nENV X <<EOF\nARG YES\n",
    ],
)
def test_here_documents(text: str) -> None:
    """What stands in a here-document is no instruction; what only looks like one hides nothing."""
    found = parse(text)
    assert found.args == {"YES"}
    assert found.bases == ("a",)


@pytest.mark.parametrize(
    "text",
    [
        "# escape=`\nFROM a\nRUN dir c:\\\nARG A\nRUN x `\n ARG B\n",
        "# syntax=docker/dockerfile:1\n#escape = `\nFROM a\nRUN dir c:\\\nARG A\nRUN x `\n ARG B\n",
    ],
)
def test_escape_directive(text: str) -> None:
    """The escape character is that of the directive at the top."""
    assert parse(text).args == {"A"}


def test_escape_directive_that_is_too_late() -> None:
    """Behind a comment or an instruction, it is a comment itself."""
    assert parse("# a comment\n# escape=`\nFROM a\nRUN x \\\n ARG B\nARG A\n").args == {"A"}
    assert parse("FROM a\n# escape=`\nRUN x \\\n ARG B\nARG A\n").args == {"A"}


def test_instructions() -> None:
    """Each instruction has the number of its first line, and its words in one line."""
    text = '\n# comment\nfrom a\n\nRUN one \\\n# comment\n\n  two\ncmd ["x"]'
    assert list(instructions(text)) == [(3, "FROM", "a"), (5, "RUN", "one   two"), (9, "CMD", '["x"]')]


def test_unfinished_line_at_the_end() -> None:
    """A file that ends in the middle of an instruction still has it."""
    assert list(instructions("FROM a \\")) == [(1, "FROM", "a")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("RUN --mount=type=cache,target=/c true\n", [(1, "RUN --mount")]),
        ("FROM a\nRUN --network=none --mount=type=ssh true\n", [(2, "RUN --network"), (2, "RUN --mount")]),
        ("COPY --link --chmod=755 a b\n", [(1, "COPY --link"), (1, "COPY --chmod")]),
        ("copy --parents a b\nADD --checksum=sha256:0 a b\n", [(1, "COPY --parents"), (2, "ADD --checksum")]),
        ("RUN <<EOF\necho\nEOF\nCOPY --link a b\n", [(1, "RUN <<EOF"), (4, "COPY --link")]),
        ("COPY <<-'END' /file\n\ttext\n\tEND\n", [(1, "COPY <<END")]),
        ("RUN python 3<<X\ntext\nX\n", [(1, "RUN <<X")]),
        ("COPY --from=a --chown=1:2 x --link\nFROM --platform=linux/arm64 a\nRUN echo --mount\n", []),
        ('RUN echo $((a<<b)) "<<EOF" <<EOF\nRUN true\n', []),
        ("# COPY --link\nRUN true \\\n  --mount\n", []),
    ],
)
def test_beyond_the_classic_builder(text: str, found: list[tuple[int, str]]) -> None:
    """Flags and here-documents that only BuildKit has, with their lines; what only looks like one is none."""
    assert list(beyond_classic(text)) == found
