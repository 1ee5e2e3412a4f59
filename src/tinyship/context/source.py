"""A context: a folder, what an ignore file leaves of it, and the Dockerfile that goes with it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from tinyship.context.ignore import Matcher, parse
from tinyship.context.walk import Entry, walk
from tinyship.errors import ContextError

_IGNORE = ".dockerignore"


class Context(Struct, frozen=True):
    """What a builder gets.

    Args:
        root: the folder, absolute.
        dockerfile: the Dockerfile, absolute; it may lie outside of the folder.
        dockerfile_name: its name inside the context.
        patterns: of the ignore file that applies, those of ``hidden`` before them.
        hidden: patterns of what is left out whatever the ignore file is, unless that takes it in again.
        pinned: what is sent in place of the Dockerfile's own text, line for line about the same; None to send that.
            What COPY sees of it is the file itself with BuildKit, and what is sent with the other builders.
        project: the folder, absolute, that people know paths from; ``root`` where None.
    """

    root: Path
    dockerfile: Path
    dockerfile_name: str
    patterns: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    pinned: str | None = None
    project: Path | None = None

    @classmethod
    def open(cls, root: Path, dockerfile: Path, *, without: Path | None = None, project: Path | None = None) -> Context:
        """The context of a folder and a Dockerfile, both absolute.

        The ignore file is ``<Dockerfile>.dockerignore`` beside the Dockerfile, else ``.dockerignore`` in the folder.

        Args:
            without: a folder that is left out where the context holds it, unless the ignore file takes it in again.
            project: see ``Context``.

        Raises:
            ContextError: one of them is missing, unreadable, of the wrong kind, or empty.
        """
        try:
            kind = "" if root.is_dir() else "no folder" if root.exists() else "missing"
        except OSError as error:
            kind = f"out of reach: {error.strerror}"
        if kind:
            raise ContextError(f"the context {root} is {kind}", hint="`context` is a folder, relative to the project.")
        _check_dockerfile(dockerfile)
        hidden = _hiding(root, without)
        patterns = (*hidden, *_patterns(root, dockerfile))
        real = dockerfile.resolve()
        inside = real.is_relative_to(root.resolve()) and dockerfile.parent.resolve().is_relative_to(root.resolve())
        name = real.relative_to(root.resolve()).as_posix() if inside else _outside_name(dockerfile)
        return cls(root, dockerfile, name, patterns, hidden, project=project)

    @property
    def dockerfile_is_outside(self) -> bool:
        """Whether the Dockerfile has to be added to the files of the folder."""
        return not (self.root / self.dockerfile_name).is_file()

    @property
    def shown_name(self) -> str:
        """The Dockerfile's path as people know it: from the project's folder, or in full where it is not in there."""
        project, file = self.project or self.root, self.dockerfile
        return (file.relative_to(project) if file.is_relative_to(project) else file).as_posix()

    @property
    def text(self) -> str:
        """The Dockerfile as the builder gets it; bytes that are not UTF-8 as surrogates."""
        return self.own_text if self.pinned is None else self.pinned

    @property
    def own_text(self) -> str:
        """The Dockerfile as its author has it; bytes that are not UTF-8 as surrogates, ends of lines as they are."""
        return self.dockerfile.read_bytes().decode("utf-8", "surrogateescape")

    def sent(self) -> bytes:
        """The Dockerfile as the builder gets it."""
        if self.pinned is None:
            return self.dockerfile.read_bytes()
        return self.pinned.encode("utf-8", "surrogateescape")

    def entries(self) -> Iterator[Entry]:
        """The files of the folder that are not ignored, in the protocol's order."""
        yield from walk(self.root, Matcher(self.patterns))

    def tar(
        self, on_bytes: Callable[[int], None] | None = None, *, last: Mapping[str, bytes] | None = None
    ) -> Iterator[bytes]:
        """The context as the classic builder wants it: a tar, with the Dockerfile and the ignore file in it.

        The builder itself drops these two from what COPY sees where the ignore file names them; so an ignored
        Dockerfile is sent all the same, and one from outside is named in the ignore file that is sent.

        Args:
            on_bytes: gets the length of each piece.
            last: small files that are sent behind all others, by name, whatever is ignored.
        """
        from tinyship.context import tar  # only the classic builder wants one

        if self.dockerfile_is_outside:
            ignored = "\n".join([*self.patterns, self.dockerfile_name, _IGNORE]).encode("utf-8", "surrogateescape")
            extra = {self.dockerfile_name: self.sent(), _IGNORE: ignored + b"\n"}
            entries = (entry for entry in self.entries() if entry.path != _IGNORE)
            yield from tar.stream(entries, extra={**extra, **(last or {})}, on_bytes=on_bytes)
            return
        always = (f"!{_literal(self.dockerfile_name)}", f"!{_IGNORE}") if self.patterns else ()
        inside: Iterator[Entry] = walk(self.root, Matcher((*self.patterns, *always)))
        if self.pinned is not None:
            inside = (entry for entry in inside if entry.path != self.dockerfile_name)
            last = {self.dockerfile_name: self.sent(), **(last or {})}
        yield from tar.stream(inside, extra=last, on_bytes=on_bytes)


def _hiding(root: Path, without: Path | None) -> tuple[str, ...]:
    if without is None or not without.is_relative_to(root) or without == root:
        return ()
    return (_literal(without.relative_to(root).as_posix()),)


def _literal(path: str) -> str:
    """A pattern of an ignore file that means this path alone."""
    return re.sub(r"[*?\[\\]", r"\\\g<0>", path)


def _patterns(root: Path, dockerfile: Path) -> tuple[str, ...]:
    own = dockerfile.with_name(f"{dockerfile.name}{_IGNORE}")
    for file in (own, root / _IGNORE):
        try:
            patterns = parse(file.read_bytes())
            Matcher(patterns)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ContextError(f"the ignore file {file} cannot be read: {error.strerror}") from error
        except ContextError as error:
            raise ContextError(f"{file}: {error.message}", hint=error.hint) from None
        return patterns
    return ()


def _check_dockerfile(dockerfile: Path) -> None:
    try:
        if not dockerfile.is_file():
            kind = "a folder" if dockerfile.is_dir() else "missing"
            near = _near(dockerfile)
            hint = f"There is {near}." if near else "`dockerfile` is relative to the project's root."
            raise ContextError(f"the Dockerfile {dockerfile} is {kind}", hint=hint)
        text = dockerfile.read_bytes()
    except OSError as error:
        raise ContextError(f"the Dockerfile {dockerfile} cannot be read: {error.strerror}") from error
    if not text.strip():
        raise ContextError(f"the Dockerfile {dockerfile} is empty", hint="It needs at least a FROM line.")


def _near(dockerfile: Path) -> str:
    try:
        names = sorted(name for name in os.listdir(dockerfile.parent) if "dockerfile" in name.lower())  # noqa: PTH208
    except OSError:
        return ""
    return ", ".join(name for name in names if not name.endswith(_IGNORE))


def _outside_name(dockerfile: Path) -> str:
    """A name that no file of a project has, the same each time so that it spoils no cache."""
    return f".dockerfile.{hashlib.sha256(dockerfile.name.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
