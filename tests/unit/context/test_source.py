"""A context: which folder, which Dockerfile, which ignore file, and what of them is sent."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from tinyship.context.ignore import Matcher, parse
from tinyship.context.source import Context
from tinyship.errors import ContextError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a Dockerfile and two files."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "Dockerfile").write_text("FROM scratch\n")
    (root / "keep").write_text("keep")
    (root / "skip").write_text("skip")
    return root


def sent(context: Context) -> dict[str, bytes]:
    """What a builder gets, by name; nothing twice."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(b"".join(context.tar()))) as opened:
        for member in opened:
            assert member.name not in found
            file = opened.extractfile(member) if member.isreg() else None
            found[member.name] = file.read() if file else b""
    return found


def test_all_of_a_folder(root: Path) -> None:
    """Without an ignore file everything is sent."""
    context = Context.open(root, root / "Dockerfile")
    assert context.dockerfile_name == "Dockerfile"
    assert not context.dockerfile_is_outside
    assert sent(context) == {"Dockerfile": b"FROM scratch\n", "keep": b"keep", "skip": b"skip"}


def test_ignore_file(root: Path) -> None:
    """What `.dockerignore` names is not sent, the file itself is."""
    (root / ".dockerignore").write_text("skip\n")
    context = Context.open(root, root / "Dockerfile")
    assert [entry.path for entry in context.entries()] == [".dockerignore", "Dockerfile", "keep"]
    assert list(sent(context)) == [".dockerignore", "Dockerfile", "keep"]


def test_ignore_file_of_the_dockerfile_goes_first(root: Path) -> None:
    """`<Dockerfile>.dockerignore` is the one that applies where both are there."""
    (root / "docker").mkdir()
    (root / "docker" / "Dockerfile.build").write_text("FROM scratch\n")
    (root / "docker" / "Dockerfile.build.dockerignore").write_text("keep\n")
    (root / ".dockerignore").write_text("skip\n")
    assert Context.open(root, root / "docker" / "Dockerfile.build").patterns == ("keep",)
    assert Context.open(root, root / "Dockerfile").patterns == ("skip",)


def test_empty_ignore_file_of_the_dockerfile(root: Path) -> None:
    """An empty one of its own applies all the same."""
    (root / "Dockerfile.dockerignore").touch()
    (root / ".dockerignore").write_text("skip\n")
    assert "skip" in sent(Context.open(root, root / "Dockerfile"))


@pytest.mark.parametrize(
    "name", ["Dockerfile", "docker/Dockerfile.build", "Dockerfile[1]", "Docker*file", "Dockerfile["]
)
def test_ignored_dockerfile_is_sent(name: str, root: Path) -> None:
    """The builder needs the Dockerfile and the ignore file, whatever is ignored, however they are named."""
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("FROM scratch\n")
    (root / ".dockerignore").write_text("**\n")
    context = Context.open(root, root / name)
    assert list(context.entries()) == []
    assert {path: data for path, data in sent(context).items() if path != "docker"} == {
        ".dockerignore": b"**\n",
        name: b"FROM scratch\n",
    }


def test_dockerfile_outside(root: Path, tmp_path: Path) -> None:
    """It is sent below a name of its own that the ignore file sent with it hides from COPY."""
    outside = tmp_path / "Dockerfile.build"
    outside.write_text("FROM outside\n")
    (root / ".dockerignore").write_text("skip\n")
    context = Context.open(root, outside)
    assert context.dockerfile_is_outside
    files = sent(context)
    assert sorted(files) == sorted([context.dockerfile_name, ".dockerignore", "Dockerfile", "keep"])
    assert files[context.dockerfile_name] == b"FROM outside\n"
    hidden = Matcher(parse(files[".dockerignore"]))
    assert [name for name in (*files, "skip") if hidden.ignores(name)] == [
        context.dockerfile_name,
        ".dockerignore",
        "skip",
    ]


