"""Where an image's bytes are: by instruction, by folder, by file; live ones and dead ones apart, largest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from tinyship.sizes.account import Account, Dead, File
from tinyship.sizes.tar import FOLDER

_Sized = TypeVar("_Sized", File, Dead)


@dataclass(frozen=True, slots=True)
class Step:
    """A layer and the instruction that made it. Sizes are in bytes.

    Args:
        number: of the layer, from 1.
        instruction: as a Dockerfile has it; empty where the history does not say.
        base: whether it belongs to the base image.
        held: what it holds.
        live: what of that the final filesystem shows.
        dead: what of that later layers hide.
        hid: what it hides of the layers below.
        stored: of its blob, as a pull transfers it; None where that is not known.
        diff_id: the digest of its tar.
    """

    number: int
    instruction: str
    base: bool
    held: int
    live: int
    dead: int
    hid: int
    stored: int | None
    diff_id: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with all that is below it. Sizes are in bytes.

    Args:
        path: relative to the root; empty for the root itself.
        live: bytes that the final filesystem shows.
        dead: bytes that layers hold below it and later ones hide.
        files: how many paths that are no folders it shows.
    """

    path: str
    live: int
    dead: int
    files: int

    @property
    def held(self) -> int:
        """Live and dead bytes."""
        return self.live + self.dead


@dataclass(slots=True)
class _Sum:
    live: int = 0
    dead: int = 0
    files: int = 0


def steps(account: Account, *, base: int = 0) -> tuple[Step, ...]:
    """The layers in their order.

    Args:
        base: how many of them, from the first, belong to the base image.
    """
    hid = [0] * len(account.held)
    for one in account.dead:
        hid[one.hidden] += one.size
    return tuple(
        Step(
            number=number + 1,
            instruction=layer.instruction,
            base=number < base,
            held=account.held[number],
            live=account.live[number],
            dead=account.held[number] - account.live[number],
            hid=hid[number],
            stored=layer.stored,
            diff_id=layer.diff_id,
        )
        for number, layer in enumerate(account.image.layers)
    )


def folders(account: Account, *, keep: Callable[[int], bool] | None = None) -> Mapping[str, Folder]:
    """Every folder that holds something, by its path, each with all that is below it.

    Args:
        keep: tells of a layer's number, from 0, whether it counts; all do where it is left out.
    """
    sums: dict[str, _Sum] = {"": _Sum()}
    for file in account.files:
        if (keep is None or keep(file.layer)) and file.kind != FOLDER:
            found = _of(sums, file.path)
            found.live += file.size
            found.files += 1
    for one in account.dead:
        if keep is None or keep(one.written):
            _of(sums, one.path).dead += one.size
    for path in sorted(sums, key=_depth, reverse=True):
        if path:
            above, here = _of(sums, path), sums[path]
            above.live += here.live
            above.dead += here.dead
            above.files += here.files
    return {path: Folder(path, found.live, found.dead, found.files) for path, found in sums.items()}


def largest_folders(every: Mapping[str, Folder], most: int) -> tuple[Folder, ...]:
    """The folders that tell the most, largest first.

    One that holds little beside a single folder below it says no more than that one, and is left out.

    Args:
        every: as ``folders`` gives them.
        most: how many.
    """
    inner: dict[str, int] = {}
    for path, folder in every.items():
        if path:
            above = path.rpartition("/")[0]
            inner[above] = max(inner.get(above, 0), folder.held)
    telling = (folder for path, folder in every.items() if folder.held > 1.05 * inner.get(path, 0))
    return tuple(sorted(telling, key=lambda folder: (-folder.held, folder.path))[:most])


def largest_files(account: Account, most: int) -> tuple[File, ...]:
    """The largest files of the final filesystem."""
    return _largest(account.files, most)


def largest_dead(account: Account, most: int) -> tuple[Dead, ...]:
    """The largest files that are hidden."""
    return _largest(account.dead, most)


def base_layers(account: Account, bases: Iterable[tuple[str, tuple[str, ...]]]) -> tuple[int, str]:
    """How many layers belong to the base image, and its name.

    Args:
        bases: names of images that it may stand on, each with the diff ids of its layers.

    Returns:
        of the longest chain that is the beginning of the image's own; 0 and "" where none is.
    """
    own = tuple(layer.diff_id for layer in account.image.layers)
    return base_of(own, bases)


def base_of(layers: tuple[str, ...], bases: Iterable[tuple[str, tuple[str, ...]]]) -> tuple[int, str]:
    """How many layers of a chain belong to the base image, and its name; see ``base_layers``."""
    fitting = [
        (len(chain), name)
        for name, chain in bases
        if chain and len(chain) < len(layers) and layers[: len(chain)] == chain
    ]
    return max(fitting, key=lambda found: found[0], default=(0, ""))


def _largest(every: tuple[_Sized, ...], most: int) -> tuple[_Sized, ...]:
    return tuple(sorted((one for one in every if one.size), key=lambda one: (-one.size, one.path))[:most])


def _of(sums: dict[str, _Sum], path: str) -> _Sum:
    """The sum of the folder around a path; the folders around it are made too."""
    parent = path.rpartition("/")[0]
    found = sums.get(parent)
    if found is None:
        found = sums[parent] = _Sum()
        above = parent
        while above:
            above = above.rpartition("/")[0]
            sums.setdefault(above, _Sum())
    return found


def _depth(path: str) -> int:
    return path.count("/") + 1 if path else 0
