"""The git repository around a project: opens it, and runs git in it so that people can read what failed."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

from tinyship.errors import GitError
from tinyship.running import cancelling

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def load() -> None:
    """Load GitPython, where there is a git; whoever asks is told where there is none."""
    with suppress(ImportError):
        import git  # noqa: F401


def load_meanwhile() -> None:
    """Load GitPython in a thread of its own, while something is waited for; whoever needs it waits for the rest."""
    threading.Thread(target=load, daemon=True, name="tinyship-git").start()


def is_around(root: Path) -> bool:
    """Whether something looks like a repository around a folder; needs no git to tell."""
    return any((folder / ".git").exists() for folder in (root.resolve(), *root.resolve().parents))


def around(root: Path) -> Any:
    """GitPython's repository around a folder; None where there is none.

    Raises:
        GitError: git is missing, or the repository has no work tree.
    """
    try:
        import git
    except ImportError as error:
        raise GitError("there is no git on PATH", hint="Install git.") from error
    try:
        repository = git.Repo(root, search_parent_directories=True)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        return None
    if repository.bare:
        repository.close()
        raise GitError(f"the repository around {root} has no work tree", hint="Clone it, and release from the clone.")
    repository.git.update_environment(GIT_OPTIONAL_LOCKS="0")
    return repository


def run(repository: Any, *words: str, **options: Any) -> str:
    """What a git command writes; the options are those of ``run_bytes``.

    Raises:
        GitError: it failed; says what git said.
    """
    return run_bytes(repository, *words, **options).decode("utf-8", "surrogateescape")


def run_bytes(
    repository: Any,
    *words: str,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> bytes:
    """What a git command writes, as bytes.

    Args:
        repository: as ``around`` opened it.
        words: the command's name and arguments; options of git itself may stand before them.
        stdin: what it reads.
        environment: variables beside this process's own.
        timeout: seconds after which it is stopped.

    Raises:
        GitError: it failed, or took too long; ``said`` has all that git wrote of why.
    """
    import git

    with tempfile.TemporaryFile() if stdin else nullcontext() as given:
        if given:
            given.write(stdin)
            given.seek(0)
        try:
            execute = partial(
                repository.git.execute,
                ["git", *words],
                istream=given,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                env=environment,
                kill_after_timeout=timeout,
            )
            return bytes(cancelling.abandonable(execute) if timeout else execute())
        except git.GitCommandNotFound as error:
            raise GitError("there is no git on PATH", hint="Install git.") from error
        except git.GitCommandError as error:
            raise _failed(repository, words, error) from error


def _failed(repository: Any, words: tuple[str, ...], error: Any) -> GitError:
    said = str(error.stderr).strip().removeprefix("stderr: ").strip("'\n ")
    said = _CREDENTIALS.sub("", said)
    if "dubious ownership" in said:
        folder = repository.working_tree_dir
        return GitError(
            f"git does not trust {folder}, which belongs to another user",
            hint=f"`git config --global --add safe.directory {folder}` tells it to.",
        )
    command = next((word for word in words if not word.startswith("-") and "=" not in word), "")
    lines = [line.strip() for line in said.split("\n") if line.strip() and not line.startswith("To ")]
    return GitError(f"`git {command}` failed: {lines[0] if lines else 'it does not say why'}", said=said)
