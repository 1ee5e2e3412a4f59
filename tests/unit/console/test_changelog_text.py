"""The notes of a release as Markdown: their order, and that words from git stay words."""

from __future__ import annotations

import pytest

from tinyship.console import changelog
from tinyship.git.changes import Changes, of_message
from tinyship.stages.changelog import Notes, Rebased, Resized

COMMITS = tuple(
    of_message(f"{number}" * 40, message.split("\n"), author="A. Sailor")
    for number, message in enumerate(
        (
            "feat(api): list `ships`",
            "docs: say it",
            "fix: a leak",
            "refactor!: drop the old one",
            "fix(ui)!: words",
            "one more",
        )
    )
)


def notes(changes: Changes, **more: object) -> Notes:
    """The notes of 1.1.0."""
    return Notes("1.1.0", "a" * 40, "1.0.0", "b" * 40, changes, **more)  # type: ignore[arg-type]  # fields of Notes


def test_grouped() -> None:
    """Breaking ones first; prefixes become headings, sizes and bases follow."""
    made = notes(
        Changes(COMMITS, 0, True, False),
        sizes=(Resized("lacion/foo", 10_000_000, 8_000_000, None, 3_000_000), Resized("lacion/bar", 5, 5, 7, 8)),
        bases=(
            Rebased("lacion/foo", "alpine:3.22", "sha256:" + "1" * 64, "sha256:" + "2" * 64),
            Rebased("lacion/foo", "busybox:1", "sha256:" + "1" * 64, ""),
        ),
        notices=("the clone is shallow",),
    )
    assert "\n".join(changelog.lines((made,))) == (
        "## 1.1.0\n"
        "\n"
        "Changes since 1.0.0.\n"
        "\n"
        "### Breaking changes\n"
        "\n"
        "- drop the old one (3333333, A. Sailor)\n"
        "- **ui:** words (4444444, A. Sailor)\n"
        "\n"
        "### Features\n"
        "\n"
        "- **api:** list \\`ships\\` (0000000, A. Sailor)\n"
        "\n"
        "### Fixes\n"
        "\n"
        "- a leak (2222222, A. Sailor)\n"
        "\n"
        "### Others\n"
        "\n"
        "- docs: say it (1111111, A. Sailor)\n"
        "- one more (5555555, A. Sailor)\n"
        "\n"
        "### Sizes\n"
        "\n"
        "- lacion/foo: unpacked 10 MB, now 8 MB (-2 MB)\n"
        "- lacion/bar: unpacked 5 Bytes, now 5 Bytes (unchanged)\n"
        "- lacion/bar: pull 7 Bytes, now 8 Bytes (+1 Byte)\n"
        "\n"
        "### Base images\n"
        "\n"
        "- lacion/foo: alpine:3.22 was 111111111111, is 222222222222\n"
        "- lacion/foo: no longer on busybox:1\n"
        "\n"
        "> the clone is shallow"
    )


def test_plain_list() -> None:
    """Where commits have no prefixes they are a list, as they are; what was left out is counted."""
    text = "\n".join(changelog.lines((notes(Changes(COMMITS[-1:], 1_200, False, False)),)))
    assert text.endswith("Changes since 1.0.0.\n\n- one more (5555555, A. Sailor)\n\nAnd 1,200 more.")


def test_nothing_and_first() -> None:
    """A range without commits says so, and so does the first release; two releases are apart."""
    first = Notes("0.1.0", "a" * 40, "", "", Changes((), 0, False, False))
    assert list(changelog.lines((first, first))) == [
        "## 0.1.0", "", "The first release.", "", "No commits.",
        "",
        "## 0.1.0", "", "The first release.", "", "No commits.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("snake_case_name stays", "snake_case_name stays"),
        ("_it_ **b** `c` ~~d~~", r"\_it\_ \*\*b\*\* \`c\` \~\~d\~\~"),
        ("[a](b) ![c](d)", r"\[a\](b) !\[c\](d)"),
        ("<script>&lt;&#60; a & b", r"\<script\>\&lt;\&#60; a & b"),
        ("# head", r"\# head"),
        ("## head", r"\## head"),
        ("#12 is closed", "#12 is closed"),
        ("1. item", r"1\. item"),
        ("1.2.0 is out", "1.2.0 is out"),
        ("- item", r"\- item"),
        ("-1 is no list", "-1 is no list"),
        ("> quote", r"\> quote"),
        ("see https://example.com", "see https&#58;//example.com"),
        ("\x1b[31mred\x1b[0m\x07 \u202eturned", "red turned"),
        ("a\\b | c", r"a\\b \| c"),
    ],
)
def test_words_stay_words(text: str, shown: str) -> None:
    """What a commit says is shown as it is said, and does nothing."""
    assert changelog.escaped(text) == shown


def test_a_shallow_clone_knows_no_first_release() -> None:
    """Where history is cut off, nobody can tell that a release is the first."""
    cut = Notes("0.1.0", "c" * 40, "", "", Changes((), 0, False, True))
    assert "No release before it is known here." in list(changelog.lines((cut,)))
