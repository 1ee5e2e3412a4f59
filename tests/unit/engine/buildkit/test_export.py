"""What a build hands out, put into files and folders with no trust in it."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinyship.engine.buildkit import export
from tinyship.errors import ArtifactError


def member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b""
) -> tuple[tarfile.TarInfo, bytes]:
    """An entry of a tar."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, len(content), 0o6755
    info.uid = info.gid = 4321
    return info, content


def pieces(*members: tuple[tarfile.TarInfo, bytes], size: int = 100) -> Iterator[bytes]:
    """A tar in small pieces."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    data = packed.getvalue()
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize(
    "members",
    [
        [member("../out", content=b"x")],
        [member("a/../../out", content=b"x")],
        [member("link", tarfile.SYMTYPE, ".."), member("link/out", content=b"x")],
        [member("link", tarfile.LNKTYPE, "../secret"), member("out", content=b"x")],
    ],
    ids=["dots", "deep dots", "through a link", "hard link"],
)
def test_nothing_is_written_outside(tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    """Whatever a tar says, only its folder changes."""
    (tmp_path / "secret").write_text("secret")
    dest = tmp_path / "dest"
    with pytest.raises(ArtifactError):
        export.to_folder(dest)(pieces(*members))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dest", "secret"]
    assert list(dest.iterdir()) == []


def test_owners_modes_and_kinds(tmp_path: Path) -> None:
    """Files are ours and have no set-user-id; devices stay out; absolute names lie below the folder."""
    dest = tmp_path / "dest"
    export.to_folder(dest)(
        pieces(
            member("/etc/file", content=b"one"),
            member("dev", tarfile.CHRTYPE),
            member("fifo", tarfile.FIFOTYPE),
            member("link", tarfile.SYMTYPE, "/etc/file"),
        )
    )
    file = dest / "etc" / "file"
    assert (file.read_text(), file.stat().st_uid, file.stat().st_mode & 0o7777) == ("one", os.getuid(), 0o755)
    assert (dest / "link").readlink() == Path("/etc/file")
    assert sorted(path.name for path in dest.iterdir()) == ["etc", "link"]


def test_links_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    """A link that lies in the folder is replaced by the folder of that name, not written through."""
    dest, other = tmp_path / "dest", tmp_path / "other"
    dest.mkdir()
    other.mkdir()
    (dest / "bin").symlink_to(other)
    export.to_folder(dest)(pieces(member("bin", tarfile.DIRTYPE), member("bin/tool", content=b"x")))
    assert list(other.iterdir()) == []
    assert (dest / "bin" / "tool").read_text() == "x"


def test_file_where_a_folder_is(tmp_path: Path) -> None:
    """A folder is not removed for a file of its name."""
    (tmp_path / "dest" / "bin").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="is a folder"):
        export.to_folder(tmp_path / "dest")(pieces(member("bin", content=b"x")))


@pytest.mark.parametrize("size", [1, 511, 512, 513, 100_000])
def test_pieces_of_any_size(tmp_path: Path, size: int) -> None:
    """However a tar is cut, it comes out whole."""
    export.to_folder(tmp_path / "dest")(pieces(member("a", content=b"x" * 3000), size=size))
    assert (tmp_path / "dest" / "a").read_bytes() == b"x" * 3000


def test_file_is_replaced_when_complete(tmp_path: Path) -> None:
    """What breaks off in the middle leaves the old file."""
    dest = tmp_path / "out.tar"
    dest.write_text("old")

    def broken() -> Iterator[bytes]:
        yield b"new"
        raise ArtifactError("gone")

    with pytest.raises(ArtifactError, match="gone"):
        export.to_file(dest)(broken())
    assert dest.read_text() == "old"
    export.to_file(dest)(iter([b"new", b"er"]))
    assert dest.read_text() == "newer"
    assert [path.name for path in tmp_path.iterdir()] == ["out.tar"]


def test_tar_that_is_none(tmp_path: Path) -> None:
    """What is no tar is an error, and leaves nothing."""
    with pytest.raises(ArtifactError, match="not to be trusted"):
        export.to_folder(tmp_path / "dest")(iter([b"x" * 5000]))
    assert list((tmp_path / "dest").iterdir()) == []