def test_name_of_a_dockerfile_outside_does_not_change(root: Path, tmp_path: Path) -> None:
    """The same each time, so that the builder's cache holds."""
    outside = tmp_path / "Dockerfile.build"
    outside.write_text("FROM scratch\n")
    assert Context.open(root, outside) == Context.open(root, outside)


def test_dockerfile_that_is_a_link(root: Path, tmp_path: Path) -> None:
    """A link inside is what it links to; one that leads out is outside."""
    (root / "inner").symlink_to("Dockerfile")
    (tmp_path / "real").write_text("FROM real\n")
    (root / "outer").symlink_to(tmp_path / "real")
    assert Context.open(root, root / "inner").dockerfile_name == "Dockerfile"
    outer = Context.open(root, root / "outer")
    assert outer.dockerfile_is_outside
    assert sent(outer)[outer.dockerfile_name] == b"FROM real\n"


def test_folder_that_is_a_link(root: Path, tmp_path: Path) -> None:
    """A context that is reached through a link holds its Dockerfile."""
    (tmp_path / "link").symlink_to(root)
    context = Context.open(tmp_path / "link", tmp_path / "link" / "Dockerfile")
    assert context.dockerfile_name == "Dockerfile"
    assert "keep" in sent(context)


@pytest.mark.parametrize("outside", [False, True])
def test_last_files_are_last(outside: bool, root: Path, tmp_path: Path) -> None:
    """What is to be sent last is behind all else, even where everything is ignored."""
    (root / ".dockerignore").write_text("*\n")
    dockerfile = tmp_path / "Dockerfile.outside" if outside else root / "Dockerfile"
    dockerfile.write_text("FROM scratch\n")
    data = b"".join(Context.open(root, dockerfile).tar(last={"last": b"of all"}))
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        names = opened.getnames()
        content = opened.extractfile("last")
        assert content
        assert content.read() == b"of all"
    assert len(names) > 1
    assert names[-1] == "last"


def test_tells_what_is_sent(root: Path) -> None:
    """The lengths add up to the tar's."""
    told: list[int] = []
    data = b"".join(Context.open(root, root / "Dockerfile").tar(told.append))
    assert sum(told) == len(data)


@pytest.mark.parametrize(("name", "kind"), [("missing", "missing"), ("keep", "no folder")])
def test_bad_folder(name: str, kind: str, root: Path) -> None:
    """A context that is missing or no folder is an error that says which."""
    with pytest.raises(ContextError, match=f"the context .*{name} is {kind}"):
        Context.open(root / name, root / "Dockerfile")


def test_missing_dockerfile(root: Path) -> None:
    """The error names it, and those that are there instead."""
    (root / "Dockerfile.build").write_text("FROM scratch\n")
    (root / "Dockerfile.build.dockerignore").touch()
    with pytest.raises(ContextError, match=r"Dockerfile\.biuld is missing") as caught:
        Context.open(root, root / "Dockerfile.biuld")
    assert caught.value.hint == "There is Dockerfile, Dockerfile.build."


def test_no_dockerfile_near(root: Path) -> None:
    """Where there is none to name, the error says what the setting is relative to."""
    with pytest.raises(ContextError, match="is missing") as caught:
        Context.open(root, root / "nowhere" / "Dockerfile")
    assert "relative to the project's root" in caught.value.hint


def test_dockerfile_that_is_a_folder(root: Path) -> None:
    """A folder is no Dockerfile."""
    (root / "docker").mkdir()
    with pytest.raises(ContextError, match="docker is a folder"):
        Context.open(root, root / "docker")


@pytest.mark.parametrize("text", ["", " \n\t\n"])
def test_empty_dockerfile(text: str, root: Path) -> None:
    """A Dockerfile with nothing in it is an error that says so."""
    (root / "Dockerfile").write_text(text)
    with pytest.raises(ContextError, match="is empty"):
        Context.open(root, root / "Dockerfile")


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
def test_bad_ignore_file(name: str, root: Path) -> None:
    """A bad pattern is an error that names the file and the pattern; so is a folder in the file's place."""
    (root / name).write_text("fine\n[a\n")
    with pytest.raises(ContextError, match=r"dockerignore: `\[a` is no pattern"):
        Context.open(root, root / "Dockerfile")
    (root / name).unlink()
    (root / name).mkdir()
    with pytest.raises(ContextError, match="dockerignore cannot be read: Is a directory"):
        Context.open(root, root / "Dockerfile")


