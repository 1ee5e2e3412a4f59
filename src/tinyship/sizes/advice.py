"""What would make an image smaller, and by how many bytes: each saving is measured in its layers, none is guessed.

No byte is claimed twice: a file is what its place says it is, else a copy of another one, else a program with symbols.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Final

from tinyship.sizes import recommended, saying
from tinyship.sizes.account import Account, Dead, File
from tinyship.sizes.leftovers import RULES, Places, is_build_tool
from tinyship.sizes.packages import NONE, Packages
from tinyship.sizes.tar import FILE, FOLDER, OTHER

_EXAMPLES = 5
_SMALLEST_COPY = 4096
_BUILT = {"headers", "static"}
_NOT_LIVE = {"package-database"}
_NAMED = {"build-tools", "recommended"}
_HOW: Final = {
    "overwritten": "overwritten",
    "replaced": "overwritten",
    "metadata": "metadata",
    "removed": "removed",
    "removed with its folder": "removed",
    "folder emptied": "removed",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """A change that makes an image smaller.

    Args:
        rule: its name.
        text: what to do, in words.
        saving: bytes of the unpacked image, measured.
        layer: the number of the layer, from 0, that holds them.
        instruction: that made it; empty where that is not known.
        paths: the largest of the files in question.
        hidden: the number of the layer that hides them; None where the final filesystem shows them.
        lint: the codes of a linter's findings that say the same.
        line: of the Dockerfile that a linter found it at; None where none did.
    """

    rule: str
    text: str
    saving: int
    layer: int
    instruction: str
    paths: tuple[str, ...]
    hidden: int | None = None
    lint: tuple[str, ...] = ()
    line: int | None = None


@dataclass(slots=True)
class _Saving:
    """What one rule saves in one layer."""

    bytes: int = 0
    files: list[tuple[int, str]] = field(default_factory=list)
    packages: dict[str, int] = field(default_factory=dict)

    def add(self, size: int, path: str, package: str = "") -> None:
        self.bytes += size
        self.files.append((size, path))
        if package:
            self.packages[package] = self.packages.get(package, 0) + size


def advise(account: Account, packages: Packages, *, base: int = 0) -> tuple[Advice, ...]:
    """What would make an image smaller, the largest saving first.

    Args:
        packages: of that image.
        base: how many layers, from the first, belong to the base image: what those hold cannot be mended here.
    """
    places = Places()
    found: dict[tuple[str, int, int | None], _Saving] = defaultdict(_Saving)
    for dead in account.dead:
        found[_rule_of(dead, places), dead.written, dead.hidden].add(dead.size, dead.path)
    names = array("l", bytes(array("l").itemsize * len(account.sizes)))
    unasked = recommended.find(account, packages, base=base)
    rules = _rules(account, packages, places, names, unasked)
    rest = []
    for file in account.files:
        if file.size:
            rule = rules.get(file.inode)
            if rule:
                owner = packages.of(file.inode) if rule in _NAMED else None
                found[rule, file.layer, None].add(file.size, file.path, owner.name if owner else "")
            else:
                rest.append(file)
    copies = set()
    for rule, file, size in _copies(account, rest, names):
        copies.add(file.inode)
        found[rule, file.layer, None].add(size, file.path)
    for file in rest:
        spare = account.strippable.get(file.inode)
        if spare and file.inode not in copies:
            found["symbols", file.layer, None].add(spare, file.path)
    every = (_advice(account, base, *key, saving) for key, saving in found.items() if saving.bytes > 0)
    return tuple(sorted(every, key=lambda one: (-one.saving, one.layer, one.rule, one.hidden or 0)))


def _advice(account: Account, base: int, rule: str, layer: int, hidden: int | None, saving: _Saving) -> Advice:
    layers = account.image.layers
    instruction = layers[layer].instruction
    later = None if hidden is None else saying.shown(layers[hidden].instruction, hidden)
    return Advice(
        rule=rule,
        text=saying.text(
            rule,
            saving.bytes,
            instruction,
            layer,
            later,
            packages=sorted(saving.packages, key=lambda name: (-saving.packages[name], name)),
            in_base=layer < base,
        ),
        saving=saving.bytes,
        layer=layer,
        instruction=instruction,
        paths=tuple(path for _, path in nlargest(_EXAMPLES, saving.files)),
        hidden=hidden,
    )


def _rule_of(dead: Dead, places: Places) -> str:
    """Why dead bytes are there."""
    how = _HOW[dead.cause]
    place = places.at(dead.path) if how != "metadata" else None
    if place and ((how == "removed" and place.cache) or (how == "overwritten" and place.rule == "package-database")):
        return place.rule
    return how


def _rules(
    account: Account, packages: Packages, places: Places, names: array[int], unasked: Container[int]
) -> dict[int, str]:
    """What is left over, by inode: only what all the paths of an inode agree on, as one that stays keeps its bytes.

    Args:
        names: takes how many paths show each inode.
        unasked: the packages that are only recommended.
    """
    tools = [is_build_tool(package) for package in packages.packages]
    found: dict[int, str] = {}
    for path, kind, _, _, inode in account.files:
        if kind in {FOLDER, OTHER}:
            continue
        place = places.at(path)
        rule = place.rule if place else ""
        if rule == "docs" and kind != FILE:
            rule = ""  # links to folders with a licence in them
        owner = packages.owners[inode]
        if owner != NONE:
            if owner in unasked:
                rule = "recommended"
            elif rule == "archives":
                rule = ""
            elif tools[owner] and (not rule or rule in _BUILT):
                rule = "build-tools"
        names[inode] += 1
        if rule in _NOT_LIVE or (names[inode] > 1 and found.get(inode) != rule):
            rule = ""
        if rule:
            found[inode] = rule
        elif inode in found:
            del found[inode]
    return found


def _copies(account: Account, files: list[File], names: array[int]) -> Iterator[tuple[str, File, int]]:
    """Files of which another one has the content: the rule, the file, and the bytes that a link in its place saves."""
    alike: dict[tuple[int, int], list[File]] = defaultdict(list)
    for file in files:
        if file.kind == FILE and file.size >= _SMALLEST_COPY:
            alike[file.size, account.prints[file.inode]].append(file)
    for same in alike.values():
        if len(same) > 1:
            first = min(same, key=lambda file: (file.layer, file.path))
            link = len(f"/{first.path}".encode("utf-8", "surrogateescape"))
            for file in same:
                if file is not first:
                    near = file.layer == first.layer
                    yield (
                        "copies" if near else "copies-of-below",
                        file,
                        file.size if near else file.size - link * names[file.inode],
                    )


__all__ = ["RULES", "Advice", "advise"]
