"""The sizes of releases over time: ``.tinyship/history.jsonl``, and what a release is measured against.

The file has one JSON object a line, ``{"schema": 1, ...}`` and the fields of an ``Entry``, sizes in bytes. It grows at
its end, and is cut when it has more lines than its bound. Of several lines about one release the last counts. A line
that cannot be understood, or that a newer tinyship wrote, is left as it is, and told of.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from tinyship import state
from tinyship.errors import TinyshipError
from tinyship.kept.record import BaseImage, Previous, Release, Sizes

SCHEMA = 1
BOUND = 2000
"""Lines."""
_NAME = "history.jsonl"
_LOCK = "history.lock"
_LONGEST = 1_000_000
_WIDEST = 512
_SHOWN = 5
_COMMIT = re.compile(r"[0-9a-f]{40,64}|")

Key: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One release of one image, and what it weighed.

    Args:
        image: the repository's name, without a tag.
        version: as it was tagged, with ``-dirty`` where the tree was.
        commit: the full commit; empty where there is no repository.
        created: the commit's date, RFC 3339; empty where unknown.
        recorded: when it was released, RFC 3339; empty where unknown.
        digest: of its manifest in a registry; empty until it was pushed.
        sizes: of each image of the pipeline.
        id: the engine's id of the image; empty where not known.
        bases: the images that it stands on; empty where not known.
    """

    image: str
    version: str
    commit: str
    created: str
    recorded: str
    digest: str
    sizes: tuple[Sizes, ...]
    id: str = ""
    bases: tuple[BaseImage, ...] = ()

    @property
    def key(self) -> Key:
        """By which two entries are about the same release."""
        return (self.image, self.version, self.commit)

    @property
    def dirty(self) -> bool:
        """Whether it was made of changes that its commit does not have."""
        return self.version.endswith("-dirty")

    def summary(self) -> Previous:
        """What a later release measures its growth against."""
        return Previous(self.version, self.commit, self.sizes)


class Found(Struct, frozen=True):
    """Entries, and what should be said of where they were read."""

    entries: tuple[Entry, ...] = ()
    notices: tuple[str, ...] = ()


class Unreadable(ValueError):
    """A line that is no entry; ``newer`` where a newer tinyship wrote it."""

    def __init__(self, newer: bool = False) -> None:
        super().__init__("written by a newer tinyship" if newer else "no entry of a history")
        self.newer = newer


def now() -> str:
    """This moment, for ``recorded``."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def of_release(release: Release, recorded: str) -> Entry:
    """The entry of a release that the record has."""
    digest = release.pushed[0].digest if release.pushed else ""
    return Entry(
        image=release.image,
        version=release.version,
        commit=release.commit,
        created=release.created,
        recorded=recorded,
        digest=digest,
        sizes=release.sizes,
        id=release.id,
        bases=release.bases,
    )


def of_record(release: Release | None) -> tuple[Entry, ...]:
    """What the record of a tinyship without a history knows: the release in it, and the one before."""
    if not release:
        return ()
    entries = [of_release(release, "")]
    if before := release.previous:
        entries.insert(0, Entry(release.image, before.version, before.commit, "", "", "", before.sizes))
    return tuple(entries)


def as_line(entry: Entry) -> str:
    """An entry as one line of JSON, the same for equal entries."""
    return json.dumps({"schema": SCHEMA, **asdict(entry)}, sort_keys=True, separators=(",", ":"))


def of_line(line: bytes) -> Entry:
    """The entry in a line.

    Raises:
        Unreadable: it is none, or a newer one.
    """
    import msgspec

    if len(line) > _LONGEST:
        raise Unreadable
    try:
        schema = msgspec.json.decode(line, type=dict[str, msgspec.Raw]).get("schema")
        if schema is None or int(msgspec.json.decode(schema, type=int)) < 1:
            raise Unreadable
        if msgspec.json.decode(schema) != SCHEMA:
            raise Unreadable(newer=True)
        entry = msgspec.json.decode(line, type=Entry)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Unreadable from error
    if not is_sound(entry):
        raise Unreadable
    return entry


_seen: dict[Path, tuple[tuple[int, ...], Found]] = {}
"""What was read last, and of which file: each image of a run asks. Entries are added at its end, or it is replaced."""


def read(root: Path) -> Found:
    """The history of the project at ``root``; an empty one where there is none, or none that can be read."""
    file = _path(root)
    try:
        with file.open("rb") as opened:
            look = os.fstat(opened.fileno())
            sign = (look.st_dev, look.st_ino, look.st_size, look.st_mtime_ns)
            if (seen := _seen.get(file)) and seen[0] == sign:
                return seen[1]
            data = opened.read()
    except FileNotFoundError:
        return Found()
    except OSError as error:
        return Found(notices=(f"the history {file} cannot be read: {error.strerror}",))
    found = _united(data, file)
    if len(data) == look.st_size:
        _seen.clear()  # one project is enough
        _seen[file] = sign, found
    return found


def _united(data: bytes, file: Path) -> Found:
    found = parse(data, str(file))
    last: dict[Key, Entry] = {}
    for entry in found.entries:
        last.pop(entry.key, None)
        last[entry.key] = entry
    return Found(union(last.values()), found.notices)


def parse(data: bytes, where: str) -> Found:
    """The entries in lines of JSON, as they stand there.

    Args:
        data: the lines.
        where: they stand, for what is said of those that are no entries.
    """
    entries: list[Entry] = []
    odd: dict[bool, list[int]] = {False: [], True: []}
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            try:
                entries.append(of_line(line))
            except Unreadable as error:
                odd[error.newer].append(number)
    notices = [_told(numbers, newer, where) for newer, numbers in odd.items() if numbers]
    return Found(tuple(entries), tuple(notices))


def add(root: Path, *entries: Entry) -> None:
    """Write entries at the end of the history, whoever else does the same; equal releases before them no longer count.

    Raises:
        TinyshipError: it cannot be written; what was in it still is.
    """
    state.folder(root)
    file = _path(root)
    with state.locked(root, _LOCK):
        try:
            _append(file, "".join(f"{as_line(entry)}\n" for entry in entries).encode())
            lines = file.read_bytes().removesuffix(b"\n").split(b"\n")
        except OSError as error:
            raise TinyshipError(f"the history {file} cannot be written: {error.strerror}") from error
        if len(lines) > BOUND:
            state.write(root, _NAME, b"".join(line + b"\n" for line in _cut(lines)))


def union(*sources: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries of several sources in the order in which they were released, one for each release.

    Of several about one release the one recorded later is taken; of two of one moment, the one with a digest.
    """
    found: dict[Key, Entry] = {}
    for entry in (entry for source in sources for entry in source):
        known = found.pop(entry.key, None)
        found[entry.key] = entry if known is None or _order(entry) >= _order(known) else known
    return tuple(sorted(found.values(), key=lambda entry: moment(entry.recorded)))


