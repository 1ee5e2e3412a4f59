"""Archives out of containers: good trees come out as they were, hostile ones write nothing outside."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from tinyship.engine.archive import unpack
from tinyship.errors import ArtifactError


def member(
    name: str, content: bytes | None = None, *, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644
) -> tuple[tarfile.TarInfo, bytes]:
    """A member of a tar."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, mode, len(content or b"")
    return info, content or b""


def folder(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    """A folder."""
    return member(name, kind=tarfile.DIRTYPE, mode=mode)


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    """A symbolic link."""
    return member(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)


def hard(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    """A hard link."""
    return member(name, kind=tarfile.LNKTYPE, link=target)


def packed(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar of these."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """An empty folder beside which nothing may appear."""
    into = tmp_path / "into"
    into.mkdir()
    (tmp_path / "secret").write_text("secret")
    return into


def untouched(into: Path) -> bool:
    """Whether nothing was written beside the folder."""
    outside = into.parent
    return (outside / "secret").read_text() == "secret" and sorted(os.listdir(outside)) == ["into", "secret"]  # noqa: PTH208


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_good_tree(form: int, into: Path) -> None:
    """Files, folders, links and hard links arrive with their content and modes."""
    long = "n" * 150
    data = packed(
        folder("out/", 0o750),
        folder("out/bin"),
        member("out/bin/run", b"#!/bin/sh\n", mode=0o755),
        member("out/empty", b"", mode=0o600),
        member(f"out/{long}", b"long"),
        link("out/latest", "bin/run"),
        link("out/bin/up", "../empty"),
        link("out/dangling", "not-there"),
        hard("out/same", "out/bin/run"),
        folder("out/closed", 0o500),
        member("out/closed/file", b"in a folder that may not be written"),
        form=form,
    )
    unpack(io.BytesIO(data), "out", into)
    out = into / "out"
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["bin", "closed", "dangling", "empty", "latest", long, "same"]
    )
    assert (out / "bin" / "run").read_bytes() == (out / "same").read_bytes() == b"#!/bin/sh\n"
    assert (out / "latest").readlink() == Path("bin/run")
    assert (out / "closed" / "file").read_bytes() == b"in a folder that may not be written"
    assert {
        name: stat.S_IMODE((out / name).stat().st_mode) for name in (".", "bin/run", "same", "empty", "closed")
    } == {".": 0o750, "bin/run": 0o755, "same": 0o755, "empty": 0o600, "closed": 0o500}


def test_one_file(into: Path) -> None:
    """A file alone is a tree too; a name with `./` before it is the same name."""
    unpack(io.BytesIO(packed(member("./tool", b"binary", mode=0o755))), "tool", into)
    assert (into / "tool").read_bytes() == b"binary"


def test_large_file(into: Path) -> None:
    """More than one piece of it."""
    content = os.urandom(1 << 20) + b"end"
    unpack(io.BytesIO(packed(member("tool", content))), "tool", into)
    assert (into / "tool").read_bytes() == content


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o1755, 0o7755])
def test_special_bits_are_dropped(mode: int, into: Path) -> None:
    """Set-user-id, set-group-id and sticky bits stay behind."""
    unpack(io.BytesIO(packed(folder("out", mode), member("out/tool", b"x", mode=mode))), "out", into)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (into / "out", into / "out" / "tool")] == [0o755, 0o755]


def test_folder_twice(into: Path) -> None:
    """A folder may be named again, as some engines do."""
    unpack(io.BytesIO(packed(folder("out"), member("out/a", b"a"), folder("out", 0o700))), "out", into)
    assert (into / "out" / "a").read_bytes() == b"a"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        pytest.param([member("../secret", b"evil")], "outside", id="parent"),
        pytest.param([folder("out"), member("out/../../secret", b"evil")], "outside", id="parent-below"),
        pytest.param([folder("out"), member("out/../out/x", b"evil")], "outside", id="parent-and-back"),
        pytest.param([member("/out/x", b"evil")], "outside", id="absolute"),
        pytest.param([member("/etc/evil", b"evil")], "outside", id="absolute-elsewhere"),
        pytest.param([folder("."), folder("out")], "outside", id="root-itself"),
        pytest.param([folder("out"), member("other", b"evil")], "outside", id="second-name"),
        pytest.param([member("outer", b"evil")], "outside", id="name-that-begins-alike"),
        pytest.param([folder("out"), link("out/x", "/etc/passwd")], "leads out", id="absolute-link"),
        pytest.param([folder("out"), link("out/x", "../secret")], "leads out", id="link-out"),
        pytest.param([folder("out"), link("out/x", "..")], "leads out", id="link-to-parent"),
        pytest.param([folder("out"), link("out/x", "./a/../../../secret")], "leads out", id="link-with-detour"),
        pytest.param([link("out", "/etc")], "leads out", id="top-is-link"),
        pytest.param([link("out", "../secret")], "leads out", id="top-is-link-out"),
        pytest.param(
            [
                folder("out"),
                folder("out/a"),
                folder("out/a/b"),
                link("out/a/b/top", "../.."),
                link("out/x", "a/b/top/.."),
            ],
            "leads out",
            id="links-that-lead-out-together",
        ),
        pytest.param(
            [
                folder("out"),
                link("out/x", "a/b/top/.."),
                folder("out/a"),
                folder("out/a/b"),
                link("out/a/b/top", "../.."),
            ],
            "leads out",
            id="links-that-lead-out-together-later",
        ),
        pytest.param(
            [folder("out"), folder("out/a"), link("out/x", "a"), member("out/x/file", b"evil")],
            "through a link",
            id="through-link",
        ),
        pytest.param(
            [folder("out"), folder("out/a"), link("out/x", "a"), folder("out/x")], "twice", id="folder-over-link"
        ),
        pytest.param([folder("out"), hard("out/x", "../secret")], "leads out", id="hard-link-out"),
        pytest.param([folder("out"), hard("out/x", "/etc/passwd")], "leads out", id="hard-link-absolute"),
        pytest.param([folder("out"), hard("out/x", "out/missing")], "leads out", id="hard-link-to-nothing"),
        pytest.param([folder("out"), hard("out/x", "out")], "leads out", id="hard-link-to-folder"),
        pytest.param(
            [folder("out"), member("out/a", b"a"), link("out/l", "a"), hard("out/x", "out/l")],
            "leads out",
            id="hard-link-to-link",
        ),
        pytest.param(
            [folder("out"), folder("out/d"), member("out/d/a", b"a"), link("out/l", "d"), hard("out/x", "out/l/a")],
            "leads out",
            id="hard-link-through-link",
        ),
        pytest.param([member("out", kind=tarfile.CHRTYPE)], "neither", id="character-device"),
        pytest.param([folder("out"), member("out/x", kind=tarfile.BLKTYPE)], "neither", id="block-device"),
        pytest.param([folder("out"), member("out/x", kind=tarfile.FIFOTYPE)], "neither", id="pipe"),
        pytest.param([folder("out"), member("out/a", b"a"), member("out/a", b"b")], "twice", id="file-twice"),
        pytest.param([folder("out"), member("out/a", b"a"), link("out/a", "b")], "twice", id="link-over-file"),
        pytest.param([folder("out"), link("out/a", "b"), member("out/a", b"b")], "twice", id="file-over-link"),
        pytest.param([folder("out"), member("out/a", b"a"), folder("out/a")], "twice", id="folder-over-file"),
        pytest.param([folder("out"), member("out/a/b", b"b")], "before its folder", id="no-folder"),
        pytest.param([member("out", b"a"), member("out/b", b"b")], "before its folder", id="below-a-file"),
    ],
)
def test_hostile(members: list[tuple[tarfile.TarInfo, bytes]], why: str, into: Path) -> None:
    """Refused, with a reason, and nothing is written outside."""
    with pytest.raises(ArtifactError, match=why) as caught:
        unpack(io.BytesIO(packed(*members)), "out", into)
    assert "not to be trusted" in caught.value.hint
    assert untouched(into)


@pytest.mark.parametrize("bad", [member("out/x\0y", b"evil"), link("out/x", "a\0b")], ids=["name", "target"])
def test_zero_byte(bad: tuple[tarfile.TarInfo, bytes], into: Path) -> None:
    """A zero byte, which no path may hold and a pax header can, is an error like the others."""
    info, content = bad
    info.pax_headers = {"path": info.name, "linkpath": info.linkname} if info.issym() else {"path": info.name}
    with pytest.raises(ArtifactError, match="damaged"):
        unpack(io.BytesIO(packed(folder("out"), (info, content), form=tarfile.PAX_FORMAT)), "out", into)
    assert untouched(into)


WHOLE = packed(folder("out"), member("out/a", b"a" * 600), member("out/b", b"b" * 600))


@pytest.mark.parametrize("length", [0, 1, 300, 512, 700, 1024, 1500, 2048, 2300, 3000, 3584])
def test_cut(length: int, into: Path) -> None:
    """A tar without its end is an error, wherever it was cut: in a file, in a header, between two of them."""
    with pytest.raises(ArtifactError, match=r"archive of out (is damaged|ends in the middle|does not hold it)"):
        unpack(io.BytesIO(WHOLE[:length]), "out", into)


@pytest.mark.parametrize("position", [0, 512, 2048])
def test_garbage(position: int, into: Path) -> None:
    """Something else in the place of a header, such as an engine's words, is an error."""
    data = WHOLE[:position] + b'{"message":"lost"}'.ljust(512) + WHOLE[position + 512 :]
    with pytest.raises(ArtifactError, match="archive of out is damaged"):
        unpack(io.BytesIO(data), "out", into)


def test_nothing_in_it(into: Path) -> None:
    """A tar without the file that was asked for is an error."""
    with pytest.raises(ArtifactError, match="archive of out"):
        unpack(io.BytesIO(packed()), "out", into)
