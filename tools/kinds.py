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


def choose(words: str) -> Sequence[Kind]:
    """The kinds that a comma-separated list names, or ``all``, in the order of KINDS.

    Raises:
        SystemExit: one of them is none; names those that are.
    """
    names = [kind.name for kind in KINDS]
    wanted = {word.strip() for word in words.split(",") if word.strip()}
    unknown = sorted(wanted - {*names, "all"})
    if unknown or not wanted:
        said = f"there is no engine {', '.join(unknown)}" if unknown else "no engine is named"
        raise SystemExit(f"dev: {said}\ndev: there are {', '.join(names)}, and all of them as `all`")
    return [kind for kind in KINDS if kind.name in wanted or "all" in wanted]
