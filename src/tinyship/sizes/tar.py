"""The headers of a tar archive, at the speed of a few microseconds an entry.

Written here because the standard library's reader takes ten times as long, which is all the time there is.
Sources: POSIX.1-2017 (pax, ustar), the GNU tar manual (long names, base-256 numbers, sparse files), and Go's
archive/tar, which is what engines read layers with.
"""

from __future__ import annotations

from collections.abc import Iterator

from tinyship.sizes.feed import Feed, Truncated

FILE, FOLDER, SYMLINK, HARDLINK, OTHER = range(5)
"""Kinds of entries; devices and pipes are OTHER."""

_BLOCK = 512
_LONGEST = 1 << 20
"""Bytes that a long name or a pax header may have (Go's limit)."""
_KINDS = {
    **dict.fromkeys(b"0\x007", FILE),
    ord("S"): FILE,
    ord("1"): HARDLINK,
    ord("2"): SYMLINK,
    **dict.fromkeys(b"346", OTHER),
    ord("5"): FOLDER,
}
_EMPTY = bytes(_BLOCK)
_TOO_LARGE = 1 << 63


class Damaged(Exception):
    """The archive is none, or something in it cannot be."""


def sound(header: bytes) -> bool:
    """Whether these bytes begin with a header: its checksum is right, counted as POSIX says or as old Suns did."""
    block, field = header[:_BLOCK], header[148:156]
    try:
        said = int(field.replace(b"\0", b" "), 8)
    except ValueError:
        return False
    total = sum(block) - sum(field) + 8 * ord(" ")
    return len(block) == _BLOCK and said in {total, total - 256 * sum(byte > 127 for byte in block)}


def entries(feed: Feed, *, checked: bool = False) -> Iterator[tuple[str, int, int, str, int]]:
    """The entries of an archive, as they come: path, kind, apparent size in bytes, link target, stored bytes.

    Whoever gets an entry may take its stored bytes from the feed; what is left of them is passed over. Paths are as
    they stand in the archive; bytes that are no UTF-8 are surrogates.

    Args:
        checked: the checksum of every header is compared, and not only the first one's; needless, and slow, where the
            digest of the whole archive is.

    Raises:
        Truncated: the archive ends in the middle of an entry.
        Damaged: a header makes no sense.
    """
    known: dict[str, str] = {}
    unsure = True
    take, skip_to = feed.take, feed.skip_to  # looked up once: this is what the time of a layer goes into
    while True:
        try:
            header = take(_BLOCK)
        except Truncated:
            if feed.at_end():
                return
            raise
        if header[0] == 0 and header == _EMPTY:
            return
        if unsure and not sound(header):
            raise Damaged("a header's checksum is wrong" if feed.position > _BLOCK else "it is no tar")
        unsure = checked
        flag = header[156]
        kind = _KINDS.get(flag, -1)
        digits = header[124:135]
        try:
            stored = int(digits, 8) if digits.isdigit() and header[135] in b"\0 " else _number(header[124:136])
        except ValueError:
            raise Damaged("a header is none") from None
        if kind < 0:
            if not _extension(feed, flag, stored, known):
                feed.skip(-(-stored // _BLOCK) * _BLOCK)
                known.clear()
            continue
        path = header[:100].partition(b"\0")[0].decode("utf-8", "surrogateescape")
        if header[345] and header[257:263] == b"ustar\0":
            path = f"{_text(header[345:500])}/{path}"
        link = _text(header[157:257]) if header[157] else ""
        size = stored
        if known:
            path, link, stored, size = _overlaid(known, path, link, stored)
            known.clear()
        if kind != FILE:
            size = stored = 0
        elif flag == 83:  # S
            size = _sparse(feed, header)
        elif not flag and path.endswith("/"):  # as archives older than POSIX write folders
            kind, size, stored = FOLDER, 0, 0
        if stored:
            end = feed.position + stored + -stored % _BLOCK
            yield path, kind, size, link, stored
            skip_to(end)
        else:
            yield path, kind, size, link, stored


def _extension(feed: Feed, flag: int, size: int, known: dict[str, str]) -> bool:
    """Read a header that is about the next entry, where it is one; one about all entries is passed over, as Go does."""
    if flag not in b"xLK":
        return False
    if size > _LONGEST:
        raise Damaged(f"a header is {size} bytes long")
    text = feed.take(size)
    feed.skip(-size % _BLOCK)
    if flag == 76:  # L
        known["path"] = _text(text)
    elif flag == 75:  # K
        known["linkpath"] = _text(text)
    else:
        known.update(_pax(text))
    return True


def _pax(text: bytes) -> dict[str, str]:
    """The records of a pax header: ``length key=value\\n``."""
    found = {}
    at = 0
    while at < len(text) and text[at]:
        space = text.find(b" ", at, at + 20)
        try:
            end = at + int(text[at:space])
        except ValueError:
            raise Damaged("a pax header is no list of records") from None
        key, equals, value = text[space + 1 : end - 1].partition(b"=")
        if space < 0 or end > len(text) or end <= space or not equals:
            raise Damaged("a pax header is no list of records")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        at = end
    return found


def _overlaid(known: dict[str, str], path: str, link: str, stored: int) -> tuple[str, str, int, int]:
    """An entry's path, link, stored and apparent size, with what the headers before it say."""
    path = known.get("GNU.sparse.name") or known.get("path") or path
    link = known.get("linkpath") or link
    try:
        stored = int(known.get("size") or stored)
        size = int(known.get("GNU.sparse.realsize") or known.get("GNU.sparse.size") or stored)
    except ValueError:
        raise Damaged("a pax header gives a size that is no number") from None
    if not (0 <= stored < _TOO_LARGE and 0 <= size < _TOO_LARGE):
        raise Damaged("a pax header gives a size that cannot be")
    if "\0" in path or "\0" in link:
        raise Damaged("a pax header gives a name that cannot be")
    return path, link, stored, size


def _sparse(feed: Feed, header: bytes) -> int:
    """The apparent size of a sparse file in GNU's old format; its further headers are passed over."""
    more = header[482]
    while more:
        more = feed.take(_BLOCK)[504]
    return _number(header[483:495])


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        number = int.from_bytes(field[1:], "big") + ((field[0] & 0x7F) << 88)
    else:
        try:
            number = int(field.rstrip(b"\0 ") or b"0", 8)
        except ValueError:
            try:
                number = int(field.partition(b"\0")[0].strip() or b"0", 8)
            except ValueError:
                raise Damaged("a header is none") from None
    if not 0 <= number < _TOO_LARGE:
        raise Damaged("a header gives a size that cannot be")
    return number


def _text(field: bytes) -> str:
    end = field.find(0)
    return (field if end < 0 else field[:end]).decode("utf-8", "surrogateescape")


__all__ = ["FILE", "FOLDER", "HARDLINK", "OTHER", "SYMLINK", "Damaged", "Truncated", "entries", "sound"]
