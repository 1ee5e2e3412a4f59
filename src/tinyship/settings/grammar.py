"""The grammar of what the settings name: repositories, tags, references, digests, assignments, artifacts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from string import Formatter

from tinyship.reference import DIGEST, REPOSITORY, REPOSITORY_LENGTH, TAG, split_host

TAG_LENGTH = 128
TEMPLATE_NAMES = ("version", "major", "minor", "patch", "commit", "short_commit", "branch", "date")
_LAST_PORT = 65535
_REMOTE = re.compile(r"\w[\w./-]*")


@contextmanager
def about(key: str) -> Iterator[None]:
    """Let a ValueError begin with the key that it is about: "`image`: ..."."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"`{key}`: {error}") from None


def check_repository(name: str) -> None:
    """Raise ValueError unless ``name`` is a repository name as the distribution's reference grammar has it."""
    if REPOSITORY.fullmatch(name) and len(name) <= REPOSITORY_LENGTH:
        return
    if ":" in name.rpartition("/")[2]:
        raise ValueError(f"`{name}` has a tag, and tags come from `push.tags`")
    if name != name.lower():
        raise ValueError(f"`{name}` is no image name: use lower case, `{name.lower()}`")
    raise ValueError(f"`{name}` is no image name (like `lacion/foo`)")


def check_registry_once(name: str) -> None:
    """Raise ValueError where ``name`` has a registry before it, and ``push.to`` would put another one before that."""
    repository = split_host(name)[1]
    if repository != name:
        raise ValueError(
            f"`{name}` names a registry, and `push.to` does as well: write `{repository}`, or leave `push.to` empty"
        )


def check_reference(name: str) -> None:
    """Raise ValueError unless ``name`` is a repository name with a tag or without one."""
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, "latest"
    if not REPOSITORY.fullmatch(repository) or not TAG.fullmatch(tag):
        raise ValueError(f"`{name}` is no image name (like `lacion/alpine:latest`)")


def check_command(command: str | tuple[str, ...]) -> None:
    """Raise ValueError unless ``command`` can be split as a shell would split it."""
    if isinstance(command, str):
        try:
            shlex.split(command)
        except ValueError as error:
            raise ValueError(f"it is no command: {error}") from None


def check_seconds(seconds: float) -> None:
    """Raise ValueError unless ``seconds`` is a time that one can wait."""
    if not 0 < seconds < 1e9:
        raise ValueError("it is a number of seconds, above 0")


def check_tag(tag: str) -> None:
    """Raise ValueError unless ``tag`` is a tag that Docker accepts."""
    if not TAG.fullmatch(tag):
        raise ValueError(f"`{tag}` is no tag (letters, digits, `_`, `.` and `-`; at most 128)")


def check_assignments(entries: tuple[str, ...]) -> None:
    """Raise ValueError unless each entry is ``NAME=value``."""
    for number, entry in enumerate(entries, 1):
        name, equals, _ = entry.partition("=")
        if not equals or not name.strip():  # the entry itself may hold a secret
            raise ValueError(f"entry {number} is not of the form `NAME=value`")


def check_artifact(path: str) -> None:
    """Raise ValueError unless ``path`` is a relative path that stays below the project's root."""
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or not path.strip("./"):
        raise ValueError(f"artifact `{path}` leaves the project: give a path below its root")


def check_digest(digest: str) -> None:
    """Raise ValueError unless ``digest`` is a SHA-256 digest as registries write it."""
    if not DIGEST.fullmatch(digest):
        raise ValueError(f"`{digest}` is no digest (sha256: and 64 hexadecimal digits)")


def check_registry(registry: str) -> None:
    """Raise ValueError unless ``registry`` is a host with an optional port and path."""
    if not REPOSITORY.fullmatch(f"{registry}/x") or "://" in registry:
        raise ValueError(
            f"`{registry}` is no registry (host[:port][/path], in lower case, without a scheme and a last `/`)"
        )
    port = registry.partition("/")[0].rpartition(":")[2]
    if port.isdecimal() and int(port) > _LAST_PORT:
        raise ValueError(f"`{registry}` is no registry: ports end with {_LAST_PORT}")


def check_remote(name: str) -> None:
    """Raise ValueError unless ``name`` may be the name of a git remote, rather than a URL, which may hold a secret."""
    if not _REMOTE.fullmatch(name):
        raise ValueError("it is no name of a git remote (like `origin`; `git remote -v` lists them)")


def check_template(template: str) -> None:
    """Raise ValueError unless ``template`` is a tag with names in braces that tinyship can fill in."""
    try:
        parsed = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"`{template}` is no template: {error}") from None
    for literal, name, spec, conversion in parsed:
        if name is not None and name not in TEMPLATE_NAMES:
            raise ValueError(f"`{{{name}}}` is not known; there are {', '.join(TEMPLATE_NAMES)}")
        if spec or conversion:
            raise ValueError(f"`{template}` is no template: only plain names stand in braces")
        if not re.fullmatch(r"[A-Za-z0-9_.-]*", literal):
            raise ValueError(f"`{template}` is no tag (letters, digits, `_`, `.` and `-`)")
    if not template:
        raise ValueError("a tag is empty")
