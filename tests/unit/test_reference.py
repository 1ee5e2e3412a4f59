"""References: what Docker reads in them, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tinyship.errors import ConfigError
from tinyship.reference import Reference, parse

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("foo", "docker.io", "library/foo", "latest", ""),
        ("foo:1.0", "docker.io", "library/foo", "1.0", ""),
        ("lacion/foo", "docker.io", "lacion/foo", "latest", ""),
        ("docker.io/foo", "docker.io", "library/foo", "latest", ""),
        ("index.docker.io/lacion/foo:1", "docker.io", "lacion/foo", "1", ""),
        ("registry-1.docker.io/library/foo", "docker.io", "library/foo", "latest", ""),
        ("ghcr.io/foo", "ghcr.io", "foo", "latest", ""),
        ("localhost/foo", "localhost", "foo", "latest", ""),
        ("localhost:5000/foo:1.0", "localhost:5000", "foo", "1.0", ""),
        ("registry:5000/a/b/c:x", "registry:5000", "a/b/c", "x", ""),
        ("localhost:5000", "docker.io", "library/localhost", "5000", ""),
        ("[::1]:5000/foo", "[::1]:5000", "foo", "latest", ""),
        ("127.0.0.1:5000/lacion/foo", "127.0.0.1:5000", "lacion/foo", "latest", ""),
        (f"foo@{DIGEST}", "docker.io", "library/foo", "", DIGEST),
        (f"localhost:5000/foo:1.0@{DIGEST}", "localhost:5000", "foo", "1.0", DIGEST),
        ("a__b/c-d--e/f.g", "docker.io", "a__b/c-d--e/f.g", "latest", ""),
    ],
)
def test_parse(text: str, host: str, repository: str, tag: str, digest: str) -> None:
    """Hosts, folders of Docker Hub, tags and digests, as Docker has them."""
    found = parse(text)
    assert found == Reference(host, repository, tag, digest)
    assert found.manifest == (digest or tag)
    assert parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "name is empty"),
        (" ", "is not of the form"),
        ("foo bar", "is not of the form"),
        ("Lacion/Foo", "Use lower case: `lacion/foo`."),
        ("ghcr.io/Lacion/Foo:RC1", "Use lower case: `ghcr.io/lacion/foo:RC1`."),
        ("BAD TAG", "is like `lacion/foo:1.0`"),
        ("sha256:abc", "the beginning of a digest"),
        ("foo:", "`` is no tag"),
        ("foo:1:2", "`1:2` is no tag"),
        ("foo:ä", "`ä` is no tag"),
        (f"foo:{'x' * 129}", "is no tag"),
        ("foo@", "`` is no digest"),
        ("foo@sha256:abc", "is no digest"),
        (f"foo@{DIGEST}@{DIGEST}", "is no digest"),
        (f"@{DIGEST}", "is not of the form"),
        ("foö/bar", "is not of the form"),
        ("/foo", "is not of the form"),
        ("foo/", "is not of the form"),
        ("foo//bar", "is not of the form"),
        ("foo/../bar", "is not of the form"),
        ("localhost:5000/", "is not of the form"),
        ("localhost:x/foo", "is not of the form"),
        ("https://ghcr.io/lacion/foo", "without `https://`"),
        ("docker://foo", "without `docker://`"),
        ("user@host/foo", "is no digest"),
        (DIGEST, "an image's id"),
        (DIGEST.removeprefix("sha256:"), "an image's id"),
        ("x" * 256, "more than 255 characters"),
        ("foo\n", "is not of the form"),
        ("foo:1\n", "is no tag"),
        ("-foo", "is not of the form"),
    ],
)
def test_nonsense(text: str, words: str) -> None:
    """What is none says why, and what would be one."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert words in str(caught.value)


@given(some.text(max_size=300))
def test_any_text(text: str) -> None:
    """It is read or refused, and what is read is read the same again."""
    try:
        found = parse(text)
    except ConfigError:
        return
    assert parse(str(found)) == found
