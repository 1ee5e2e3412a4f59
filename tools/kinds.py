"""The kinds of engine that tinyship is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of engine.

    Args:
        name: as it is chosen by.
        suite: the code name of the suite of Debian's that it comes from; empty for the engine that is installed.
        store: where a Docker engine keeps its images; None for wherever it does by itself.
        program: what serves.
    """

    name: str
    suite: str = ""
    store: Literal["graph-driver", "containerd"] | None = None
    program: Literal["dockerd", "podman"] = "dockerd"


INSTALLED = Kind("installed")
"""The engine of `./dev` where there is no other."""

KINDS = (
    Kind("20.10", "bookworm", "graph-driver"),
    Kind("26", "trixie", "graph-driver"),
    Kind("26-containerd", "trixie", "containerd"),
    Kind("sid", "sid", "graph-driver"),
    Kind("sid-containerd", "sid", "containerd"),
    Kind("podman", program="podman"),
)
"""Those of the matrix. trixie and bookworm stand still, so that they go by their version; sid moves."""


def choose(words: str, *, smoke: bool = False) -> Sequence[tuple[Kind, bool]]:
    """The kinds that a list names, in its order, each with whether the smoke set is enough there.

    Args:
        words: like ``20.10,26:smoke``, or ``all``.
        smoke: the smoke set is enough everywhere.

    Raises:
        SystemExit: one of them is none; names those that are.
    """
    known = {kind.name: kind for kind in KINDS}
    wanted: dict[str, bool] = {}
    for word in filter(None, (word.strip() for word in words.split(","))):
        name, colon, which = word.partition(":")
        if (name not in known and name != "all") or (colon and which != "smoke"):
            raise SystemExit(f"dev: there is no engine {word}\ndev: there are {', '.join(known)}; `all` is all of them")
        for each in known if name == "all" else (name,):
            wanted[each] = smoke or bool(colon)
    if not wanted:
        raise SystemExit(f"dev: no engine is named\ndev: there are {', '.join(known)}; `all` is all of them")
    return [(known[name], only_smoke) for name, only_smoke in wanted.items()]