def baseline(entries: Iterable[Entry], image: str, commit: str, ancestors: Iterable[str]) -> Entry | None:
    """What a release of ``commit`` is measured against; None where there is nothing.

    It is the release of the nearest ancestor that was released from a clean tree; else the last release of another
    commit, as in a shallow clone; else the last one of this commit.

    Args:
        entries: in the order in which they were released.
        image: whose release it is.
        commit: of the release; empty where there is no repository.
        ancestors: commits, the nearest first; asked for only where one of them may matter.
    """
    ours = [entry for entry in entries if entry.image == image]
    others = [entry for entry in ours if entry.commit != commit]
    clean = {entry.commit: entry for entry in others if entry.commit and not entry.dirty}
    nearest = next((ancestor for ancestor in ancestors if ancestor in clean), "") if clean else ""
    if nearest:
        return clean[nearest]
    rest = others or ours
    return rest[-1] if rest else None


def moment(text: str) -> datetime:
    """The moment that an RFC 3339 text names; the beginning of time where it is empty.

    Raises:
        ValueError: it names none.
    """
    if not text:
        return datetime.min.replace(tzinfo=UTC)
    found = datetime.fromisoformat(text)
    if not found.tzinfo:
        raise ValueError(f"{text} has no time zone")
    return found.astimezone(UTC)


def _path(root: Path) -> Path:
    return root / ".tinyship" / _NAME


def _order(entry: Entry) -> tuple[datetime, bool]:
    return moment(entry.recorded), bool(entry.digest)


def is_sound(entry: Entry) -> bool:
    """Whether an entry from elsewhere can be sorted, and shown on a terminal."""
    texts = [entry.image, entry.version, entry.digest, entry.id]
    texts += [text for base in entry.bases for text in (base.name, base.digest)]
    numbers = []
    for sizes in entry.sizes:
        texts += [sizes.stage, sizes.image]
        numbers += [sizes.unpacked, sizes.pull, sizes.unique, sizes.layers]
    try:
        moment(entry.created), moment(entry.recorded)
    except (ValueError, OverflowError):
        return False
    return (
        bool(entry.image and entry.version and _COMMIT.fullmatch(entry.commit))
        and all(text.isprintable() and len(text) <= _WIDEST for text in texts)
        and all(number is None or number >= 0 for number in numbers)
    )


def _append(file: Path, data: bytes) -> None:
    """Write at the end of a file: all of it, or nothing; a line that a crash cut short stays a line of its own."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
    try:
        before = os.fstat(handle).st_size
        if before:
            os.lseek(handle, -1, os.SEEK_END)
            data = data if os.read(handle, 1) == b"\n" else b"\n" + data
        try:
            while data:
                data = data[os.write(handle, data) :]
        except OSError:
            os.ftruncate(handle, before)
            raise
    finally:
        os.close(handle)


def _cut(lines: Sequence[bytes]) -> list[bytes]:
    """The lines without those that later ones replace; if these are still too many, the later three quarters."""
    kept: dict[Key | int, bytes] = {}
    for number, line in enumerate(lines):
        try:
            key: Key | int = of_line(line).key
        except Unreadable:
            key = number
        kept.pop(key, None)
        kept[key] = line
    left = list(kept.values())
    return left if len(left) <= BOUND else left[-BOUND * 3 // 4 :]


def _told(numbers: Sequence[int], newer: bool, where: str) -> str:
    """What is said of lines that are no entries."""
    shown = ", ".join(str(number) for number in numbers[:_SHOWN])
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    lines = f"{'lines' if len(numbers) > 1 else 'line'} {shown}{more}"
    why = "written by a newer tinyship" if newer else "no entry of a history"
    return f"{where}: {lines}: {why}; left as it is, and left out"
