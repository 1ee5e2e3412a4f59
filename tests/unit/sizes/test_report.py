"""The page of an image's sizes: its sums, its bounds, and what it makes of names that others gave."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
import reports

from tinyship.errors import TinyshipError
from tinyship.sizes.account import Account
from tinyship.sizes.diff import Gain
from tinyship.sizes.report import charts, names
from tinyship.sizes.report.gains import telling
from tinyship.sizes.report.page import page
from tinyship.sizes.report.palette import DARK, LIGHT
from tinyship.sizes.report.report import Package, Point, Report
from tinyship.sizes.report.tree import MOST, Node, tree

_OPEN = {"area", "br", "img", "input", "link", "meta"}


class Outline(HTMLParser):
    """The elements of a page, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "script":
            self.scripts.append("")
        if tag not in _OPEN:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data


def figures(text: str) -> dict[str, Any]:
    """The charts of a page, as its script reads them."""
    found: dict[str, Any] = json.loads(Outline(text).scripts[0])
    return found


def children(nodes: tuple[Node, ...]) -> dict[int, list[Node]]:
    """The nodes by the number of their parent."""
    found: dict[int, list[Node]] = {}
    for node in nodes:
        found.setdefault(node.parent, []).append(node)
    return found


@pytest.fixture(scope="module")
def huge() -> Report:
    return reports.huge()


@pytest.mark.parametrize("make", [reports.report, reports.hostile, reports.huge])
def test_boxes_add_up_to_every_byte(make: Any) -> None:
    """Of each box, live and dead bytes and files are those of the boxes in it; in all, those of the image."""
    report: Report = make()
    nodes = tree(report.account)
    assert (nodes[0].size, nodes[0].dead) == (report.account.unpacked, report.account.dead_bytes)
    assert [node.number for node in nodes] == list(range(len(nodes)))
    for parent, inner in children(nodes).items():
        if parent >= 0:
            around = nodes[parent]
            assert parent < min(node.number for node in inner)
            for field in ("size", "dead", "files"):
                assert sum(getattr(node, field) for node in inner) == getattr(around, field)


@pytest.mark.parametrize("make", [reports.report, reports.hostile, reports.huge])
def test_layers_are_boxes_of_what_they_hold(make: Any) -> None:
    """The boxes directly in the image are its layers, in full."""
    account: Account = make().account
    layers = {node.layer: node.size for node in children(tree(account))[0]}
    assert layers == {number: held for number, held in enumerate(account.held) if held}


def test_boxes_are_bounded(huge: Report) -> None:
    """Two hundred thousand files are as many boxes as can be drawn; what is too small says how many files it is."""
    nodes = tree(huge.account)
    assert 600 < len(nodes) <= MOST
    assert any(node.rest and node.files > 10 and not node.dead for node in nodes)
    assert any(node.rest and node.dead == node.size for node in nodes)


def test_bounds_hold_at_their_worst() -> None:
    """Every folder with live and dead rests, and more layers than boxes: still no more than can be drawn."""
    many = [(f"d{folder}/{file}", 10) for folder in range(900) for file in range(4)]
    rests = reports.taken(reports.layer(1, "", many), reports.layer(2, "", [], [path for path, _ in many[::2]]))
    layers = reports.taken(*(reports.layer(number, "", [(f"file{number}", 1)]) for number in range(2500)))
    for account in (rests, layers):
        nodes = tree(account)
        assert len(nodes) <= MOST
        assert nodes[0].size == account.unpacked == sum(node.size for node in children(nodes)[0])


def test_page_of_many_files_is_bounded(huge: Report) -> None:
    """All that a page says, plotly apart, is less than 2 MB, whatever the image holds."""
    text = page(huge)
    largest = max(Outline(text).scripts, key=len)
    assert len(text.encode()) - len(largest.encode()) < 2_000_000


