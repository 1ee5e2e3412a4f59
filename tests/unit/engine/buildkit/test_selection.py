"""What is sent of a folder: includes, excludes, and paths with the links on their way."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import everything, ignored, plant, resolved, tree_paths, tree_patterns, trees, with_parents

from tinyship.engine.buildkit.selection import entries, followed, values
from tinyship.errors import ContextError


def chosen(root: Path, **headers: tuple[str, ...]) -> list[str]:
    """The paths that are sent; `include`, `exclude` and `follow` stand for BuildKit's headers."""
    names = {"include": "include-patterns", "exclude": "exclude-patterns", "follow": "followpaths"}
    return [entry.path for entry in entries(root, {names[key]: value for key, value in headers.items() if value})]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders, files, and links of all kinds."""
    for name in ("a/one", "a/two", "b/c/three", "four.txt", "five.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    links = {
        "to-a": "a",
        "b/up": "../a",
        "b/out": "../../../a",
        "absolute": "/b/c",
        "chain": "to-a",
        "loop": "loop",
        "ping": "pong",
        "pong": "ping",
        "deeper": "deeper/deeper",
        "dangling": "nowhere",
        "root": "/",
    }
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    return tmp_path


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["four.txt"], ["four.txt"]),
        (["/four.txt"], ["four.txt"]),
        (["./a/../four.txt"], ["four.txt"]),
        (["missing"], ["missing"]),
        (["to-a"], ["a", "to-a"]),
        (["to-a/one"], ["a/one", "to-a"]),
        (["to-a/one", "to-a/two"], ["a/one", "a/two", "to-a"]),
        (["chain/one"], ["a/one", "chain", "to-a"]),
        (["b/up/one"], ["a/one", "b/up"]),
        (["b/out/one"], ["a/one", "b/out"]),
        (["absolute/three"], ["absolute", "b/c/three"]),
        (["absolute"], ["absolute", "b/c"]),
        (["loop"], ["loop"]),
        (["loop/x"], ["loop"]),
        (["ping/x"], ["ping", "pong"]),
        (["deeper/x"], ["deeper"]),
        (["dangling"], ["dangling", "nowhere"]),
        (["root/four.txt"], ["four.txt", "root"]),
        (["root"], [".", "root"]),
        (["to-*"], ["a", "to-*"]),
        (["to-*/one"], ["a/one", "to-*"]),
        (["*.txt"], ["*.txt"]),
        (["[a-b]/one"], ["[a-b]/one"]),
        ([r"to\-a/one"], [r"to\-a/one"]),
        (["[/one"], ["[/one"]),
        (["../four.txt"], ["../four.txt"]),
        (["."], ["."]),
        ([""], ["."]),
        (["/"], ["."]),
        (["four.txt/below"], ["four.txt/below"]),
        (["a\x00b"], ["a\x00b"]),
    ],
)
def test_paths_are_followed(tree: Path, paths: list[str], expected: list[str]) -> None:
    """Each link on the way is named, and where it leads to; never out of the folder, never round and round."""
    assert sorted(set(followed(tree, paths))) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"follow": ("to-a/one", "missing")}, ["a", "a/one", "to-a"]),
        ({"follow": ("to-a",), "exclude": ("a/one",)}, ["a", "a/two", "to-a"]),
        ({"follow": ("a/one",), "include": ("b/c",)}, ["a", "a/one", "b", "b/c", "b/c/three"]),
        ({"follow": (".",), "include": ("b/c",), "exclude": ("**", "!*.txt")}, ["five.txt", "four.txt"]),
        ({"follow": ("a",), "include": (".",), "exclude": ("**", "!four.txt")}, ["four.txt"]),
        ({"follow": ("root",), "exclude": ("**", "!a")}, ["a", "a/one", "a/two"]),
        ({"include": ("*.txt", "!five.txt")}, ["four.txt"]),
        ({"include": ("a", "!a/one")}, ["a", "a/two"]),
        ({"include": ("**/three",)}, ["b", "b/c", "b/c/three"]),
        ({"include": ("a/*", "b/**")}, ["a", "a/one", "a/two", "b", "b/c", "b/c/three", "b/out", "b/up"]),
        ({"include": ("/a",)}, []),
        ({"include": (".",)}, []),
        ({"include": ("a",), "exclude": ("*", "!a/two")}, ["a", "a/two"]),
    ],
)
def test_all_three_together(tree: Path, headers: Mapping[str, tuple[str, ...]], expected: list[str]) -> None:
    """Includes and followed paths add up, excludes hold for both, and the folders above come along."""
    assert chosen(tree, **headers) == expected


def test_nothing_asked_is_all(tree: Path) -> None:
    """Without any of the three, all is sent."""
    assert sorted(chosen(tree)) == sorted(everything(tree))


@pytest.mark.parametrize(
    ("header", "mark", "expected"),
    [
        (("%C3%BC%2Bx+y", "a%2Ab"), ("1",), ("ü+x y", "a*b")),
        (("%E9",), ("1",), ("\udce9",)),
        (("%41+b",), (), ("%41+b",)),
        (("%41",), ("0",), ("%41",)),
        (("%41",), ("true",), ("A",)),
    ],
)
def test_values_are_decoded(header: tuple[str, ...], mark: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """Only what the engine says is encoded is decoded, byte by byte."""
    assert values({"followpaths": header, **({"followpaths-encoded": mark} if mark else {})}, "followpaths") == expected


@pytest.mark.parametrize(
    ("folder", "names", "expected"),
    [
        ("dockerfile", ("Dockerfile", "dockerfile", "missing"), {"Dockerfile": "outside"}),
        ("dockerfile", ("file[1]", "folder"), {"file[1]": "odd"}),
        ("context", (".dockerignore",), {".dockerignore": "outside"}),
    ],
)
def test_what_the_frontend_reads_itself(
    tmp_path: Path, folder: str, names: tuple[str, ...], expected: dict[str, str]
) -> None:
    """A Dockerfile and an ignore file come by content and exact name, even where they are links that lead out."""
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "outside").write_text("outside")
    (root / "file[1]").write_text("odd")
    (root / "file1").write_text("not asked for")
    for name in ("Dockerfile", ".dockerignore"):
        (root / name).symlink_to("../outside")
    found = list(entries(root, {"dir-name": (folder,), "followpaths": names}))
    assert {entry.path: Path(entry.full).read_text() for entry in found} == expected
    assert all(entry.stat.st_size == len(expected[entry.path]) for entry in found)


def test_what_is_copied_stays_a_link(tmp_path: Path) -> None:
    """What the build itself asks for is sent as it lies there."""
    (tmp_path / "Dockerfile").symlink_to("../outside")
    found = list(entries(tmp_path, {"dir-name": ("context",), "followpaths": ("Dockerfile", ".dockerignore")}))
    assert [stat.S_ISLNK(entry.stat.st_mode) for entry in found] == [True]


def test_bad_pattern(tree: Path) -> None:
    """A pattern that is none is named."""
    with pytest.raises(ContextError, match=r"`\[`"):
        chosen(tree, exclude=("[",))


def test_names_outside_of_what_is_asked_do_not_matter(tmp_path: Path) -> None:
    """A locked name, or one that is no UTF-8, is looked at by nobody who asks for others."""
    for name in ("\udcff", "dir\udcff", "wanted"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    assert chosen(tmp_path, follow=("wanted",)) == ["wanted", "wanted/file"]
    assert chosen(tmp_path, exclude=("*\udcff",)) == ["wanted", "wanted/file"]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    trees,
    st.lists(tree_patterns, max_size=2),
    st.lists(tree_patterns, max_size=2),
    st.lists(tree_paths, max_size=2),
)
def test_agrees_with_a_plain_reference(
    tree: list[tuple[str, str | None]], include: list[str], exclude: list[str], follow: list[str]
) -> None:
    """Whatever tree, patterns and paths: what is sent is what a kernel would find, less what the patterns say."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        plant(root, tree)
        targets = [one for path in follow for one in resolved(root, path)]
        wanted = [*include, *targets] if "" not in targets else []
        expected = [
            path for path in everything(root) if not ignored(exclude, path) and (ignored(wanted, path) or not wanted)
        ]
        found = chosen(root, include=tuple(include), exclude=tuple(exclude), follow=tuple(follow))
        assert found == with_parents(expected)
