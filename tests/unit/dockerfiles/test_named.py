"""The images that Dockerfiles name, and their digests written into each of the forms in which they do."""

from __future__ import annotations

import pytest

from tinyship.dockerfiles.named import final_base, pinned, places

ONE = f"sha256:{'1' * 64}"
TWO = f"sha256:{'2' * 64}"
DIGESTS = {"alpine:3.22": ONE, "127.0.0.1:5000/go:1": TWO}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("FROM alpine:3.22\n", ["alpine:3.22"]),
        ("FROM scratch\nCOPY --from=alpine:3.22 /a /a\n", ["alpine:3.22"]),
        ("FROM a AS one\nFROM b\nCOPY --from=one / /\nCOPY --from=0 / /\nCOPY --from=ONE / /\n", ["a", "b"]),
        ("FROM a\nCOPY --from=two / /\nFROM b AS two\n", ["a", "b"]),
        ("FROM two\nFROM b AS two\n", ["two", "b"]),
        ("FROM a\nCOPY --chown=1:1 --from=c x y\nADD --from=d x y\n", ["a", "c"]),
        ("FROM a\nCOPY x --from=c y\n", ["a"]),
        ("FROM a\nRUN --mount=type=bind,from=c,target=/c true\n", ["a", "c"]),
        ("FROM a\nRUN --mount=from=c,target=/c --mount=type=cache,target=/k,from=d true\n", ["a", "c", "d"]),
        ('FROM a\nRUN --mount="type=bind,from=c" true\nRUN echo --mount=from=d\n', ["a", "c"]),
        ("FROM a\nRUN <<EOF\nFROM b\nCOPY --from=c x y\nEOF\nCOPY --from=d x y\n", ["a", "d"]),
        ("ARG A=alpine\nARG T\nFROM $A:3\nFROM b:$T\n", ["alpine:3", "b:$T"]),
        ("ARG TARGETARCH=amd64\nFROM a-$TARGETARCH\n", ["a-$TARGETARCH"]),
        ("ARG S=\nFROM a$S\n", ["a"]),
        ("ARG S=\nFROM a:${S:-1}\nFROM b:${S-1}c\nFROM d${S:+-slim}\nFROM e${T:-2}\n", ["a:1", "b:c", "d", "e2"]),
        ("FROM a\nARG A=b\nFROM $A\n", ["a", "$A"]),
        ("FROM 'a'\nFROM \"b\" AS b\n", ["a", "b"]),
        ("# FROM no\nFROM \\\n# FROM no\n  a\n", ["a"]),
    ],
)
def test_places(text: str, names: list[str]) -> None:
    """Each image is found where the builders look for one; stages and what only looks like one are not."""
    assert [place.name for place in places(text)] == names


def test_given_arguments_win_over_defaults() -> None:
    """What settings give counts where the argument is declared before the first FROM, and nowhere else."""
    text = "ARG A=alpine:3\nARG B\nFROM $A\nFROM $B\nFROM $C\n"
    assert [place.name for place in places(text, {"A": "x", "B": "y", "C": "z"})] == ["x", "y", "$C"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM alpine:3.22\n", f"FROM alpine:3.22@{ONE}\n"),
        ("from alpine:3.22 as x\n", f"from alpine:3.22@{ONE} as x\n"),
        ("  FROM\talpine:3.22   AS x", f"  FROM\talpine:3.22@{ONE}   AS x"),
        (
            "FROM --platform=$BUILDPLATFORM alpine:3.22 AS x\r\nFROM x\r\n",
            f"FROM --platform=$BUILDPLATFORM alpine:3.22@{ONE} AS x\r\nFROM x\r\n",
        ),
        ("FROM other\nFROM alpine:3.22\n", f"FROM other\nFROM alpine:3.22@{ONE}\n"),
        ("ARG T=3.22\nFROM alpine:${T}\n", f"ARG T=3.22\nFROM alpine:3.22@{ONE}\n"),
        ("ARG T\nFROM alpine:$T\n", "ARG T\nFROM alpine:$T\n"),
        ('FROM "alpine:3.22"\n', f"FROM alpine:3.22@{ONE}\n"),
        (
            "# escape=`\nFROM --platform=linux/amd64 `\n# why\n\n  alpine:3.22 `\n  AS x\n",
            f"# escape=`\nFROM --platform=linux/amd64 `\n# why\n\n  alpine:3.22@{ONE} `\n  AS x\n",
        ),
        ("FROM alp\\\nine:3.22\nRUN x\n", f"FROM \\\nalpine:3.22@{ONE}\nRUN x\n"),
        (
            "FROM scratch\nCOPY --from=alpine:3.22 --chown=1 /a /b\n",
            f"FROM scratch\nCOPY --from=alpine:3.22@{ONE} --chown=1 /a /b\n",
        ),
        (
            "FROM alpine:3.22\nRUN --mount=type=bind,from=127.0.0.1:5000/go:1,target=/go true alpine:3.22\n",
            f"FROM alpine:3.22@{ONE}\n"
            f"RUN --mount=type=bind,from=127.0.0.1:5000/go:1@{TWO},target=/go true alpine:3.22\n",
        ),
        (
            "FROM x\nRUN --mount=from=alpine:3.22,target=/a --mount=from=127.0.0.1:5000/go:1,target=/b true\n",
            f"FROM x\nRUN --mount=from=alpine:3.22@{ONE},target=/a"
            f" --mount=from=127.0.0.1:5000/go:1@{TWO},target=/b true\n",
        ),
        (
            "FROM alpine:3.22\nRUN <<EOF\nFROM alpine:3.22\nEOF\nLABEL from=alpine:3.22\n",
            f"FROM alpine:3.22@{ONE}\nRUN <<EOF\nFROM alpine:3.22\nEOF\nLABEL from=alpine:3.22\n",
        ),
        ("\ufeffFROM alpine:3.22\n", f"\ufeffFROM alpine:3.22@{ONE}\n"),
        (f"FROM alpine:3.22@{TWO}\n", f"FROM alpine:3.22@{TWO}\n"),
        ("# FROM alpine:3.22\nFROM alpine:3.22 # x\n", f"# FROM alpine:3.22\nFROM alpine:3.22@{ONE} # x\n"),
    ],
)
def test_pinned(text: str, expected: str) -> None:
    """The digest comes behind the name, in the place where it stands; the number of lines stays."""
    made = pinned(text, DIGESTS)
    assert made == expected
    assert made.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("text", "target", "base"),
    [
        ("FROM a\n", "", "a"),
        ("FROM a AS one\nFROM b\n", "", "b"),
        ("FROM a AS one\nFROM ONE AS two\nFROM two\n", "", "a"),
        ("FROM a AS one\nFROM b\n", "one", "a"),
        ("FROM a\nFROM b\n", "0", "a"),
        ("FROM a AS one\nFROM scratch\n", "", "scratch"),
        ("FROM a AS a\nFROM a\n", "", "a"),
        ("ARG X\nFROM a:$X\n", "", ""),
        ("FROM a\n", "none", ""),
        ("", "", ""),
    ],
)
def test_final_base(text: str, target: str, base: str) -> None:
    """A stage stands on what the stages below it stand on; what is not known has no name."""
    assert final_base(text, target) == base