def test_locked_dockerfile(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Dockerfile that may not be read, or lies in a locked folder, is an error that names it."""
    (root / "locked").mkdir()
    (root / "locked" / "Dockerfile").write_text("FROM scratch\n")
    (root / "locked").chmod(0)
    (root / "Dockerfile").chmod(0)
    root.chmod(0o755)
    monkeypatch.chdir(root)  # the folders above may be locked for others
    was = os.geteuid()
    if was == 0:
        try:
            os.seteuid(65534)
        except OSError as error:
            pytest.skip(f"root cannot give its rights up here: {error}")
    try:
        for dockerfile in ("Dockerfile", "locked/Dockerfile"):
            with pytest.raises(ContextError, match=f"the Dockerfile {dockerfile} cannot be read: Permission denied"):
                Context.open(Path(), Path(dockerfile))
    finally:
        os.seteuid(was)
        (root / "locked").chmod(0o755)


def test_a_folder_that_is_left_out(root: Path) -> None:
    """What the project keeps for itself is not sent, whatever its path; the ignore file may undo it."""
    for place in ("own", "odd [a]*/own"):
        folder = root / place
        folder.mkdir(parents=True)
        (folder / "state").write_text("state")
    for place in ("own", "odd [a]*/own"):
        names = set(sent(Context.open(root, root / "Dockerfile", without=root / place)))
        assert f"{place}/state" not in names
        assert len([name for name in names if name.endswith("own/state")]) == 1
    (root / ".dockerignore").write_text("!own\n")
    assert "own/state" in sent(Context.open(root, root / "Dockerfile", without=root / "own"))
    assert Context.open(root / "own", root / "Dockerfile", without=root / "other").hidden == ()


def test_a_pinned_dockerfile(root: Path) -> None:
    """What is sent under the Dockerfile's name is the pinned text, once; all else is as it was."""
    context = replace(Context.open(root, root / "Dockerfile"), pinned="FROM a@b\udcff\r\n")
    assert sent(context) == {"Dockerfile": b"FROM a@b\xff\r\n", "keep": b"keep", "skip": b"skip"}
    assert context.own_text == "FROM scratch\n"
    assert context.text == "FROM a@b\udcff\r\n"
    (root / ".dockerignore").write_text("Dockerfile\nskip\n")
    context = replace(Context.open(root, root / "Dockerfile"), pinned="FROM a@b\n")
    assert sent(context) == {".dockerignore": b"Dockerfile\nskip\n", "keep": b"keep", "Dockerfile": b"FROM a@b\n"}


def test_a_pinned_dockerfile_from_outside(root: Path, tmp_path: Path) -> None:
    """It has its name that no file has, and the pinned text."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    context = replace(Context.open(root, tmp_path / "Dockerfile"), pinned="FROM a@b\n")
    found = sent(context)
    assert found[context.dockerfile_name] == b"FROM a@b\n"
    assert found["Dockerfile"] == b"FROM scratch\n"


def test_what_people_call_the_dockerfile(tmp_path: Path) -> None:
    """The path from the project, wherever the context is; without a project from the context, else the whole path."""
    inside, outside = tmp_path / "docker" / "base" / "Dockerfile", tmp_path / "Dockerfile"
    inside.parent.mkdir(parents=True)
    for file in (inside, outside):
        file.write_text("FROM scratch\n")
    assert Context.open(inside.parent, inside, project=tmp_path).shown_name == "docker/base/Dockerfile"
    assert Context.open(inside.parent, outside, project=tmp_path).shown_name == "Dockerfile"
    assert Context.open(inside.parent, inside).shown_name == "Dockerfile"
    assert Context.open(inside.parent, outside).shown_name == str(outside)
