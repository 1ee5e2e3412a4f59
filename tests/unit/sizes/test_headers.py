"""Headers of tars, in every format that has been written: what Python's own reader says is what ours says."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import cut, damaged, device, file, folder, hardlink, layer, symlink

from tinyship.sizes.feed import Feed, Truncated
from tinyship.sizes.tar import FILE, FOLDER, HARDLINK, OTHER, SYMLINK, Damaged, entries, sound

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
KINDS = {
    tarfile.REGTYPE: FILE,
    tarfile.AREGTYPE: FILE,
    tarfile.CONTTYPE: FILE,
    tarfile.GNUTYPE_SPARSE: FILE,
    tarfile.DIRTYPE: FOLDER,
    tarfile.SYMTYPE: SYMLINK,
    tarfile.LNKTYPE: HARDLINK,
}


def ours(pieces: Iterable[bytes]) -> list[tuple[str, int, int, str]]:
    """The entries as we read them; folders without the slash at their ends, which Python takes away."""
    found = []
    for path, kind, size, link, _ in entries(Feed(pieces), checked=True):
        found.append((path.rstrip("/") if kind == FOLDER else path, kind, size, link))
    return found


def theirs(data: bytes) -> list[tuple[str, int, int, str]]:
    """The entries as Python reads them."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8") as tar:
        return [
            (
                info.name,
                KINDS.get(info.type, OTHER),
                info.size if info.isreg() else 0,
                info.linkname if info.type in {tarfile.SYMTYPE, tarfile.LNKTYPE} else "",
            )
            for info in tar
        ]


LETTERS = st.text(
    st.one_of(
        st.sampled_from("ab ./é文\U0001f40b\n'\\"),
        st.characters(min_codepoint=1, max_codepoint=0x2FFF, exclude_categories=["Cs"]),
        st.integers(0xDC80, 0xDCFF).map(chr),
    ),
    min_size=1,
    max_size=30,
)
# Halves of letters can join to whole ones where they meet: only what survives a round trip is a name.
NAMES = (
    st.one_of(LETTERS, st.builds(lambda name, times: name * times, LETTERS, st.sampled_from([4, 9, 40])))
    .map(lambda name: name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"))
    .map(lambda name: name.rstrip("/") or "x")
)
ENTRIES = st.one_of(
    st.builds(file, NAMES, st.integers(0, 2000)),
    st.builds(folder, NAMES),
    st.builds(symlink, NAMES, NAMES),
    st.builds(hardlink, NAMES, NAMES),
    st.builds(device, NAMES),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ENTRIES, max_size=6), st.sampled_from(sorted(FORMATS)), st.integers(1, 3000))
def test_as_python_reads_them(made: list, format: str, length: int) -> None:  # type: ignore[type-arg]
    """Any names, sizes and kinds, in each format, in pieces of any length."""
    try:
        data = layer(*made, format=FORMATS[format])
    except ValueError:  # ustar has no room for the name
        return
    assert ours(cut(data, length)) == theirs(data)


