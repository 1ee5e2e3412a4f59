"""Ignore files: Moby's grammar, the last match wins, what is below a folder goes with it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyship.context.ignore import Matcher, parse
from tinyship.errors import ContextError


def ignored(text: str, path: str) -> bool:
    """Whether an ignore file with this text ignores a path."""
    return Matcher(parse(text.encode())).ignores(path)


@pytest.mark.parametrize(
    ("data", "patterns"),
    [
        (b"", ()),
        (b"\n\n  \n\t\n", ()),
        (b"# a comment\nfoo", ("foo",)),
        (b" # no comment", ("# no comment",)),
        (b"foo # no comment", ("foo # no comment",)),
        (b"\xef\xbb\xbffoo", ("foo",)),
        (b"\xef\xbb\xbf# a comment\nfoo", ("foo",)),
        (b"foo\n\xef\xbb\xbfbar", ("foo", "\ufeffbar")),
        (b"foo\r\nbar\r\n", ("foo", "bar")),
        (b"  foo\t", ("foo",)),
        (b"/foo", ("foo",)),
        (b"//foo", ("foo",)),
        (b"foo/", ("foo",)),
        (b"./foo//bar/.", ("foo/bar",)),
        (b"foo/../bar", ("bar",)),
        (b"/", ("/",)),
        (b"!foo/", ("!foo",)),
        (b"! /foo", ("!foo",)),
        (b"a b", ("a b",)),
        (b"caf\xe9", ("caf\udce9",)),
    ],
)
def test_lines_are_cleaned(data: bytes, patterns: tuple[str, ...]) -> None:
    """Comments and blanks are dropped, paths are cleaned, everything else stays."""
    assert parse(data) == patterns


@pytest.mark.parametrize("line", [b"!", b"  !  ", b"foo\n!"])
def test_exclamation_mark_alone(line: bytes) -> None:
    """A `!` with nothing behind it is an error that names the line."""
    with pytest.raises(ContextError, match=f"line {line.count(bytes([10])) + 1} "):
        parse(line)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("foo", "foo", True),
        ("foo", "foobar", False),
        ("foo", "bar/foo", False),
        ("foo", "foo/bar/baz", True),
        ("foo", "Foo", False),
        ("FOO", "foo", False),
        ("/foo", "foo", True),
        ("foo/", "foo", True),
        ("foo/", "foo/bar", True),
        ("foo/bar", "foo", False),
        ("foo/bar", "foo/bar/baz", True),
        ("*", "foo", True),
        ("*", "foo/bar", True),
        ("*", ".hidden", True),
        ("*.go", "a.go", True),
        ("*.go", "dir/a.go", False),
        ("*/*.go", "dir/a.go", True),
        ("*/*.go", "dir/dir/a.go", False),
        ("a*", "a", True),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("a*b", "a/b", False),
        ("?", "a", True),
        ("?", "☺", True),
        ("?", "ab", False),
        ("a?b", "a/b", False),
        (".*", ".foo", True),
        (".*", "foo", False),
        ("abc.def", "abcZdef", False),
        ("a(b)c+|$", "a(b)c+|$", True),
        ("**", "dir/file", True),
        ("**/", "dir/file", True),
        ("**/**", "dir/file", True),
        ("**/file", "file", True),
        ("**/file", "dir/dir/file", True),
        ("**/file", "dir/xfile", False),
        ("**/file", "file/below", True),
        ("**/file*.txt", "dir/file-1.txt", True),
        ("**/*.txt", "file.txt", True),
        ("**/**/*.txt", "dir/dir/file.txt", True),
        ("**/foo/bar", "dir/foo/bar", True),
        ("**/.foo", "bar.foo", False),
        ("**file", "dir/file", True),
        ("**file", "dir/xfile", True),
        ("**.log", "a.log", True),
        ("**.log", "dir/a.log", True),
        ("**.log", "dir/a.logs", False),
        ("dir/**", "dir", False),
        ("dir/**", "dir/a/b", True),
        ("dir**", "dirs/a", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/**/b", "a/xb", False),
        ("a**/*.txt", "a/dir/file.txt", True),
        ("a[b-d]e", "ace", True),
        ("a[b-d]e", "aae", False),
        ("a[^b-d]e", "aze", True),
        ("a[^b-d]e", "ace", False),
        ("[ab]", "b", True),
        ("[a-cx]", "x", True),
        ("[!a]", "!", True),
        ("[!a]", "b", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        (r"\#foo", "#foo", True),
        (r"\!foo", "!foo", True),
        (r"\[a]", "[a]", True),
        (r"[\]a]", "]", True),
        (r"[\-x]", "-", True),
        (r"[x\-z]", "y", False),
        ("a]", "a]", True),
        (".", "foo", False),
        ("./", "foo", False),
        ("!.", "foo", False),
        ("/", "foo", False),
        ("..", "foo", False),
    ],
)
def test_one_pattern(pattern: str, path: str, expected: bool) -> None:
    """One pattern ignores what Moby's does."""
    assert ignored(pattern, path) is expected


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("docs\n!docs/README.md", "docs/README.md", False),
        ("docs\n!docs/README.md", "docs/other.md", True),
        ("!docs/README.md\ndocs", "docs/README.md", True),
        ("*.md\n!README*.md\nREADME-secret.md", "README.md", False),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
        ("*\n!src", "src/deep/file", False),
        ("*\n!src\nsrc/deep", "src/deep/file", True),
        ("*\n!src\nsrc/deep\n!src/deep/file", "src/deep/file", False),
        ("**\n!util/docker/web", "util/docker/web/foo", False),
        ("**\n!util/docker/web\nutil/docker/web/foo", "util/docker/web/foo", True),
        ("*\n!**/*.go", "a/b/c.go", False),
        ("*\n!.", "foo", True),
    ],
)
def test_last_match_wins(text: str, path: str, expected: bool) -> None:
    """Later patterns overrule earlier ones, also those that match a folder above."""
    assert ignored(text, path) is expected