def test_lone_folders_share_a_box() -> None:
    """A folder with nothing but a folder in it needs no box of its own."""
    nodes = tree(reports.plain({"usr/local/go/bin/go": 5, "usr/local/go/VERSION": 1}).account)
    assert [node.name for node in nodes] == ["", "", "usr/local/go", "bin", "go", "VERSION"]
    assert nodes[2].path == "usr/local/go"


def test_endless_depth_is_read() -> None:
    """A path of two thousand folders neither ends the program nor makes two thousand boxes."""
    nodes = tree(reports.plain({"a/" * 2000 + "file": 7}).account)
    assert [node.size for node in nodes] == [7, 7, 7, 7]


def test_nothing_is_a_page_as_well() -> None:
    """An image without a byte, without history, without anything to compare with: tables, no chart, no script."""
    text = page(Report("example/empty:1", "", reports.taken(reports.layer(1, "", []))))
    assert "<script" not in text
    assert "script-src 'none'" in text
    assert "NaN" not in text
    assert "0 Bytes" in text


def test_same_report_same_bytes() -> None:
    """Nothing of a page comes from a clock, a counter or the order of a set."""
    assert page(reports.report()) == page(reports.report())


@pytest.mark.parametrize("make", [reports.report, reports.hostile])
def test_page_is_well_formed_whatever_it_names(make: Any) -> None:
    """Names make no elements, no attributes and no scripts; the page can be encoded."""
    text = page(make())
    assert text.encode("utf-8")
    outline = Outline(text)
    assert outline.open == []
    assert outline.tags.count("script") == 4
    assert not {"img", "a", "iframe", "object", "link"} & set(outline.tags)
    assert not {name for name in outline.attributes if name.startswith("on")}
    assert "\u202e" not in text


def test_names_are_seen_as_they_are() -> None:
    """What is hidden, reorders or breaks a line is an escape; what people read stays."""
    assert names.shown("ok-\udcff") == "ok-\\xff"
    assert names.shown("a\u202eb\nc\x1b") == "a\\u202eb\\nc\\u001b"
    assert names.shown("\ud800\U000e0041") == "\\ud800\\U000e0041"
    assert names.shown("שלום/日本/é 🚀") == "שלום/日本/é 🚀"
    assert names.path("") == "/"
    assert names.instruction("RUN a \\\n\n   b", 1) == "RUN a \\ b"
    assert names.instruction(" ", 3) == "layer 3"


@pytest.mark.parametrize("name", ["x" * 5000, "\u202e" * 5000, "\udcff" * 90])
def test_long_names_are_cut_in_the_middle(name: str) -> None:
    """Escapes count as what they take."""
    assert len(names.shown(name, 100)) == 100
    assert "…" in names.shown(name, 100)


