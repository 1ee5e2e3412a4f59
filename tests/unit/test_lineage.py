"""The graph of images: what they share, what is their own, and totals in which each layer counts once."""

from __future__ import annotations

import pytest

from tinyship.lineage import Edge, How, Layer, Lineage, Node, Shared, Stage, Total

SIZES = {"os": 1000, "libs": 200, "tool": 5000, "api": 30, "web": 7, "old": 900, "empty": 0}


def node(image: str, stage: Stage, *layers: str) -> Node:
    """An image that the engine has, with these layers."""
    return Node(image, stage, ("ours",), f"id of {image}", tuple(Layer(name, SIZES.get(name)) for name in layers))


def edge(image: str, on: str, how: How = "FROM") -> Edge:
    """What leads from one image to another."""
    return Edge(image, on, how)


BASE = node("base", "base", "os", "libs")
API = node("api", "release", "os", "libs", "api")
WEB = node("web", "release", "os", "libs", "web")
BUILD = node("build", "build", "os", "libs", "tool")
GRAPH = Lineage(
    (BASE, BUILD, API, WEB),
    (edge("api", "base"), edge("web", "base"), edge("build", "base"), edge("api", "build", "artifacts")),
)


def test_each_layer_counts_once() -> None:
    """In the total of all, and in that of the releases."""
    assert GRAPH.total() == Total(4, 5, 6237, 1200 + 6200 + 1230 + 1207)
    assert GRAPH.total("release") == Total(2, 4, 1237, 2437)
    assert GRAPH.total("external") == Total(0, 0, 0, 0)


def test_what_is_shared() -> None:
    """Of a base image all; of a build image whatever both stand on."""
    shared = [GRAPH.shared(one) for one in GRAPH.edges]
    assert shared == [Shared(2, 2, 1200), Shared(2, 2, 1200), Shared(2, 2, 1200), Shared(2, 3, 1200)]


def test_unique_is_what_nothing_below_has() -> None:
    """The layers above all that an image stands on; all of them for one that stands on nothing."""
    assert [GRAPH.unique(one.image) for one in GRAPH.nodes] == [1200, 5000, 30, 7]


def test_an_older_base() -> None:
    """An image that was made from what its base was before shares what is left of it, and is stale."""
    graph = Lineage((node("base", "base", "os", "old"), API), (edge("api", "base"), edge("api", "base", "uses")))
    assert graph.shared(graph.edges[0]) == Shared(1, 2, 1000)
    assert [graph.is_stale(one) for one in graph.edges] == [True, False]
    assert [GRAPH.is_stale(one) for one in GRAPH.edges] == [False] * 4
    assert graph.unique("api") == 230


def test_an_image_that_is_nowhere() -> None:
    """Nothing is said of it, nor of what its absence leaves open; it is told that it is not counted."""
    graph = Lineage((Node("base", "external"), API, BUILD), (edge("api", "base"), edge("build", "base", "uses")))
    assert graph.shared(graph.edges[0]) is None
    assert not graph.is_stale(graph.edges[0])
    assert graph.unique("base") is None
    assert graph.unique("api") is None
    assert graph.unique("build") == 6200  # it names that one, and does not begin with its layers
    assert graph.total() == Total(2, 4, 6230, 7430, ("base",))


def test_a_layer_that_was_not_read() -> None:
    """Its image is there and has no size; what is known of others stays known."""
    graph = Lineage((BASE, node("api", "release", "os", "libs", "unread")), (edge("api", "base"),))
    assert graph.node("api").unpacked is None
    assert graph.unique("api") is None
    assert graph.shared(graph.edges[0]) == Shared(2, 2, 1200)
    assert graph.total() == Total(1, 2, 1200, 1200, ("api",))


def test_a_layer_that_is_there_twice() -> None:
    """Empty layers are all the same one: each place in the one image answers to one in the other."""
    one, other = node("one", "base", "os", "empty", "empty"), node("other", "release", "os", "empty", "api")
    graph = Lineage((one, other), (edge("other", "one"),))
    assert graph.shared(graph.edges[0]) == Shared(2, 3, 1000)
    assert graph.is_stale(graph.edges[0])
    assert graph.total().layers == 3


@pytest.mark.parametrize(
    ("edges", "tops"),
    [
        ((), ["base", "build", "api", "web"]),
        (GRAPH.edges, ["api", "web"]),
        ((edge("api", "web"), edge("web", "api")), ["base", "build", "api"]),
        ((edge("base", "build"), edge("build", "api"), edge("api", "web"), edge("web", "base")), ["base"]),
    ],
)
def test_all_is_below_the_tops(edges: tuple[Edge, ...], tops: list[str]) -> None:
    """Those that nothing stands on; in a ring the first."""
    assert [one.image for one in Lineage(GRAPH.nodes, edges).tops()] == tops
