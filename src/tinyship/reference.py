"""What an image's reference says: its registry, its repository, its tag, its digest.

Source: the reference grammar of the CNCF distribution (``reference/regexp.go``, ``reference/normalize.go``).
"""

from __future__ import annotations

import re

from msgspec import Struct

from tinyship.errors import ConfigError

HUB = "docker.io"

HOST = r"(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9-]+(?=:)|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
"""The pattern of a registry's host, with its port."""
PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
REPOSITORY = re.compile(rf"(?:{HOST}/)?{PART}(?:/{PART})*")
"""A repository's name, with its host or without; beside this, it has at most ``REPOSITORY_LENGTH`` characters."""
REPOSITORY_LENGTH = 255
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

_HUB_HOSTS = {"index.docker.io", "registry-1.docker.io"}
_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
_PART_OF_ID = re.compile(r"sha256:[0-9a-f]{0,63}")


class Reference(Struct, frozen=True):
    """An image in a registry.

    Args:
        host: of the registry, with its port; ``docker.io`` for Docker Hub.
        repository: without the host, and with ``library/`` where Docker Hub has it there.
        tag: ``latest`` where neither tag nor digest were named; empty where only a digest was.
        digest: ``sha256:...``; empty where none was named.
    """

    host: str
    repository: str
    tag: str
    digest: str

    @property
    def manifest(self) -> str:
        """What to ask the registry for: the digest, which says all, or else the tag."""
        return self.digest or self.tag

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.host}/{self.repository}{tag}{digest}"


def parse(text: str) -> Reference:
    """Read ``[host[:port]/]repository[:tag][@digest]`` as Docker reads it.

    Raises:
        ConfigError: it is none, and how.
    """
    if _ID.fullmatch(text):
        raise _no(text, "it is an image's id", "A registry knows images by name: `repository:tag`.")
    if not text:
        raise ConfigError("an image's name is empty", hint="One is like `lacion/foo:1.0`.")
    if _PART_OF_ID.fullmatch(text):
        raise _no(text, "it is the beginning of a digest", "A digest is `sha256:` and 64 hexadecimal digits.")
    if "://" in text:
        raise _no(text, "it is an address", f"Write it without `{text.partition('://')[0]}://`.")
    name, at, digest = text.partition("@")
    if at and not DIGEST.fullmatch(digest):
        raise _no(text, f"`{digest}` is no digest", "A digest is `sha256:` and 64 hexadecimal digits.")
    host, path = split_host(name)
    repository, colon, tag = path.partition(":")
    if colon and not TAG.fullmatch(tag):
        raise _no(text, f"`{tag}` is no tag", "A tag has letters, digits, `_`, `.` and `-`; at most 128 of them.")
    if host == HUB and "/" not in repository:
        repository = f"library/{repository}"
    if not REPOSITORY.fullmatch(f"{host}/{repository}"):
        lower = f"{name.removesuffix(path)}{path.partition(':')[0].lower()}"
        helps = REPOSITORY.fullmatch(lower)
        meant = f"Use lower case: `{lower}{colon}{tag}`." if helps else "One is like `lacion/foo:1.0`."
        raise _no(text, "it is not of the form `[host[:port]/]repository[:tag][@digest]`", meant)
    if len(repository) > REPOSITORY_LENGTH:
        raise _no(text, f"its name has more than {REPOSITORY_LENGTH} characters", "")
    return Reference(host, repository, tag or ("" if digest else "latest"), digest)


def split_host(name: str) -> tuple[str, str]:
    """The registry's host that a name begins with, and the rest: ``lacion/foo`` is at ``docker.io``.

    Source: ``splitDockerDomain`` of the distribution's reference grammar.
    """
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return (HUB if first in _HUB_HOSTS else first), rest
    return HUB, name


def familiar(text: str) -> str:
    """A reference as Docker writes it: without the host and the folder of Docker Hub, which others write before it."""
    host, _, rest = text.partition("/")
    return rest.removeprefix("library/") if host == HUB else text


def tagged(name: str) -> str:
    """A name with its tag: ``latest`` where it has none."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _no(text: str, why: str, hint: str) -> ConfigError:
    shown = text if len(text) <= 100 else f"{text[:100]}..."
    return ConfigError(f"`{shown}` names no image in a registry: {why}", hint=hint)
