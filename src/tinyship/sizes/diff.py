"""What differs between two images, by layer, path, folder and package; layers are matched by content, not by place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tinyship.sizes.account import Account
from tinyship.sizes.tar import FOLDER, SYMLINK


class Change(NamedTuple):
    """A path that the two filesystems show differently. Sizes are live bytes; None where it is not there.

    ``changed`` has other content; what differs in metadata alone is no change.
    """

    path: str
    before: int | None
    after: int | None

    @property
    def gained(self) -> int:
        """Bytes that the second has more."""
        return (self.after or 0) - (self.before or 0)

    @property
    def word(self) -> Literal["added", "removed", "changed"]:
        """What became of it."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


@dataclass(frozen=True, slots=True)
class LayerChange:
    """An instruction, and the bytes that its layer holds in each of the two images; None where it has no such layer.

    ``same`` layers have the same content, whatever their place.
    """

    instruction: str
    before: int | None
    after: int | None
    same: bool

    @property
    def gained(self) -> int:
        """Bytes that the second has more."""
        return (self.after or 0) - (self.before or 0)


@dataclass(frozen=True, slots=True)
class Gain:
    """A folder or a package, and the live bytes of it in each of the two images."""

    name: str
    before: int
    after: int
    detail: str = ""

    @property
    def gained(self) -> int:
        """Bytes that the second has more."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Diff:
    """The difference of two images. Sizes in bytes.

    Args:
        before: the name of the first.
        after: the name of the second.
        unpacked: of each.
        dead: of each.
        pull: of each; None where one is not known.
        layers: all of both, in the order of the second, those that are gone at the end.
        paths: those that differ, largest difference first.
        folders: those that gained or lost, largest difference first; each holds those below it, and one that holds
            little beside a single other is left out.
        packages: those that differ, largest difference first.
    """

    before: str
    after: str
    unpacked: tuple[int, int]
    dead: tuple[int, int]
    pull: tuple[int | None, int | None]
    layers: tuple[LayerChange, ...]
    paths: tuple[Change, ...]
    folders: tuple[Gain, ...]
    packages: tuple[Gain, ...] = ()

    @property
    def gained(self) -> int:
        """Unpacked bytes that the second has more."""
        return self.unpacked[1] - self.unpacked[0]


def compare(first: Account, second: Account) -> Diff:
    """What differs in the second image, compared with the first."""
    paths = _paths(first, second)
    return Diff(
        before=first.image.name,
        after=second.image.name,
        unpacked=(first.unpacked, second.unpacked),
        dead=(first.dead_bytes, second.dead_bytes),
        pull=(_pull(first), _pull(second)),
        layers=_layers(first, second),
        paths=paths,
        folders=_folders(paths),
    )


def packages(before: Mapping[str, tuple[str, int]], after: Mapping[str, tuple[str, int]]) -> tuple[Gain, ...]:
    """The packages that differ, of two images: name to version and live bytes."""
    found = []
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        versions = " to ".join(version for version in (old and old[0], new and new[0]) if version)
        if old and new and old[0] == new[0]:
            versions = old[0]
        found.append(Gain(name, old[1] if old else 0, new[1] if new else 0, versions))
    return _by_size(found)


def _paths(first: Account, second: Account) -> tuple[Change, ...]:
    known = {file.path: file for file in first.files if file.kind != FOLDER}
    changes = []
    for file in second.files:
        if file.kind == FOLDER:
            continue
        old = known.pop(file.path, None)
        if old is None:
            changes.append(Change(file.path, None, file.size))
        elif old.kind != file.kind or _content(first, old.inode, old.kind) != _content(second, file.inode, file.kind):
            changes.append(Change(file.path, old.size, file.size))
    changes += [Change(old.path, old.size, None) for old in known.values()]
    return tuple(sorted(changes, key=lambda change: (-abs(change.gained), change.path)))


def _content(account: Account, inode: int, kind: int) -> tuple[int, object]:
    return account.sizes[inode], account.links.get(inode) if kind == SYMLINK else account.prints[inode]


def _layers(first: Account, second: Account) -> tuple[LayerChange, ...]:
    """Layers of the same content first, then those of the same instruction, in order; the rest came or went."""
    left = [(layer, held) for layer, held in zip(first.image.layers, first.held, strict=True)]
    matched: list[LayerChange | None] = [None] * len(second.image.layers)
    for same in (True, False):
        for number, layer in enumerate(second.image.layers):
            if matched[number]:
                continue
            for place, (old, held) in enumerate(left):
                if old.diff_id == layer.diff_id if same else _alike(old.instruction, layer.instruction):
                    matched[number] = LayerChange(layer.instruction, held, second.held[number], same)
                    del left[place]
                    break
    new = [
        change or LayerChange(layer.instruction, None, held, same=False)
        for change, layer, held in zip(matched, second.image.layers, second.held, strict=True)
    ]
    return (*new, *(LayerChange(old.instruction, held, None, same=False) for old, held in left))


def _alike(first: str, second: str) -> bool:
    """Whether two instructions are the same; what is said of every import is none."""
    return first == second and first not in {"", "Imported from -"}


def _folders(changes: Iterable[Change]) -> tuple[Gain, ...]:
    sums: dict[str, list[int]] = {}
    for change in changes:
        folder = change.path
        while folder:
            folder = folder.rpartition("/")[0]
            found = sums.setdefault(folder, [0, 0])
            found[0] += change.before or 0
            found[1] += change.after or 0
    inner: dict[str, int] = {}
    for folder, (before, after) in sums.items():
        if folder:
            above = folder.rpartition("/")[0]
            inner[above] = max(inner.get(above, 0), abs(after - before))
    return _by_size(
        Gain(folder, before, after)
        for folder, (before, after) in sums.items()
        if folder and abs(after - before) > 1.05 * inner.get(folder, 0)
    )


def _by_size(gains: Iterable[Gain]) -> tuple[Gain, ...]:
    return tuple(sorted(gains, key=lambda gain: (-abs(gain.gained), gain.name)))


def _pull(account: Account) -> int | None:
    """What a pull transfers, where the source says it of every layer."""
    sizes = [layer.stored for layer in account.image.layers]
    return None if None in sizes or not sizes else account.image.config_size + sum(size or 0 for size in sizes)
