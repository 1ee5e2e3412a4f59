"""What of its context a Dockerfile can see: what it names, and everything where that is not certain."""

from __future__ import annotations

import pytest

from tinyship.dockerfiles import sources


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("RUN true", set()),
        ("COPY main.go go.mod ./", {"main.go", "go.mod"}),
        ("COPY ./src/../lib/ /x", {"lib"}),
        ("COPY ../up /x", {"up"}),
        ("COPY . /x", {""}),
        ('COPY ["a b", "c", "/x/"]', {"a b", "c"}),
        ("COPY --chown=1:1 --chmod=755 bin/foo /bin/", {"bin/foo"}),
        ("COPY --from=build /out /x\nADD data.tar /", {"data.tar"}),
        ("copy a \\\n  b \\\n  /x/", {"a", "b"}),
        ("RUN --mount=type=cache,target=/c --mount=type=secret,id=s true", set()),
        ("RUN --mount=type=bind,from=build,target=/x true", set()),
        ("ONBUILD COPY a /a", set()),
        ("# escape=`\nCOPY a `\n b /x/", {"a", "b"}),
    ],
)
def test_named(text: str, wanted: set[str]) -> None:
    """Files and folders, as paths of the context."""
    assert sources.of(text if text.startswith("#") else f"FROM scratch\n{text}\n") == frozenset(wanted)


@pytest.mark.parametrize(
    "text",
    [
        "COPY *.go ./",
        "COPY src/[ab] /x",
        "COPY $WHAT /x",
        'COPY "a b" /x',
        'COPY ["a", 1, "/x"]',
        'COPY ["a"',
        "COPY <<EOF /x\ntext\nEOF",
        "ADD https://example.com/a /x",
        "COPY a",
        "RUN --mount=type=bind,target=/src true",
        "RUN --mount=target=/src,source=a true",
        "RUN --network=none --mount=target=. true",
    ],
)
def test_uncertain(text: str) -> None:
    """Whatever may name more, or something else, than what stands there."""
    assert sources.of(f"FROM scratch\n{text}\n") is None


def test_another_frontend() -> None:
    """What another one makes of a Dockerfile nobody knows."""
    assert sources.of("# syntax=docker/dockerfile:1\nFROM scratch\nCOPY a /a\n") is None
    assert sources.of("FROM scratch\nCOPY a /a\n# syntax=none\n") is None
