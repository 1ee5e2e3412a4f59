"""What needs what: orders, circles, and what a choice takes with it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyship.running import graph

NAMES = [f"n{number}" for number in range(8)]


@st.composite
def without_circles(draw: st.DrawFn) -> dict[str, list[str]]:
    """What needs what, where each needs only such as come before it in a hidden order, and is given in another one."""
    hidden = draw(st.permutations(NAMES))
    needs = {name: draw(st.lists(st.sampled_from(hidden[:at]))) if at else [] for at, name in enumerate(hidden)}
    return {name: needs[name] for name in draw(st.permutations(NAMES))}


ANY = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3))


@given(without_circles())
def test_each_comes_after_what_it_needs(needs: dict[str, list[str]]) -> None:
    """All are there, once, and none before one that it needs."""
    found = graph.order(needs)
    assert sorted(found) == sorted(needs)
    assert all(found.index(below) < found.index(name) for name in needs for below in needs[name])


@given(st.permutations(NAMES))
def test_order_is_kept_where_nothing_is_needed(names: list[str]) -> None:
    """Without needs, and with those that are met already, the order is the given one."""
    assert graph.order(dict.fromkeys(names, ())) == tuple(names)
    assert graph.order({name: names[:at] for at, name in enumerate(names)}) == tuple(names)


@given(ANY)
def test_there_is_an_order_or_a_circle(needs: dict[str, list[str]]) -> None:
    """A circle is a way that really is there, and ends where it began, with no name twice in between."""
    try:
        assert set(graph.order(needs)) == set(needs)
    except graph.Circle as circle:
        path = circle.path
        assert path[0] == path[-1]
        assert len(set(path)) == len(path) - 1
        assert all(below in needs[name] for name, below in pairwise(path))


def test_a_circle_says_its_way() -> None:
    """What leads into the circle is not part of it."""
    with pytest.raises(graph.Circle, match=r"^api -> base -> api$"):
        graph.order({"web": ["api"], "api": ["base"], "base": ["api"]})
    with pytest.raises(graph.Circle, match=r"^api -> api$"):
        graph.order({"api": ["api"]})


def test_a_diamond() -> None:
    """The lowest comes first, the highest last."""
    assert graph.order({"top": ["left", "right"], "right": ["low"], "left": ["low"], "low": []}) == (
        "low",
        "left",
        "right",
        "top",
    )


def test_long_chains() -> None:
    """A chain longer than Python's stack is deep is no difficulty."""
    needs = {str(number): [str(number + 1)] for number in range(5000)} | {"5000": []}
    assert graph.order(needs)[0] == "5000"


def test_strangers_are_passed_over() -> None:
    """What is needed and not there is somebody else's."""
    assert graph.order({"api": ["elsewhere"]}) == ("api",)


@given(ANY, st.lists(st.sampled_from(NAMES)))
def test_closure(needs: dict[str, list[str]], names: list[str]) -> None:
    """It holds what was named and what that needs, needs nothing outside, and nothing can be left out of it."""
    found = graph.closure(needs, names)
    assert set(names) <= found
    assert all(below in found for name in found for below in needs.get(name, ()))
    assert all(name in names or any(name in needs.get(other, ()) for other in found) for name in found)


@given(without_circles())
def test_turned(needs: dict[str, list[str]]) -> None:
    """Who needs a name, and whom it needs, are the same pairs."""
    pairs = {(name, below) for name, some in needs.items() for below in some}
    assert {(name, below) for below, some in graph.turned(needs).items() for name in some} == pairs
