"""Which package each live file of an image belongs to, and what packages really weigh."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tinyship.sizes import databases
from tinyship.sizes.account import Account
from tinyship.sizes.databases import Claim
from tinyship.sizes.layer import normal
from tinyship.sizes.tar import FOLDER, Damaged

NONE = -1
"""The owner of a file that belongs to no package."""

_HOPS = 40


@dataclass(frozen=True, slots=True)
class Package:
    """A package, and what of it the final filesystem shows.

    Args:
        name: as its manager has it; empty for all that belongs to no package.
        version: likewise.
        manager: ``dpkg``, ``apk``, ``python``, or a kind that ``syft`` knows.
        size: live bytes of its files.
        files: how many paths show them, folders not counted.
        layer: the number of the layer, from 0, that holds most of its bytes; None where it has no file.
    """

    name: str
    version: str
    manager: str
    size: int
    files: int
    layer: int | None


@dataclass(frozen=True, slots=True)
class Packages:
    """The packages of an image.

    Args:
        packages: in the order of their databases.
        owners: for each inode the index of its package, or ``NONE``.
        rest: the files of no package.
        notices: databases that could not be read as they stand, in words.
    """

    packages: tuple[Package, ...]
    owners: array[int]
    rest: Package
    notices: tuple[str, ...] = ()

    def of(self, inode: int) -> Package | None:
        """The package of a file, by its inode."""
        owner = self.owners[inode]
        return None if owner == NONE else self.packages[owner]


def sizes(found: Packages) -> Mapping[str, tuple[str, int]]:
    """Version and live bytes of every package, by name and manager; of one that is there several times, all of them."""
    sums: dict[str, tuple[str, int]] = {}
    for one in sorted(found.packages, key=lambda one: one.version):
        name = f"{one.name} ({one.manager})"
        versions, size = sums.get(name, ("", 0))
        known = versions.split(", ") if versions else []
        joined = versions if one.version in known else ", ".join((*known, one.version))
        sums[name] = (joined, size + one.size)
    return sums


def find(account: Account) -> Packages:
    """Read the package databases that the final filesystem shows, and join them to its files.

    One that a layer removed counts as little as the files that it told of; of one that was written again, the last
    copy counts. A file that two packages claim is the first one's.
    """
    paths = {file.path: file.inode for file in account.files if file.kind != FOLDER}
    there = texts(account)
    notices: list[str] = []
    owners = array("l", [NONE]) * len(account.sizes)
    named: list[Claim] = []
    real = _Links(account, paths)
    for read in (databases.dpkg, databases.apk, databases.python):
        damaged: list[str] = []
        for claim in read(there, damaged):
            if read is databases.python and owners[paths[claim.source]] != NONE:
                continue  # a distribution's package of a Python one
            _own(claim, len(named), paths, real, owners)
            named.append(claim)
        if damaged:
            some = ", ".join(f"`/{path}`" for path in sorted(set(damaged))[:3])
            notices.append(f"{some}: damaged, so what belongs to which package is not known in full")
    _adopt_bytecode(account, paths, owners)
    return _weigh(account, [(one.name, one.version, one.manager) for one in named], owners, tuple(notices))


def join(account: Account, packages: Packages, claims: Iterable[Claim], notices: Iterable[str] = ()) -> Packages:
    """Add packages that others know of; what has an owner keeps it, and who then has no file is left out.

    Args:
        claims: the packages to add.
        notices: what else is worth saying.
    """
    paths = {file.path: file.inode for file in account.files if file.kind != FOLDER}
    owners = packages.owners[:]
    named = [(one.name, one.version, one.manager) for one in packages.packages]
    real = _Links(account, paths)
    for claim in claims:
        if _own(claim, len(named), paths, real, owners):
            named.append((claim.name, claim.version, claim.manager))
    return _weigh(account, named, owners, (*packages.notices, *notices))


def texts(account: Account) -> Mapping[str, bytes]:
    """The databases that the final filesystem shows, by path."""
    kept = [layer.contents.kept for layer in account.image.layers]
    known = {path for one in kept for path in one}
    return {
        file.path: kept[file.layer][file.path]
        for file in account.files
        if file.path in known and file.path in kept[file.layer]
    }


def _own(claim: Claim, index: int, paths: Mapping[str, int], real: _Links, owners: array[int]) -> bool:
    """Make a package the owner of those of its files that have none; False where there are none."""
    any_taken = False
    for path in claim.paths:
        inode = paths.get(path)
        if inode is None:
            inode = real.inode(path)
        if inode is not None and owners[inode] == NONE:
            owners[inode] = index
            any_taken = True
    return any_taken


def _adopt_bytecode(account: Account, paths: Mapping[str, int], owners: array[int]) -> None:
    """Give compiled Python modules to the packages of their sources."""
    for file in account.files:
        path = file.path
        if path.endswith(".pyc") and owners[file.inode] == NONE:
            folder, _, name = path.rpartition("/")
            if folder.endswith("__pycache__"):
                stem = name[:-4].partition(".opt-")[0].rpartition(".")[0]
                source = paths.get(f"{folder[:-11]}{stem}.py")
                if source is not None:
                    owners[file.inode] = owners[source]


def _weigh(
    account: Account, named: list[tuple[str, str, str]], owners: array[int], notices: tuple[str, ...]
) -> Packages:
    """Sum up what belongs to whom; the last place is for what belongs to nobody."""
    sizes = [0] * (len(named) + 1)
    files = [0] * (len(named) + 1)
    layers: dict[tuple[int, int], int] = defaultdict(int)
    for file in account.files:
        if file.kind != FOLDER:
            owner = owners[file.inode]
            sizes[owner] += file.size
            files[owner] += 1
            layers[owner, file.layer] += file.size
    most: dict[int, tuple[int, int]] = {}
    for (owner, layer), size in layers.items():
        most[owner] = max(most.get(owner, (-1, 0)), (size, layer))

    def weighed(name: tuple[str, str, str], at: int) -> Package:
        return Package(*name, size=sizes[at], files=files[at], layer=most[at][1] if at in most else None)

    every = tuple(weighed(name, at) for at, name in enumerate(named))
    return Packages(every, owners, weighed(("", "", ""), NONE), notices)


class _Links:
    """Finds files whose paths lead through links, as ``/bin/sh`` does where ``/bin`` is a link to ``usr/bin``."""

    def __init__(self, account: Account, paths: Mapping[str, int]) -> None:
        self._links = account.links
        self._paths = paths
        self._folders = {file.path for file in account.files if file.kind == FOLDER}
        self._known: dict[str, str] = {}

    def inode(self, path: str) -> int | None:
        """The file at a path whose folder is a link, or lies below one."""
        folder, _, name = path.rpartition("/")
        real = self._known.get(folder)
        if real is None:
            real = self._known[folder] = self._real(folder)
        return None if real == folder else self._paths.get(f"{real}/{name}" if real else name)

    def _real(self, folder: str) -> str:
        left, at, hops = folder.split("/")[::-1], "", 0
        while left:
            child = f"{at}/{left.pop()}" if at else left.pop()
            target = self._links.get(self._paths.get(child, -1))
            if target is None and child in self._folders:
                at = child
                continue
            if target is None or hops == _HOPS:
                return folder  # nothing is there
            hops += 1
            try:
                target = normal(target if target.startswith("/") else f"{at}/{target}")
            except Damaged:
                return folder
            left += target.split("/")[::-1] if target else []
            at = ""
        return at
