"""Which commits git's tags and branches still reach: by these ``clean.images`` keeps releases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tinyship.cleaning.retention import DESCENDED, Git
from tinyship.git import quickgit, repository

WAYS = ("none", "named", "all")
_REFS = ("refs/tags", "refs/heads", "refs/remotes")
_EVERY_REF = ("for-each-ref", "--format=%(objectname) %(*objectname) %(refname)", *_REFS)
_QUESTIONS = (
    _EVERY_REF,
    ("rev-parse", "--verify", "--quiet", "HEAD^{commit}"),
    ("rev-parse", "--is-shallow-repository", "--is-bare-repository"),
)


def read(root: Path, how: str, commits: Collection[str]) -> Git:
    """What of some commits is reached.

    Args:
        root: the project's folder.
        how: ``named`` for commits that a tag names or a branch ends at, also one of a remote, and HEAD; ``all`` for
            whatever these descend from, too; ``none`` for nothing.
        commits: full ones.

    Raises:
        GitError: git is missing or refuses: nobody knows then what it reaches.
    """
    if how == "none" or not commits or not repository.is_around(root):
        return Git()
    if how == "named" and (said := quickgit.answers(root, *_QUESTIONS)):
        refs, head, shallow_and_bare = said
        shallow, bare = shallow_and_bare.split()
        if bare == "false":
            return Git(_those(_named(refs, [head.strip()]), commits), shallow == "true")
    found = repository.around(root)
    if found is None:
        return Git()
    with closing(found) as repo:
        named = _named(repository.run(repo, *_EVERY_REF), _commits(repo, ["HEAD"]))
        reached = _those(named, commits)
        cut_off = repository.run(repo, "rev-parse", "--is-shallow-repository").strip() == "true"
        if how == "all":
            rest = sorted(set(commits) - reached.keys())
            reached |= dict.fromkeys(_descended_from(repo, named, rest), DESCENDED)
    return Git(reached, cut_off)


def _those(named: Mapping[str, str], commits: Collection[str]) -> dict[str, str]:
    return {commit: why for commit, why in named.items() if commit in commits}


def _named(lines: str, heads: Iterable[str]) -> dict[str, str]:
    """The commits that HEAD, tags and branches name, each with the first of these, tags before branches.

    Args:
        lines: what git says to ``_EVERY_REF``.
        heads: the commit of HEAD; none before the first commit.
    """
    found: dict[str, str] = {}
    every = [(commit, peeled, ref) for commit, peeled, ref in (line.split(" ", 2) for line in lines.splitlines())]
    for commit, peeled, ref in sorted(every, key=lambda one: _REFS.index("/".join(one[2].split("/")[:2]))):
        kind, _, name = ref.removeprefix("refs/").partition("/")
        said = f"the tag {name} names its commit" if kind == "tags" else f"the branch {name} ends at its commit"
        found.setdefault(peeled or commit, said)
    for head in heads:
        found.setdefault(head, "HEAD is at its commit")
    return found


def _descended_from(repo: Any, tips: Iterable[str], commits: Iterable[str]) -> set[str]:
    """Those of the commits that git knows and that are ancestors of a tip."""
    known = _commits(repo, commits)
    if not known:
        return set()
    asked = "".join(f"{line}\n" for line in (*sorted(known), *(f"^{tip}" for tip in sorted(_commits(repo, tips)))))
    left = repository.run_bytes(repo, "rev-list", "--stdin", stdin=asked.encode())
    return known - set(left.decode().split())


def _commits(repo: Any, names: Iterable[str]) -> set[str]:
    """Those that are commits, and here; a tag may name a file."""
    asked = "".join(f"{name}^{{commit}}\n" for name in names).encode()
    said = repository.run_bytes(repo, "cat-file", "--batch-check=%(objectname)", stdin=asked) if asked else b""
    return {line for line in said.decode().splitlines() if " " not in line}
