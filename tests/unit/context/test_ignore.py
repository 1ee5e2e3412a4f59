"""Ignore files: Moby's grammar, the last match wins, what is below a folder goes with it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ignored as by_reference
from reference import paths, patterns

from tinyship.context.ignore import Matcher, parse
from tinyship.context.names import shown
from tinyship.errors import ContextError


def ignored(text: str, path: str) -> bool:
    """Whether an ignore file with this text ignores a path."""
    return Matcher(parse(text.encode("utf-8", "surrogateescape"))).ignores(path)


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
        (b"/!/foo", ("!/foo",)),
        (b"foo\rbar", ("foo\rbar",)),
        ("\u2003foo\u00a0".encode(), ("foo",)),
        (b"\x1cfoo\x1c", ("\x1cfoo\x1c",)),
        (b"/../foo", ("foo",)),
        (b"../foo", ("../foo",)),
    ],
)
def test_lines_are_cleaned(data: bytes, patterns: tuple[str, ...]) -> None:
    """Comments and blanks are dropped, paths are cleaned, everything else stays."""
    assert parse(data) == patterns


@pytest.mark.parametrize("line", [b"!", b"  !  ", b"foo\n!", b"!/", b"foo\n! //"])
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
        ("a[^b]c", "a/c", True),
        (r"\d", "5", True),
        (r"\d", "d", False),
        (r"\x41", "A", True),
        (r"\101", "A", True),
        (r"[\w]", "_", True),
        (r"[\W]", "-", True),
        (r"\Qa*\E", "a*", False),
        (r"\Qab\E*", "abc", True),
        ("[[:alpha:]]x", "bx", True),
        ("[[:^alpha:]]x", "bx", False),
        ("[*]", "*", False),
        ("[*]", "[]", True),
        ("a^b*", "a^bc", False),
        ("a^b", "a^b", True),
        ("{a,b}*", "{a,b}c", True),
        ("a{2}*", "aa", True),
        ("a{2}*", "a{2}", False),
        ("a|b*", "ac", True),
        ("a|b*", "xb", True),
        ("a|b*", "xc", False),
        ("**/*.txt", "a\nb/c.txt", False),
        ("*.txt", "a\nb.txt", True),
        ("**/c.txt", "a\nb/c.txt", True),
        ("caf\udce9*", "caf\udce8", True),
        ("caf\udce9", "caf\udce8", False),
        ("?", "\udce9", True),
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
        ("**/*.md\n!docs", "docs/a.md", True),
        ("docs\n!docs/README.md\ndocs", "docs/README.md", False),
        ("a\n!a/b\na/b/c\n!a/b/c/d", "a/b/c/d/e", False),
        ("a\n!a/b\na/b/c\n!a/b/c/d", "a/b/c/e", True),
    ],
)
def test_last_match_wins(text: str, path: str, expected: bool) -> None:
    """Later patterns overrule earlier ones, also those that match a folder above."""
    assert ignored(text, path) is expected


def test_line_that_is_too_long() -> None:
    """Moby reads lines of up to 65,535 bytes; a longer one is an error that gives its number."""
    assert len(parse(b"foo\n" + b"a" * 65_535)) == 2
    with pytest.raises(ContextError, match="line 2 "):
        parse(b"foo\n" + b"a" * 65_536)


def test_many_stars_take_no_time() -> None:
    """A pattern of many stars is decided at once, where trying all splits would take years."""
    matcher = Matcher(["*a" * 30 + "*b", "**/" + "?*a" * 30 + "b"])
    assert not matcher.ignores("a" * 250)
    assert matcher.ignores("a" * 250 + "b")


def test_many_patterns_take_little_time() -> None:
    """Among 40,000 patterns only the few are tried that may match."""
    lines = [f"build/{number}/out\nsrc/*/gen{number}.py\n**/cache{number}\nlogs{number}/**" for number in range(10_000)]
    matcher = Matcher(parse("\n".join(["*.tmp", *lines, "!build/7/out/keep"]).encode()))
    for number in range(0, 10_000, 7):
        assert matcher.ignores(f"build/{number}/out/a.o")
        assert matcher.ignores(f"src/x/gen{number}.py")
        assert matcher.ignores(f"a/b/cache{number}/c")
        assert matcher.ignores(f"logs{number}/a")
        assert not matcher.ignores(f"src/x/y/gen{number}.py")
        assert not matcher.ignores(f"logs{number}")
        assert len(matcher._index.candidates(f"src/x/gen{number}.py")) == 1
    assert not matcher.ignores("build/7/out/keep")


@pytest.mark.parametrize(
    "pattern",
    [
        "[",
        "a[",
        "[a",
        "[^",
        "[^bc",
        "[]",
        "[]a]",
        "[-]",
        "[-x]",
        "[x-]",
        "[a-b-c]",
        "[c-a]",
        "\\",
        "foo\\",
        r"\y",
        r"\8",
        r"\é",
        "a**{2}b",
        "x{9999}?",
        "[\udce9]",
        "[[:x:]]a",
    ],
)
@pytest.mark.parametrize("mark", ["", "!"])
def test_bad_pattern(mark: str, pattern: str) -> None:
    """What is no pattern is an error that names it and says what brackets and backslashes need."""
    with pytest.raises(ContextError, match="is no pattern") as caught:
        Matcher(parse(f"{mark}{pattern}".encode("utf-8", "surrogateescape")))
    assert f"`{shown(pattern)}`" in caught.value.message
    assert caught.value.hint


def test_name_that_is_not_utf8() -> None:
    """Bytes that are not UTF-8 match themselves in a file's name."""
    matcher = Matcher(parse(b"caf\xe9*"))
    assert matcher.ignores(b"caf\xe9.txt".decode("utf-8", "surrogateescape"))
    assert not matcher.ignores("café.txt")


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.lists(patterns, min_size=1, max_size=4), st.lists(paths, min_size=1, max_size=4))
def test_agrees_with_a_naive_reference(chosen: list[str], asked: list[str]) -> None:
    """Patterns and paths made at random come out as in a matcher that tries everything."""
    matcher = Matcher(chosen)
    for path in asked:
        assert matcher.ignores(path) is by_reference(chosen, path)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(patterns, min_size=1, max_size=4), paths)
