"""The sizes of an image as Markdown: what it says, what it escapes, and that it ends."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
import reports
from markdown_it import MarkdownIt

from tinyship.sizes import diff
from tinyship.sizes.markdown import LONGEST, summary
from tinyship.sizes.report.report import Limit, Report


def rendered(text: str) -> str:
    """Markdown as HTML, with the tables and the links of GitHub's."""
    return str(MarkdownIt("gfm-like", {"linkify": False}).render(text))


def test_headline_says_size_and_change() -> None:
    """The first line is all that some read."""
    first = summary(reports.report(), against="main").splitlines()[0]
    assert first == "### <code>example/foo:1.5.0</code> is 64.3 MB unpacked, 17.6 MB to pull, +1.8 MB against main"


def test_headline_without_anything_to_compare_with() -> None:
    """What is not known is not said."""
    assert summary(reports.plain({"a": 1234})).splitlines()[0] == "### <code>example/plain:1</code> is 1.23 kB unpacked"


def test_headline_of_no_change() -> None:
    """Nothing gained, nothing lost."""
    same = reports.wasteful()
    report = replace(reports.report(), diff=diff.compare(same, same))
    assert summary(report).splitlines()[0].endswith(", unchanged against example/foo:1.5.0")


def test_sections_in_their_order() -> None:
    """Broken budgets first, then stages, what grew, what is dead, what helps."""
    text = summary(reports.report())
    wanted = [
        "**BROKEN**",
        "- ok:",
        "| stage |",
        "**What grew most**",
        "**Dead bytes**",
        "**What would make it smaller**",
    ]
    places = [text.index(one) for one in wanted]
    assert places == sorted(places)
    assert "| overwritten by " in text or "| metadata by " in text
    assert "<code>COPY --chmod&#61;755" not in text  # `=` needs no escape
    assert "<code>COPY --chmod=755 bin/foo /opt/foo/bin/</code>" in text


def test_only_growth_is_told_as_growth() -> None:
    """What shrank is not among what grew most; five are seen, the rest is folded."""
    before = reports.plain({f"old{n}": 10 for n in range(3)}).account
    after = reports.plain({f"new{n}": 100 + n for n in range(40)}).account
    text = summary(replace(reports.report(), diff=diff.compare(before, after)))
    assert "/old" not in text
    assert "<summary>15 of 35 more</summary>" in text
    shown, _, _ = text[text.index("| file |") :].partition("<details>")
    assert [line.split("/")[1].split("<")[0] for line in shown.splitlines() if "/new" in line] == [
        "new39",
        "new38",
        "new37",
        "new36",
        "new35",
    ]


def test_names_are_no_markup() -> None:
    """Whatever a name is made of, it makes no element, no link, no cell and no line."""
    text = summary(reports.hostile())
    html = rendered(text)
    assert set(re.findall(r"<([a-z0-9]+)", html)) <= {
        *("h3", "code", "ul", "li", "strong", "p", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"),
    }
    for row in re.findall(r"<tr>(.*?)</tr>", html, re.S):
        assert len(re.findall(r"<t[hd]", row)) in {4, 7}
    assert text.count("\n| ") == html.count("<tr>") + html.count("<thead>")  # no row is torn apart
    assert "javascript:document.title=1'>link" in unescape(html)
    assert "\u202e" not in text
    for raw in ("<script", "<img", "@someone", " #1", "https://", "www.", "`", "[a]", "*star", "_under"):
        assert raw not in text


@pytest.mark.parametrize("make", [reports.report, reports.hostile, reports.huge])
def test_it_ends_before_a_comment_does(make: object) -> None:
    """Within the limit in bytes, and therefore in characters."""
    assert callable(make)
    report: Report = make()
    assert len(summary(report).encode()) <= LONGEST


def test_what_has_no_room_is_named() -> None:
    """Of names that are all escapes, some parts do not fit: what is left out is said, and nothing is cut in two."""
    many = {f"{n:03}{'<|`*_' * 200}": 1000 + n for n in range(200)}
    before, after = reports.plain({}).account, reports.plain(many).account
    gains = diff.compare(before, after)
    packages = diff.packages({}, {name: (name, size) for name, size in many.items()})
    lines = tuple(Limit(name, True) for name in many)
    report = replace(reports.report(), account=after, diff=replace(gains, packages=packages), budgets=lines)
    text = summary(report)
    assert len(text.encode()) <= LONGEST
    assert "Left out, because a comment has an end: " in text
    assert text.count("<details>") == text.count("</details>")
    assert "- and 180 more\n" in text


def test_same_report_same_bytes() -> None:
    """Two runs say the same."""
    assert summary(reports.report()) == summary(reports.report())