@pytest.mark.parametrize("format", sorted(FORMATS))
@pytest.mark.parametrize("length", [99, 100, 101, 154, 155, 156, 254, 255, 256, 257, 511, 512, 513, 1024, 4000])
def test_long_names(format: str, length: int) -> None:
    """Around each border of a field, for names and for links."""
    name = (("a" * 99 + "/") * (length // 100 + 1))[: length - 1] + "b"
    made = [file(name, 5), symlink("l", name), hardlink("h", name), file("after", 3)]
    try:
        data = layer(*made, format=FORMATS[format])
    except ValueError:
        assert format == "ustar"
        return
    assert ours([data]) == theirs(data)
    assert len(ours([data])) == 4


@pytest.mark.parametrize("format", ["posix", "gnu", "oldgnu", "ustar", "v7"])
def test_as_gnu_tar_writes_them(tmp_path: Path, format: str) -> None:
    """What the system's tar makes of files, folders, links and sparse files."""
    root = tmp_path / "root"
    (root / "folder" / "deep").mkdir(parents=True)
    (root / "folder" / "file").write_bytes(b"x" * 1000)
    (root / "empty").touch()
    (root / "link").symlink_to("folder/file")
    (root / "again").hardlink_to(root / "empty")
    (root / "grüße").write_bytes(b"y")
    if format not in {"ustar", "v7"}:
        (root / ("n" * 250)).write_bytes(b"z")
        (root / "far").symlink_to("t" * 300)
        for name, holes in (("sparse", 1), ("very", 40)):
            with (root / name).open("wb") as sparse:
                for _ in range(holes):
                    sparse.seek(1 << 20, io.SEEK_CUR)
                    sparse.write(b"data" * 2000)
                sparse.truncate(100 << 20)
    words = ["tar", f"--format={format}", "--sparse", "-C", str(root), "-cf", str(tmp_path / "made.tar"), "."]
    if format in {"ustar", "v7"}:
        words.remove("--sparse")
    subprocess.run(words, check=True)
    data = (tmp_path / "made.tar").read_bytes()
    assert ours(cut(data, 700)) == theirs(data)
    sizes = {path: size for path, _, size, _ in ours([data])}
    assert sizes["./folder/file"] == 1000
    if "./sparse" in sizes:
        assert sizes["./sparse"] == sizes["./very"] == 100 << 20
        assert len(data) < 2 << 20


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_sparse_in_pax(tmp_path: Path, version: str) -> None:
    """All three ways in which pax writes sparse files, and what comes after them."""
    with (tmp_path / "sparse").open("wb") as sparse:
        for at in range(0, 10 << 20, 1 << 20):
            sparse.seek(at)
            sparse.write(b"data" * 2000)
        sparse.truncate(20 << 20)
    (tmp_path / "z").write_bytes(b"after")
    words = ["tar", "--format=posix", f"--sparse-version={version}", "--sparse", "-C", str(tmp_path), "-c"]
    data = subprocess.run([*words, "sparse", "z"], check=True, capture_output=True).stdout
    assert ours([data]) == [("sparse", FILE, 20 << 20, ""), ("z", FILE, 5, "")] == theirs(data)


def header(
    name: bytes = b"a", *, size: bytes = b"00000000000\0", kind: bytes = b"0", magic: bytes = b"ustar\x0000"
) -> bytes:
    """A header as somebody may write it, with its checksum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108], block[124 : 124 + len(size)], block[156:157] = b"0000644\0", size, kind
    block[257 : 257 + len(magic)] = magic
    return signed(block)


def signed(block: bytes | bytearray) -> bytes:
    """A header with its checksum."""
    made = bytearray(block)
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def pax(**records: str) -> bytes:
    """A pax header with these records."""
    text = b""
    for key, value in records.items():
        line = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(line) + 1
        while len(f"{length}") + len(line) != length:
            length += 1
        text += f"{length}".encode() + line
    return header(b"pax", size=b"%011o\0" % len(text), kind=b"x") + text + bytes(-len(text) % 512)


END = bytes(1024)


@pytest.mark.parametrize(
    ("field", "size"),
    [
        (b"00000000012\0", 10),
        (b"         12 ", 10),
        (b"12\0garbage..", 10),
        (b"\0" * 12, 0),
        (b" " * 12, 0),
        (b"\x80" + (10).to_bytes(11, "big"), 10),
        (b"000000000012", 10),
    ],
)
def test_sizes(field: bytes, size: int) -> None:
    """Numbers with leading zeros or spaces, with and without an end, and in base 256."""
    made = header(size=field) + bytes(-(-size // 512) * 512) + header(b"b") + END
    assert ours([made]) == [("a", FILE, size, ""), ("b", FILE, 0, "")]


@pytest.mark.parametrize(
    "field",
    [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"-0000000001\0", b"99999999999\0", b"what is it\0\0"],
)
def test_sizes_that_cannot_be(field: bytes) -> None:
    """Negative, beyond what any file can have, or no numbers."""
    with pytest.raises(Damaged):
        ours([header(size=field) + END])


@pytest.mark.parametrize("size", [b"77777777777\0", b"\x80\0\0\0" + b"\x7f" + b"\xff" * 7])
def test_absurd_sizes(size: bytes) -> None:
    """A size that the archive does not have is told of at once; nothing is kept room for."""
    with pytest.raises(Truncated):
        ours([header(size=size) + END])


def test_size_of_a_pax_header() -> None:
    """Files of eight gigabytes and more have their size there; it says how much is stored."""
    made = pax(size="10", path="long/name") + header(size=b"0" * 11 + b"\0") + bytes(512) + header(b"b") + END
    assert ours([made]) == [("long/name", FILE, 10, ""), ("b", FILE, 0, "")]


@pytest.mark.parametrize(
    "records",
    [
        {"size": "-1"},
        {"size": "ten"},
        {"size": f"{1 << 63}"},
        {"size": "9" * 5000},
        {"GNU__sparse__realsize": f"{1 << 64}"},
        {"GNU__sparse__realsize": "-5"},
        {"path": "a\0b"},
    ],
)
def test_pax_that_cannot_be(records: dict[str, str]) -> None:
    """Sizes and names that no file has."""
    with pytest.raises(Damaged):
        ours([pax(**records) + header() + END])


@pytest.mark.parametrize("text", [b"5", b"x", b"99 a=b\n", b"0 a=b\n", b"-3 a=b\n", b"4 ab\n", b"3 \n", b"1" * 3000])
def test_pax_that_is_no_list(text: bytes) -> None:
    """Records whose lengths lead astray."""
    made = header(b"pax", size=b"%011o\0" % len(text), kind=b"x") + text + bytes(-len(text) % 512)
    with pytest.raises(Damaged, match="no list of records"):
        ours([made + header() + END])


def test_empty_records() -> None:
    """They leave what the header says, as Go does."""
    assert ours([pax(path="", size="", linkpath="") + header() + END]) == [("a", FILE, 0, "")]


def test_records_about_all_entries() -> None:
    """They are for tools like git, and change no entry, as with Go."""
    made = pax(path="other", comment="0123").replace(b"pax", b"all", 1)
    made = signed(made[:156] + b"g" + made[157:512]) + made[512:]
    assert ours([made + header() + END]) == [("a", FILE, 0, "")]


@pytest.mark.parametrize("kind", [b"x", b"L", b"K"])
def test_gigantic_headers(kind: bytes) -> None:
    """One that claims gigabytes is not read, however much of it there is."""

    def endless() -> Iterable[bytes]:
        yield header(size=b"17777777777\0", kind=kind)
        while True:
            yield bytes(1 << 16)

    with pytest.raises(Damaged, match="a header is 2147483647 bytes long"):
        ours(endless())


def test_old_archives() -> None:
    """Before POSIX a folder was a file whose name ends in a slash; today that is a file."""
    old = header(b"folder/", kind=b"\0", magic=b"")
    assert ours([old + header(b"file/") + END]) == [("folder", FOLDER, 0, ""), ("file/", FILE, 0, "")]


def test_unknown_kinds() -> None:
    """They are passed over, with their bytes, and with the long name that was theirs."""
    data = layer(file("n" * 200, 600), file("b", 5))
    at = 1024  # after the header that says the name, and the name
    data = data[:at] + signed(data[at : at + 156] + b"V" + data[at + 157 : at + 512]) + data[at + 512 :]
    assert ours([data]) == [("b", FILE, 5, "")]


def test_links_that_claim_to_have_bytes() -> None:
    """Only files have any, whatever the size field says."""
    made = b"".join(header(kind=bytes([kind]), size=b"00000001000\0") for kind in b"123456")
    assert len(ours([made + header(b"last") + END])) == 7


def test_checksums() -> None:
    """The first header's is always compared, since it tells a tar from all else; the others' where it is asked for."""
    good = layer(file("a", 1), file("b", 1))
    assert sound(good)
    assert not sound(good[:511])
    assert not sound(bytes(512))
    with pytest.raises(Damaged, match="no tar"):
        list(entries(Feed([damaged(good, 0, 99)])))
    bad = damaged(good, 1024, 99)
    assert [path for path, *_ in entries(Feed([bad]))] == ["a", "c"]
    with pytest.raises(Damaged, match="checksum"):
        list(entries(Feed([bad]), checked=True))


def test_checksums_of_old_suns() -> None:
    """They took bytes as signed; such archives are read."""
    block = bytearray(header("é".encode()))
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % (sum(block) - 256 * 2)
    assert sound(bytes(block))


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 511, b"x" * 512, b"0" * 5000, b"\xff" * 1024])
def test_what_is_no_tar(data: bytes) -> None:
    """Nothing is an archive without entries; anything else is an error."""
    if not data:
        assert ours([data]) == []
        return
    with pytest.raises((Damaged, Truncated)):
        ours([data])


def test_cut_anywhere() -> None:
    """In the middle of an entry that is told of; between two, the digest has to tell."""
    data = layer(file("a", 1000), symlink("l" * 150, "t" * 150), file("c", 700))
    whole = ours([data])
    for at in range(0, len(data), 128):
        try:
            found = ours([data[:at]])
        except Truncated:
            continue
        assert at % 512 == 0 or found == whole
        assert found == whole[: len(found)]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_random_damage(data: st.DataObject) -> None:
    """A byte that changed leads to entries or to an error of ours, never to another one."""
    made = bytearray(layer(file("a", 700), symlink("l" * 150, "t" * 150), file("é" * 90, 5), format=tarfile.PAX_FORMAT))
    for _ in range(data.draw(st.integers(1, 5))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Damaged, Truncated):
        list(entries(Feed(cut(bytes(made), 1000))))


@given(
    st.lists(st.tuples(st.sampled_from(["take", "skip", "stretch"]), st.integers(0, 40)), max_size=20),
    st.integers(1, 9),
)
def test_feed(asked: list[tuple[str, int]], length: int) -> None:
    """However the stream is cut, bytes come in order, and none is lost, doubled or invented."""
    data = bytes(range(200))
    feed = Feed([b"", *cut(data, length), b""])
    at = 0
    for how, count in asked:
        if at + count > len(data):
            with pytest.raises(Truncated):
                list(feed.stretch(count)) if how == "stretch" else getattr(feed, how)(count)
            return
        if how == "take":
            assert feed.take(count) == data[at : at + count]
        elif how == "skip":
            feed.skip(count)
        else:
            assert b"".join(feed.stretch(count)) == data[at : at + count]
        at += count
        assert feed.position == at
    assert feed.at_end() == (at == len(data))
    feed.drain()
    assert feed.position == feed.total == len(data)