def test_never_gives_up_a_folder_too_early(chosen: list[str], path: str) -> None:
    """Above whatever is taken in, every ignored folder may be opened again; above what is ignored, every other."""
    matcher = Matcher(chosen)
    parts = path.split("/")
    above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    if matcher.ignores(path):
        assert all(matcher.may_ignore(folder) for folder in above if not matcher.ignores(folder))
    else:
        assert all(matcher.may_reopen(folder) for folder in above if matcher.ignores(folder))


@pytest.mark.parametrize(
    ("text", "folder", "expected"),
    [
        ("*", "a", False),
        ("*\n!b/c", "a", False),
        ("*\n!b/c", "b", True),
        ("*\n!b/*.py", "b", True),
        ("*\n!b/*.py", "b/x", False),
        ("*\n!b/?/*", "b/x", True),
        ("*\n!b/[^x]", "b/x", True),
        ("*\n!b/[x-z]", "b/x", False),
        ("*\n!b/x**", "b/xy", True),
        ("*\n!b/x/**", "b/xy", False),
        ("*\n!*.md", "node_modules", False),
        ("*\n!ab*/c", "abc", True),
        ("*\n!ab*/c", "a", False),
        ("*\n!b/*.py", "a", False),
        ("*\n!**/x", "a/b", True),
    ],
)
def test_looks_only_where_something_may_be(text: str, folder: str, expected: bool) -> None:
    """An ignored folder is walked only where a `!` pattern could match below it."""
    assert Matcher(parse(text.encode())).may_reopen(folder) is expected
