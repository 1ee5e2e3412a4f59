"""Which files of a work tree are not what they were at a commit, whether that is committed or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from tinyship.errors import ConfigError, GitError
from tinyship.git import revision
from tinyship.git.repository import around, run, run_bytes

Kind: TypeAlias = Literal["added", "removed", "changed"]
_KINDS: dict[str, Kind] = {"A": "added", "D": "removed"}


@dataclass(frozen=True, slots=True)
class Touched:
    """What differs.

    Args:
        since: the full commit that was compared with: where the histories of HEAD and of what was named part.
        root: the work tree's folder, without links.
        paths: relative to it, with ``/``; bytes that are not UTF-8 as surrogates. A file that was renamed is one that
            was removed and one that was added; a submodule, or a repository that git does not know, is one path.
    """

    since: str
    root: Path
    paths: Mapping[str, Kind]

    def text(self, file: Path) -> bytes | None:
        """What a file of the work tree, absolute, held at that commit; None where it was not there.

        Raises:
            GitError: git is missing or refuses.
        """
        try:
            path = file.relative_to(self.root).as_posix()
        except ValueError:
            return None
        repository = around(self.root)
        with repository:
            listed = run(repository, "ls-tree", "-z", self.since, "--", f":(top,literal){path}")
            mode, kind, digest = (listed.partition("\t")[0].split() or ["", "", ""])[:3]
            return run_bytes(repository, "cat-file", "blob", digest) if kind == "blob" and mode != "120000" else None


def find(root: Path, name: str) -> Touched:
    """Compare the work tree around a folder with the commit where its history left that of another revision.

    What others did since to a branch that is named is so no change of ours. Files that git ignores are not looked at.

    Args:
        root: a folder of the repository.
        name: what git knows as a commit: a branch, a tag, a commit, ``HEAD~2``.

    Raises:
        ConfigError: git knows no such commit.
        GitError: there is no repository, its history is cut off before the commit, or git is missing or refuses.
    """
    repository = around(root)
    if repository is None:
        raise GitError(f"{root} is in no git repository, so nothing is known to have changed since `{name}`")
    with repository:
        is_shallow = (Path(repository.common_dir) / "shallow").exists()
        commit = revision.resolve(root, name) if name.strip() else ""
        if not commit:
            raise _unknown(name, is_shallow=is_shallow)
        since = _parting(repository, commit, name, is_shallow=is_shallow)
        return Touched(since, Path(repository.working_tree_dir).resolve(), dict(_paths(repository, since)))


def _parting(repository: Any, commit: str, name: str, *, is_shallow: bool) -> str:
    """The best commit that both HEAD and another one stand on."""
    try:
        found = run(repository, "merge-base", commit, "HEAD").strip()
    except GitError as error:
        if error.said:
            raise
        found = ""  # it says nothing where there is none
    if found:
        return found
    if is_shallow:
        raise GitError(
            f"this clone is a shallow one, and its history ends before it meets that of `{name}`",
            hint="`git fetch --unshallow` gets the rest; in CI, check out with the whole history.",
        )
    raise GitError(f"HEAD and `{name}` have no commit in common, so nothing is known to have changed since")


def _paths(repository: Any, since: str) -> Iterator[tuple[str, Kind]]:
    # Names and kinds alone, whatever a user's own config has `git diff` do.
    words = (
        "diff",
        "--name-status",
        "-z",
        "--no-renames",
        "--no-ext-diff",
        "--ignore-submodules=none",
        "--no-relative",
    )
    fields = iter(run(repository, *words, since, "--").split("\0"))
    for status in fields:
        if status:
            yield next(fields), _KINDS.get(status[0], "changed")
    others = run(repository, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/")
    for path in others.split("\0"):
        if path:
            yield path.rstrip("/"), "added"


def _unknown(name: str, *, is_shallow: bool) -> ConfigError | GitError:
    if not name.strip():
        return ConfigError("the revision since which changes count is empty", hint="One is like `origin/main`.")
    if is_shallow:
        return GitError(
            f"this clone is a shallow one, and has no `{name}`",
            hint="`git fetch --unshallow` gets the rest; in CI, check out with the whole history.",
        )
    remote, slash, branch = name.partition("/")
    fetch = f"`git fetch {remote} {branch}` may get it." if slash else "`git fetch --all --tags` may get it."
    return ConfigError(f"git knows no `{name}` here", hint=fetch)
