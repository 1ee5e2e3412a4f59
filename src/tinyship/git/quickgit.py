"""Asks git without GitPython, whose import takes longer than most answers.

Whatever is not as simple as it mostly is, variables that send git elsewhere or an answer that is an error, is left to
GitPython: see ``repository``.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

_HARMLESS = (
    *("GIT_ASKPASS", "GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_", "GIT_EDITOR", "GIT_HTTP_"),
    *("GIT_OPTIONAL_LOCKS", "GIT_PAGER", "GIT_PYTHON_", "GIT_SSH", "GIT_SSL_", "GIT_TERMINAL_PROMPT"),
)
"""Variables that change nothing of what git says of a repository; others may."""


def ask(root: Path, *words: str) -> str | None:
    """What git says in a folder; None: ask in the usual way.

    Args:
        root: a folder of the repository.
        words: the command's name and arguments; it has to be one that changes nothing.
    """
    found = answers(root, words)
    return found[0] if found else None


def answers(root: Path, *questions: Sequence[str]) -> tuple[str, ...] | None:
    """What git says to several questions that are asked at the same time; arguments and None as for ``ask``."""
    if os.name != "posix" or _is_sent_elsewhere():
        return None
    environment = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C", "GIT_OPTIONAL_LOCKS": "0"}
    with ExitStack() as stack:
        try:
            asked = [
                stack.enter_context(
                    subprocess.Popen(
                        ["git", *words],
                        cwd=root,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                    )
                )
                for words in questions
            ]
        except OSError:
            return None
        said = [process.communicate()[0] for process in asked]
    if any(process.returncode for process in asked):
        return None
    return tuple(one.decode("utf-8", "surrogateescape") for one in said)


def _is_sent_elsewhere() -> bool:
    return any(name.startswith("GIT_") and not name.startswith(_HARMLESS) for name in os.environ)
