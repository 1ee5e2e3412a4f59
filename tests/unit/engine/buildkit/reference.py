"""What contexts must come out as, in the slowest and plainest words, and trees to try it on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from hypothesis import strategies as st

# Ignore files: match by trying all splits, character by character, with neither expressions nor memory.


def _glob(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern.startswith("**"):
        rest = pattern[2:].removeprefix("/")
        if not rest:
            return "\n" not in text
        starts = [0, *(index + 1 for index, character in enumerate(text) if character == "/")]
        return any(_glob(rest, text[start:]) for start in starts if "\n" not in text[:start])
    if pattern[0] == "*":
        upto = text.find("/") if "/" in text else len(text)
        return any(_glob(pattern[1:], text[start:]) for start in range(upto + 1))
    if not text:
        return False
    if pattern[0] == "?":
        return text[0] != "/" and _glob(pattern[1:], text[1:])
    if pattern[0] == "\\":
        return text[0] == pattern[1] and _glob(pattern[2:], text[1:])
    if pattern[0] == "[":
        body, _, rest = pattern[1:].partition("]")
        members = body.removeprefix("^")
        chosen = members[0] <= text[0] <= members[2] if "-" in members else text[0] in members
        return chosen != body.startswith("^") and _glob(rest, text[1:])
    return pattern[0] == text[0] and _glob(pattern[1:], text[1:])


def hits(pattern: str, path: str) -> bool:
    """Whether a pattern without `!` matches a path itself. A `**` at one end of literal text compares strings."""
    special = set("*?[]\\")
    if pattern.startswith("**") and not set(pattern[2:]) & special:
        return f"/{path}".endswith(pattern[2:])
    if pattern.endswith("**") and not set(pattern[:-2]) & special:
        return path.startswith(pattern[:-2])
    return _glob(pattern, path)


def ignored(patterns: Sequence[str], path: str) -> bool:
    """Whether patterns ignore a path, judged folder by folder; what can change nothing is not tried."""
    parts = path.split("/")
    holding: set[int] = set()
    outcome = False
    for depth in range(len(parts)):
        above, holding, outcome = holding, set(), False
        for number, pattern in enumerate(patterns):
            reopens = pattern.startswith("!")
            tried = reopens is outcome and hits(pattern.removeprefix("!"), "/".join(parts[: depth + 1]))
            if tried or number in above:
                holding.add(number)
                outcome = not reopens
    return outcome


pieces = st.sampled_from(["a", "b", ".", "*", "?", "**", "[a-b]", "[^a]", "[ab]", "\\*", "\\."])
names = st.text("ab*.\n", min_size=1, max_size=3).filter(lambda name: name.strip(".") != "")
paths = st.lists(names, min_size=1, max_size=4).map("/".join)
_segments = st.lists(pieces, min_size=1, max_size=3).map("".join).filter(lambda part: part not in {".", ".."})
patterns = st.builds(
    lambda mark, parts: mark + "/".join(parts), st.sampled_from(["", "!"]), st.lists(_segments, min_size=1, max_size=3)
)

# Trees: what is in them, and what a walk must give.

_tree_names = st.sampled_from(
    ["a", "b", "ab", "a-b", "a.b", "a b", "A", "é", "\U0001f600", "\uffee", "a\udcff", "\udc80", "_"]
)
tree_paths = st.lists(_tree_names, min_size=1, max_size=3).map("/".join)
tree_patterns = st.builds(
    lambda mark, parts: mark + "/".join(parts),
    st.sampled_from(["", "!"]),
    st.lists(st.sampled_from(["a", "b", "*", "**", "a*", "?", "[ab]", "*b", "é"]), min_size=1, max_size=3),
)
_targets = st.builds(
    lambda up, path: up + path,
    st.sampled_from(["", "/", "../", "../../"]),
    st.one_of(st.just("a"), st.just("b"), st.just("ab/a"), tree_paths),
)
trees = st.lists(st.tuples(tree_paths, st.one_of(st.none(), st.just(""), _targets)), max_size=14)
"""Paths, each of a folder (None), a file (nothing), or a link (where it leads)."""


def plant(root: Path, tree: Iterable[tuple[str, str | None]]) -> None:
    """Make a tree; what finds something else in its place is left out."""
    for path, target in tree:
        full = root / path
        above = [root.joinpath(*Path(path).parts[:depth]) for depth in range(1, len(Path(path).parts))]
        if os.path.lexists(full) or any(os.path.lexists(one) and (one.is_symlink() or one.is_file()) for one in above):
            continue
        full.parent.mkdir(parents=True, exist_ok=True)
        if target is None:
            full.mkdir()
        elif target:
            full.symlink_to(target)
        else:
            full.touch()


def everything(root: Path) -> list[str]:
    """All paths below a folder, in no order; links are not followed."""
    found = []
    for folder, folders, files in os.walk(root):
        found += [os.path.relpath(f"{folder}/{name}", root) for name in (*folders, *files)]
    return found


def with_parents(chosen: Iterable[str]) -> list[str]:
    """Paths and the folders above them, in the protocol's order: as lists of names, byte by byte."""
    parts = [path.split("/") for path in chosen]
    every = {"/".join(one[:depth]) for one in parts for depth in range(1, len(one) + 1)}
    return sorted(every, key=lambda path: [os.fsencode(part) for part in path.split("/")])


def check_order(walked: Iterable[str]) -> None:
    """Check as the receiver does: each path comes after its folder, and after the sibling before it in bytes."""
    open_folders: list[tuple[str, bytes]] = [("", b"")]
    for path in walked:
        above, _, name = path.rpartition("/")
        while open_folders[-1][0] != above:
            open_folders.pop()
            assert open_folders, f"{path} comes without, or too late after, its folder"
        assert open_folders[-1][1] < os.fsencode(name), f"{path} comes too late"
        open_folders[-1] = (above, os.fsencode(name))
        open_folders.append((path, b""))


def resolved(root: Path, path: str) -> list[str]:
    """The links on the way to a path and its end, as a kernel finds them to which the folder is all there is."""
    found: list[str] = []
    at: list[str] = []
    todo = path.split("/")[::-1]
    while todo:
        name = todo.pop()
        if name in {"", "."}:
            continue
        if name == "..":
            at = at[:-1]
            continue
        full = root.joinpath(*at, name)
        if not full.is_symlink():
            at.append(name)
            continue
        if len(found) > 100:
            return found
        found.append("/".join([*at, name]))
        target = os.readlink(full)  # noqa: PTH115
        at = [] if target.startswith("/") else at
        todo += target.split("/")[::-1]
    return [*found, "/".join(at)]
