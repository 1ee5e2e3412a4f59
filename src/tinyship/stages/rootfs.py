"""Root filesystems for base images: where their bytes come from, and whether they changed since the last import."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tinyship.errors import CommandFailed, ContextError
from tinyship.events import Events, Log
from tinyship.running import commands
from tinyship.stages.given import Given, combined, stamp

if TYPE_CHECKING:
    from tinyship.settings.stages import Base, Rootfs

_CHUNK = 1 << 18
_TAIL = 20


def describe(rootfs: Rootfs) -> str:
    """What the root filesystem comes from, in words."""
    return rootfs.tar or f"`{' '.join(_argv(rootfs))}`"


def check(root: Path, base: Base) -> None:
    """Raise ContextError when the tar file of a root filesystem is missing."""
    if base.rootfs and base.rootfs.tar and not (root / base.rootfs.tar).is_file():
        raise ContextError(
            f"there is no file {base.rootfs.tar}",
            hint="`rootfs.tar` is relative to the project's root.",
            stage="base",
            image=base.name,
        )


def words(rootfs: Rootfs) -> tuple[str, ...]:
    """Everything that names what it is made from: the tar file, or the command and its arguments."""
    return (rootfs.tar,) if rootfs.tar else _argv(rootfs)


def chunks(root: Path, base: Base, events: Events) -> Iterator[bytes]:
    """The root filesystem's tar, piece by piece.

    Raises:
        CommandFailed: the command that makes it is missing or exited with another code than 0.
    """
    assert base.rootfs
    if base.rootfs.tar:
        with (root / base.rootfs.tar).open("rb") as file:
            yield from iter(lambda: file.read(_CHUNK), b"")
    else:
        yield from _output(root, _argv(base.rootfs), base.name, events)


def given(root: Path, base: Base, changes: Sequence[str]) -> Given:
    """All that is known to decide the image of a root filesystem.

    Of a tar file its content; of a command its words, and the content of the files of the project that it names.

    Args:
        changes: Dockerfile instructions for its config.

    Raises:
        ContextError: a file cannot be read.
    """
    assert base.rootfs
    names = [name for name in (base.rootfs.tar, *_argv(base.rootfs)) if name and (root / name).is_file()]
    held, stamps = {}, []
    for name in names:
        try:
            stamps.append(stamp(root / name))
            held[name] = _content(root / name)
        except OSError as error:
            raise ContextError(f"{name} cannot be read: {error.strerror}") from error
    how = {"command": combined(_argv(base.rootfs)), "tar": base.rootfs.tar, "changes": combined(changes)}
    return Given({"settings": how, "rootfs": held}, combined(stamps))


def _content(file: Path) -> str:
    """A digest of a file's content."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _argv(rootfs: Rootfs) -> tuple[str, ...]:
    from tinyship.settings.stages import words

    return words(rootfs.command)


def _output(root: Path, argv: tuple[str, ...], name: str, events: Events) -> Iterator[bytes]:
    tail: deque[str] = deque(maxlen=_TAIL)
    with ExitStack() as stack:
        try:
            command = commands.running(argv, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            process = stack.enter_context(command)
        except OSError as error:
            raise CommandFailed(
                f"`{argv[0]}` cannot be started: {error.strerror}",
                exit_code_of_command=127,
                hint="`rootfs.command` runs in the project's root, without a shell.",
            ) from error
        assert process.stdout
        assert process.stderr
        reader = threading.Thread(target=_forward, args=(process.stderr, name, tail, events), daemon=True)
        reader.start()
        stack.callback(reader.join)
        stack.push(lambda kind, *_: commands.end(process) if kind else None)  # which ends the reader
        output = process.stdout.fileno()
        yield from iter(lambda: os.read(output, _CHUNK), b"")
        code = process.wait()
    if code:
        shown = " ".join(argv)
        raise CommandFailed(f"`{shown}` failed with exit code {code}", exit_code_of_command=code, tail=tuple(tail))


def _forward(stream: IO[bytes], name: str, tail: deque[str], events: Events) -> None:
    for line in stream:
        text = line.decode(errors="replace").rstrip()
        tail.append(text)
        events(Log(name, text, "stderr"))
