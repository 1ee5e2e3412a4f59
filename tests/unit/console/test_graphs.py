"""The graph of images as a tree, as Mermaid, and as data."""

from __future__ import annotations

import json
import re

import pytest

from tinyship.console import graphs
from tinyship.errors import ConfigError
from tinyship.lineage import Edge, Layer, Lineage, Node

OS, LIBS, TOOL, OWN = Layer("os", 1_000_000), Layer("libs", 200_000), Layer("tool", 5_000_000), Layer("api", 30_000)
GRAPH = Lineage(
    (
        Node("lacion/base:latest", "base", ("lacion/api", "lacion/web"), "1", (OS, LIBS)),
        Node("lacion/api:build", "build", ("lacion/api",), "2", (OS, TOOL)),
        Node("lacion/api:1.0", "release", ("lacion/api",), "3", (OS, LIBS, OWN)),
        Node("lacion/web:local", "release", ("lacion/web",)),
        Node("alpine:3.22", "external", (), "4", (Layer("unread", None),)),
    ),
    (
        Edge("lacion/base:latest", "alpine:3.22", "FROM"),
        Edge("lacion/api:build", "lacion/base:latest", "FROM"),
        Edge("lacion/api:1.0", "lacion/base:latest", "FROM"),
        Edge("lacion/api:1.0", "lacion/api:build", "artifacts"),
        Edge("lacion/web:local", "lacion/base:latest", "FROM"),
    ),
    ("Dockerfile:3: `$BASE` is not known before it is built",),
)
TREE = """\
image                                  stage     unpacked  unique  layers  shared
lacion/api:1.0                         release    1.23 MB   30 kB       3
├─ FROM lacion/base:latest             base        1.2 MB  1.2 MB       2  2 layers, 1.2 MB
│  └─ FROM alpine:3.22                 external         -       -       1  nothing: made from another one
└─ artifacts of lacion/api:build       build         6 MB    5 MB       2  1 of 2 layers, 1 MB
   └─ FROM lacion/base:latest (above)  base        1.2 MB  1.2 MB       2  1 of 2 layers, 1 MB: made from another one
lacion/web:local                       release    missing       -       -
└─ FROM lacion/base:latest (above)     base        1.2 MB  1.2 MB       2  -

all: 6.23 MB unpacked, 4 layers of 3 images, each once, 8.43 MB if none were shared; 2 more are not counted
releases: 1.23 MB unpacked, 3 layers of 1 image, each once; 1 more is not counted
not in this engine: lacion/web:local
not weighed yet: alpine:3.22
note: Dockerfile:3: `$BASE` is not known before it is built"""


def test_tree() -> None:
    """Each image below those that stand on it; what was shown in full before is only named; what is missing is said."""
    assert list(graphs.tree(GRAPH)) == TREE.splitlines()


def test_tree_of_nothing_known() -> None:
    """Without an engine there are no sizes, and no totals that say nothing."""
    shown = graphs.tree(Lineage((Node("lacion/foo:local", "release"),)))
    assert "all: not known" in shown
    assert "not in this engine: lacion/foo:local" in shown


def test_tree_of_a_ring() -> None:
    """It ends."""
    nodes = (Node("a", "release", (), "1", (OS,)), Node("b", "release", (), "2", (OS,)))
    shown = graphs.tree(Lineage(nodes, (Edge("a", "b", "FROM"), Edge("b", "a", "FROM"))))
    assert [re.split(r"  +(?=release)", line)[0] for line in shown[1:4]] == ["a", "└─ FROM b", "   └─ FROM a (above)"]


def test_mermaid() -> None:
    """A node for each image, an arrow to what it stands on; solid where layers are."""
    lines = graphs.mermaid(GRAPH)
    assert lines[0] == "flowchart TD"
    assert '  i2["lacion/api:1.0<br/>release, 1.23 MB unpacked"]:::release' in lines
    assert '  i3["lacion/web:local<br/>release, not in this engine"]:::missing' in lines
    assert '  i4["alpine:3.22<br/>external, not weighed yet"]:::external' in lines
    assert '  i2 -->|"FROM, shares 2 layers, 1.2 MB"| i0' in lines
    assert '  i2 -.->|"artifacts, shares 1 of 2 layers, 1 MB"| i1' in lines
    assert '  i3 -->|"FROM, shared: not known"| i0' in lines
    assert any(line.startswith('  total["all: 6.23 MB unpacked') for line in lines)


@pytest.mark.parametrize(
    "name",
    [
        'a"b', "a]b[c", "a|b", "`a`", "%%{init: {}}%%", "a;b", "#35;", "<br>", "<script>", "end", "a\nb", "\x1b[31mred",
        "$BASE", "${A:-b}", "ä", "a--b", "a==>b", "click x", "\\", "&amp;", "(a)", "{a}", "@a",
    ],
)  # fmt: skip
def test_odd_names_stay_text(name: str) -> None:
    """Whatever a name is, it stands between two quotes, as letters, harmless signs and numbered entities."""
    drawn = graphs.mermaid(Lineage((Node(name, "external"), Node("b", "base")), (Edge(name, "b", "uses"),)))
    assert drawn[1].endswith('<br/>external, not in this engine"]:::missing')
    label = drawn[1].removeprefix('  i0["').partition("<br/>external")[0]
    assert re.fullmatch(r"(?:[A-Za-z0-9 /:._,@+-]|#\d+;)*", label)
    back = re.sub(r"#(\d+);", lambda match: chr(int(match[1])), label)
    assert back == name.replace("\x1b[31m", "")
    assert len(drawn) == 1 + 2 + 1 + 1 + 5


def test_data() -> None:
    """All of it as JSON, and as one line with --format=json; what is not known is null."""
    (line,) = graphs.drawing("json")(GRAPH)
    data = json.loads(line)
    images = {one["image"]: one for one in data["images"]}
    assert images["lacion/web:local"]["unpacked"] is None
    assert images["lacion/web:local"]["in_engine"] is False
    assert images["lacion/api:1.0"]["layers"][2] == {"digest": "api", "unpacked": 30_000}
    assert images["lacion/api:1.0"]["unique"] == 30_000
    assert data["edges"][2] == {
        "image": "lacion/api:1.0",
        "on": "lacion/base:latest",
        "how": "FROM",
        "shared": {"layers": 2, "of": 2, "unpacked": 1_200_000},
        "stale": False,
    }
    assert data["edges"][4]["shared"] is None
    assert data["total"]["unpacked"] == 6_230_000
    assert data["total"]["missing"] == ["lacion/web:local", "alpine:3.22"]
    assert data["releases"]["layers"] == 3
    assert len(data["notes"]) == 1


def test_formats() -> None:
    """The tree is the default, and another one is an error that names them."""
    assert graphs.drawing("") is graphs.tree
    with pytest.raises(ConfigError, match="`--format=dot`: there are tree, mermaid, json"):
        graphs.drawing("dot")