@pytest.mark.parametrize("make", [reports.report, reports.hostile])
def test_plotly_knows_every_attribute(make: Any) -> None:
    """The charts are valid figures of plotly's, once the names of colours are colours."""
    import plotly.graph_objects  # type: ignore[import-untyped]  # it has no annotations

    def painted(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: painted(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [painted(one, key) for one in value]
        return LIGHT[value] if key.endswith(("color", "colors")) else value

    report: Report = make()
    for figure in (charts.treemap(report, tree(report.account)), charts.trend(report.trend)):
        plotly.graph_objects.Figure(painted(figure))


def test_colours_are_the_same_in_light_and_dark() -> None:
    """What has a colour by day has one by night."""
    assert LIGHT.keys() == DARK.keys()


def test_dead_boxes_are_hatched() -> None:
    """A box that is dead as a whole has a pattern, and no other has."""
    report = reports.report()
    nodes = tree(report.account)
    (trace,) = charts.treemap(report, nodes)["data"]
    hatched = [node.number for node, shape in zip(nodes, trace["marker"]["pattern"]["shape"], strict=True) if shape]
    assert hatched == [node.number for node in nodes if node.dead and node.dead == node.size]
    assert {nodes[number].path for number in hatched} >= {"usr/bin/gcc", "opt/foo/bin/foo"}


def test_boxes_tell_exact_bytes_writer_and_hider() -> None:
    """A pointer on a dead file is answered with its bytes, what wrote it and what hid it."""
    (trace,) = charts.treemap(reports.report(), tree(reports.report().account))["data"]
    (told,) = [text for text in trace["customdata"] if "<b>/usr/libexec/cc1plus</b>" in text and "by" in text]
    assert "9,300,000 bytes (9.3 MB)" in told
    assert "<br>written by RUN apk add gcc<br>" in told
    assert told.replace("<br>", " ").endswith(" dead: removed with its folder by RUN apk del gcc")


def test_policy_allows_the_scripts_of_the_page_alone() -> None:
    """The digests in the policy are those of plotly and of the page's script; nothing may be fetched."""
    text = page(reports.report())
    outline = Outline(text)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy
    allowed = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in outline.scripts[2:]
    ]
    assert policy[1].startswith(f"default-src 'none'; script-src {' '.join(allowed)};")


def test_headline_has_every_number_by_its_name() -> None:
    """Six numbers, exact where a pointer rests on them."""
    report = reports.report()
    text = page(report)
    for name in ("unpacked", "pull", "unique", "dead", "layers", "change"):
        assert f"<dt>{name}</dt>" in text
    assert f'title="{report.account.unpacked:,} bytes"' in text
    assert f'title="{report.account.dead_bytes:,} bytes"' in text
    assert "above example/alpine:latest" in text
    assert "against example/foo:1.4.0" in text


def test_pull_is_of_the_chain_or_of_the_layers_or_not_known() -> None:
    """The registry's number goes before the sum of the blobs; a layer without a blob leaves it open."""
    report = reports.report()
    assert report.pull == 17_600_300
    assert replace(report, chain=()).pull == 3_200_000 + 5_000_000 + 4_000_000 + 4_000_000 + 300 + 1_400_000
    assert reports.plain({"a": 1}).pull is None


def test_long_tables_fold_and_end() -> None:
    """Of a thousand packages, a few are seen at once, a hundred are there, and the rest is counted."""
    report = replace(reports.report(), packages=tuple(Package(f"p{n}", "1", n + 1) for n in range(1000)))
    text = page(report)
    assert text.count('<code dir="ltr">p') == 100
    assert "90 more" in text
    assert "and 900 smaller ones" in text


def test_folders_that_say_no_more_than_one_below_are_left_out() -> None:
    """A gain is told once, by the innermost folder that has nearly all of it."""
    gains = [Gain("", 0, 100), Gain("usr", 0, 100), Gain("usr/lib", 0, 60), Gain("usr/bin", 0, 40), Gain("etc", 5, 0)]
    assert [gain.name for gain in telling(gains)] == ["usr", "usr/lib", "usr/bin", "etc"]


@pytest.mark.parametrize("highest", [0, 1, 3, 9, 17, 29, 30, 59, 99, 149_000_000, 6_000_000_000, 10**15])
def test_trend_has_round_marks_up_to_its_highest(highest: int) -> None:
    """No axis without marks, none with a crowd of them."""
    axis = charts.trend([Point("1", "", "", highest), Point("2", "", "", 0)])["layout"]["yaxis"]
    assert axis["tickvals"][0] == 0
    assert axis["tickvals"][-1] <= highest
    assert 1 <= len(axis["tickvals"]) <= 10


def test_plotly_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error says what to install."""
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(TinyshipError, match="needs plotly") as raised:
        page(reports.report())
    assert "pip install 'tinyship[report]'" in str(raised.value)


def test_plotly_is_loaded_only_for_a_page() -> None:
    """Importing what makes pages costs nobody the time of plotly."""
    code = "import sys, tinyship.sizes.report.page, tinyship.sizes.markdown; print('plotly' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_letters_from_right_to_left_leave_the_size_where_it_is() -> None:
    """In a box, a name of any script is set apart from the number behind it."""
    name = "\u05d0\u05d1"
    report = reports.plain({name: 5})
    (trace,) = charts.treemap(report, tree(report.account))["data"]
    assert trace["labels"][-1] == f"\u2066{name}\u2069  5 Bytes"
