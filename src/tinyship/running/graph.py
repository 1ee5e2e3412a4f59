"""What needs what, of anything that has a name: an order in which it can be made, the way that a circle takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Circle(ValueError):
    """Some need each other.

    Args:
        path: the way round, with the first again as the last: ``("api", "base", "api")``.
    """

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(" -> ".join(path))
        self.path = path


def order(needs: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """All names, each after those that it needs, and as they were given where that decides nothing.

    Args:
        needs: of each name the names that it needs; those that are no key are passed over.

    Raises:
        Circle: there is no such order.
    """
    found: dict[str, None] = {}
    for start in needs:
        # The names on the way from `start` to where we are, each with those that it needs and we did not look at.
        way = {start: iter(tuple(needs[start]))} if start not in found else {}
        while way:
            here, rest = next(reversed(way.items()))
            name = next((name for name in rest if name in needs and name not in found), None)
            if name is None:
                found[here] = None
                del way[here]
            elif name in way:
                names = list(way)
                raise Circle((*names[names.index(name) :], name))
            else:
                way[name] = iter(tuple(needs[name]))
    return tuple(found)


def closure(needs: Mapping[str, Iterable[str]], names: Iterable[str]) -> frozenset[str]:
    """These names and all that they need, and those need, and so on."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += needs.get(name, ())
    return frozenset(found)


def turned(needs: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Of each name the names that need it."""
    return {name: tuple(other for other in needs if name in set(needs[other])) for name in needs}
