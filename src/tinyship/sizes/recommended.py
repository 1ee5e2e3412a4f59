"""Packages of Debian's kin that nobody asked for and nothing depends on: apt brought them as recommendations.

Source: the Debian policy manual, "Declaring relationships between packages"; apt-get(8), ``--no-install-recommends``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from tinyship.sizes import databases
from tinyship.sizes.account import Account
from tinyship.sizes.packages import Packages, texts

_INSTALLS = re.compile(r"\bapt(?:-get)?\b[^;&|]{0,300}\s(?:install|upgrade)\b")
_UNTOLD = re.compile(r"no-install-recommends|Install-Recommends|\s\$")
_WORD = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_STATUS = "var/lib/dpkg/status"


def find(account: Account, packages: Packages, *, base: int = 0) -> frozenset[int]:
    """The indexes of packages that are only recommended by those that an instruction names, or by what these bring.

    An instruction that does not name what it installs, as one with a variable does, is not judged.

    Args:
        base: how many layers, from the first, belong to the base image.
    """
    indexes = {one.name: at for at, one in enumerate(packages.packages) if one.manager == "dpkg"}
    judged = {
        number: set(_WORD.findall(layer.instruction)) & indexes.keys()
        for number, layer in enumerate(account.image.layers)
        if number >= base and _INSTALLS.search(layer.instruction) and not _UNTOLD.search(layer.instruction)
    }
    status = texts(account).get(_STATUS)
    if not status or not any(judged.values()):
        return frozenset()
    needs, recommends = _relations(databases.paragraphs(status), indexes)
    by_layer: dict[int | None, set[str]] = defaultdict(set)
    for one in packages.packages:
        if one.name in indexes:
            by_layer[one.layer].add(one.name)
    asked = {name for number, names in by_layer.items() if number not in judged for name in names}
    asked = asked.union(*judged.values())
    needed = _reached(asked, needs)
    found: set[int] = set()
    for number, named in judged.items():
        brought = _reached(named, needs, recommends)
        found |= {indexes[name] for name in by_layer[number] & brought - needed}
    return frozenset(found)


def _relations(
    paragraphs: Iterable[Mapping[str, str]], installed: Mapping[str, int]
) -> tuple[Mapping[str, set[str]], Mapping[str, set[str]]]:
    """What each package depends on and what it recommends, of those that are installed; any alternative will do."""
    every = [(fields.get("Package", ""), fields) for fields in paragraphs]
    providers: dict[str, set[str]] = defaultdict(set)
    for name, fields in every:
        for provided in (name, *_names(fields.get("Provides", ""))):
            if name in installed:
                providers[provided].add(name)
    needs: dict[str, set[str]] = defaultdict(set)
    recommends: dict[str, set[str]] = defaultdict(set)
    for name, fields in every:
        for field, found in (("Pre-Depends", needs), ("Depends", needs), ("Recommends", recommends)):
            for other in _names(fields.get(field, "")):
                found[name] |= providers.get(other, set())
    return needs, recommends


def _names(relation: str) -> Iterator[str]:
    """The names in ``a (>= 1), b:any | c``."""
    for one in re.split(r"[,|]", relation):
        if words := one.split(None, 1):
            yield words[0].partition("(")[0].partition(":")[0]


def _reached(begin: Iterable[str], *relations: Mapping[str, set[str]]) -> set[str]:
    """What is to be had from some packages along relations, with themselves."""
    found = set(begin)
    waiting = list(found)
    while waiting:
        name = waiting.pop()
        new = {other for relation in relations for other in relation.get(name, ())} - found
        found |= new
        waiting += new
    return found