@pytest.mark.parametrize(
    "pattern", ["[", "a[", "[a", "[^", "[^bc", "[]", "[]a]", "[-]", "[-x]", "[x-]", "[a-b-c]", "[c-a]", "\\", "foo\\"]
)
@pytest.mark.parametrize("mark", ["", "!"])
def test_bad_pattern(mark: str, pattern: str) -> None:
    """What is no pattern is an error that names it and says what brackets and backslashes need."""
    with pytest.raises(ContextError, match="is no pattern") as caught:
        Matcher(parse(f"{mark}{pattern}".encode()))
    assert f"`{pattern}`" in caught.value.message
    assert caught.value.hint


def test_name_that_is_not_utf8() -> None:
    """Bytes that are not UTF-8 match themselves in a file's name."""
    matcher = Matcher(parse(b"caf\xe9*"))
    assert matcher.ignores(b"caf\xe9.txt".decode("utf-8", "surrogateescape"))
    assert not matcher.ignores("café.txt")


# The model: matches by trying all splits, character by character, with neither expressions nor memory.


def _glob(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern.startswith("**"):
        rest = pattern[2:].removeprefix("/")
        if not rest:
            return True
        starts = [0, *(index + 1 for index, character in enumerate(text) if character == "/")]
        return any(_glob(rest, text[start:]) for start in starts)
    if pattern[0] == "*":
        upto = text.find("/") if "/" in text else len(text)
        return any(_glob(pattern[1:], text[start:]) for start in range(upto + 1))
    if not text:
        return False
    if pattern[0] == "?":
        return text[0] != "/" and _glob(pattern[1:], text[1:])
    if pattern[0] == "\\":
        return text[0] == pattern[1] and _glob(pattern[2:], text[1:])
    if pattern[0] == "[":
        body, _, rest = pattern[1:].partition("]")
        members = body.removeprefix("^")
        chosen = members[0] <= text[0] <= members[2] if "-" in members else text[0] in members
        return chosen != body.startswith("^") and _glob(rest, text[1:])
    return pattern[0] == text[0] and _glob(pattern[1:], text[1:])


def _model(patterns: list[str], path: str) -> bool:
    parts = path.split("/")
    paths = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    outcome = False
    for pattern in patterns:
        text = pattern.removeprefix("!")
        if text.startswith("**") and text[2:] and not set(text[2:]) & set("*?[]\\"):
            hit = any(f"/{one}".endswith(text[2:]) for one in paths)
        else:
            hit = any(_glob(text, one) for one in paths)
        if hit:
            outcome = not pattern.startswith("!")
    return outcome


_PIECES = st.sampled_from(["a", "b", ".", "*", "?", "**", "[a-b]", "[^a]", "[ab]", "\\*", "\\a"])
_NAMES = st.text("ab*.", min_size=1, max_size=3).filter(lambda name: name.strip(".") != "")
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map("/".join)
_SEGMENTS = st.lists(_PIECES, min_size=1, max_size=3).map("".join).filter(lambda part: part not in {".", ".."})
_PATTERNS = st.builds(
    lambda mark, parts: mark + "/".join(parts), st.sampled_from(["", "!"]), st.lists(_SEGMENTS, min_size=1, max_size=3)
).filter(lambda pattern: "***" not in pattern)


@settings(max_examples=400, deadline=None)
@given(st.lists(_PATTERNS, min_size=1, max_size=4), st.lists(_PATHS, min_size=1, max_size=4))
def test_agrees_with_a_naive_model(patterns: list[str], paths: list[str]) -> None:
    """Patterns and paths made at random come out as in a matcher that tries everything."""
    matcher = Matcher(patterns)
    for path in paths:
        assert matcher.ignores(path) is _model(patterns, path)


@settings(max_examples=300, deadline=None)
@given(st.lists(_PATTERNS, min_size=1, max_size=4), _PATHS)
def test_never_gives_up_a_folder_too_early(patterns: list[str], path: str) -> None:
    """Above whatever is taken in, every ignored folder may be opened again."""
    matcher = Matcher(patterns)
    if not matcher.ignores(path):
        parts = path.split("/")
        above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        assert all(matcher.may_reopen(folder) for folder in above if matcher.ignores(folder))


@pytest.mark.parametrize(
    ("text", "folder", "expected"),
    [
        ("*", "a", False),
        ("*\n!b/c", "a", False),
        ("*\n!b/c", "b", True),
        ("*\n!b/*.py", "b/x", True),
        ("*\n!b/*.py", "a", False),
        ("*\n!**/x", "a/b", True),
    ],
)
def test_looks_only_where_something_may_be(text: str, folder: str, expected: bool) -> None:
    """An ignored folder is walked only where a `!` pattern could match below it."""
    assert Matcher(parse(text.encode())).may_reopen(folder) is expected
