"""What git says of a project, read once: commit, branch, tags, version, changes, date, source URL."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from tinyship import versions
from tinyship.errors import ConfigError, GitError
from tinyship.git import gittags, quickgit
from tinyship.git.repository import around, run
from tinyship.versions import Scheme

if TYPE_CHECKING:
    from tinyship.settings.schema import Version

SHORT = gittags.SHORT
STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal")
"""What git is asked for ``parse_status``."""
EVERY_FILE = (*STATUS[:-1], "--untracked-files=all")
"""The same with each file that git does not know, also where a folder has no others."""
_NEAR = 200
_SCP = re.compile(r"(?:[^@/]+@)?([^:/]+):(?!//)/?(.+)")


@dataclass(frozen=True, slots=True)
class Revision:
    """What git says, and the version that follows from it.

    Args:
        commit: the full commit of HEAD; empty without a repository or a commit.
        branch: empty on a detached HEAD.
        tags: all tags on HEAD, the highest version first.
        version: without ``-dirty``: of the highest tag on HEAD, annotated or not, ``1.2.3-4-gabc1234`` four commits
            behind it, ``0.0.0-gabc1234`` without any; or what the settings say.
        tag: the git tag on HEAD that ``version`` is; empty where there is none.
        is_given: the version is the settings' own or ``--version``'s, not git's.
        scheme: how the version is read and ordered, as the settings say.
        dirty: there are changes that no commit has, files that git does not know included.
        changes: these, as ``git status --short`` lists them: " M src/main.go".
        date: of the commit; None without one.
        source: the URL of the remote, as a browser takes it, without credentials; empty where there is none.
        shallow: history is cut off.
        root: the work tree's folder; None without a repository.
        notices: what the user should know of how the version came about.
    """

    commit: str = ""
    branch: str = ""
    tags: tuple[str, ...] = ()
    version: str = ""
    tag: str = ""
    is_given: bool = False
    scheme: Scheme = "auto"
    dirty: bool = False
    changes: tuple[str, ...] = ()
    date: datetime | None = None
    source: str = ""
    shallow: bool = False
    root: Path | None = None
    notices: tuple[str, ...] = ()

    @property
    def short_commit(self) -> str:
        """The first seven digits of the commit."""
        return self.commit[:SHORT]

    @property
    def full_version(self) -> str:
        """The version, with ``-dirty`` where the tree is."""
        return f"{self.version}-dirty" if self.dirty else self.version

    @property
    def released(self) -> bool:
        """Whether the version is that of a release: tagged or given, and the tree clean."""
        return (bool(self.tag) or self.is_given) and not self.dirty


def read(root: Path, version: Version) -> Revision:
    """Ask git about the project in a folder: the nearest repository around it, a worktree's or submodule's own.

    Raises:
        GitError: git is missing or refuses; or there is no repository or no commit, and ``version`` names none either.
        ConfigError: the version that the settings name cannot be read.
    """
    given = named(root, version)
    repository = around(root)
    if repository is None:
        if not given:
            raise GitError(
                f"{root} is in no git repository, so there is no version",
                hint="`git init` and commit; or set `version.literal` or `version.file`.",
            )
        notices = ("there is no git repository: no commit, no source",)
        return Revision(version=given, is_given=True, scheme=version.scheme, notices=notices)
    with repository:
        status = parse_status(run(repository, *STATUS))
        if not status.commit and not given:
            raise GitError(
                "the repository has no commit yet, so there is no version",
                hint="Commit first; or set `version.literal` or `version.file`.",
            )
        return _revision(repository, status, version, given)


def state(root: Path) -> tuple[str, str]:
    """The commit of HEAD, and a digest of what differs from it in the tree: names, sizes and times of changed files.

    Both are empty without a repository.

    Raises:
        GitError: git is missing or refuses.
    """
    if said := quickgit.answers(root, EVERY_FILE, ("rev-parse", "--show-toplevel")):
        status = parse_status(said[0])
        return status.commit, tree(status, Path(said[1].removesuffix("\n")))
    repository = around(root)
    if repository is None:
        return "", ""
    with repository:
        status = parse_status(run(repository, *EVERY_FILE))
        return status.commit, tree(status, Path(repository.working_tree_dir))


def tree(status: Status, folder: Path) -> str:
    """A digest of what differs from HEAD in the tree, as ``state`` has it.

    Args:
        status: what git says to ``EVERY_FILE``.
        folder: of the work tree.
    """
    digest = hashlib.sha256()
    for entry, path in status.entries:
        digest.update(entry.encode("utf-8", "surrogateescape") + b"\0")
        try:
            found = os.lstat(folder / path)
            digest.update(f"{found.st_size} {found.st_mtime_ns}\0".encode())
        except OSError:
            digest.update(b"-\0")
    return digest.hexdigest()


def resolve(root: Path, name: str) -> str:
    """The full commit that git knows by a name: a branch, a tag, a commit, ``HEAD~2``; empty where it knows none.

    Raises:
        GitError: git is missing or refuses.
    """
    repository = around(root)
    if repository is None:
        return ""
    with repository:
        try:
            found = run(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        except GitError as error:
            if error.said:
                raise
            return ""  # --quiet says nothing of what is not there
    return found.strip()


def known_versions(root: Path, version: Version) -> tuple[str, ...]:
    """The versions that git tags of the repository name, on whatever commit, the highest first; one call of git.

    What stands before the version in a tag is cut off, as ``version.tag`` has it. There are none without a repository.

    Raises:
        GitError: git is missing or refuses.
    """
    listing = gittags.listing(version)
    if (said := quickgit.ask(root, *listing)) is not None:
        return gittags.every(said, version)
    repository = around(root)
    if repository is None:
        return ()
    with repository:
        return gittags.every(run(repository, *listing), version)


def tag_of(version: Version, name: str) -> str:
    """The git tag that a version of this name has or would have: "v2.0.1" for "2.0.1"."""
    return f"{gittags.pattern(version)[1]}{name}"


def tag_commit(root: Path, tag: str) -> str:
    """The full commit that a git tag is on, annotated or not, whatever branch has its name; empty where there is none.

    Raises:
        GitError: git is missing or refuses.
    """
    return resolve(root, f"refs/tags/{tag}") if tag else ""


def given(version: Version, name: str) -> Version:
    """The settings of a version, for a run that is given one: as if ``version.literal`` were that.

    Args:
        version: the settings as they are.
        name: the version, with or without what git tags have before it: "2.0.1", "v2.0.1", "api/v2.0.1".

    Raises:
        ConfigError: it is no version as ``version.scheme`` has it.
    """
    prefix = gittags.pattern(version)[1]
    cut = name.removeprefix(prefix)
    if cut == name and prefix.endswith("v"):
        cut = name.removeprefix("v")
    if not versions.parse(cut, version.scheme):
        wanted = {
            "auto": "a version begins with numbers, like 2.0.1, 2.1.0-rc.1 or 2024.10",
            "semver": "with `version.scheme: semver` it has three numbers, like 2.0.1 or 2.1.0-rc.1",
            "pep440": "with `version.scheme: pep440` it is like 2.0.1, 2.1rc1 or 2024.10",
        }
        raise ConfigError(
            f"the version that is given, `{name}`, is none: {wanted[version.scheme]}"
            if name.strip()
            else "the version that is given is empty",
            hint="`version.literal` takes other names too." if name.strip() else "Leave it out to have that of git.",
        )
    return literal(version, cut)


def literal(version: Version, name: str) -> Version:
    """The settings of a version with this one as ``version.literal``, and nothing else that says which it is."""
    import msgspec

    return msgspec.structs.replace(version, literal=name, file="", regex="")


def ancestors(root: Path, commit: str, limit: int = 10_000) -> Iterator[str]:
    """A commit and what it was made of, as ``git rev-list`` orders them; git is asked when the first is.

    Args:
        root: a folder of the repository; there are none where it is in none.
        commit: the full commit; none where empty.
        limit: the number of commits.

    Raises:
        GitError: git is missing or refuses.
    """
    repository = around(root) if commit else None
    if repository is None:
        return
    with repository:
        near = min(_NEAR, limit)
        for skip, count in ((0, near), (near, limit - near)):
            found = run(repository, "rev-list", f"--skip={skip}", f"--max-count={count}", commit, "--").split()
            yield from found
            if len(found) < count:
                return


class Status(Struct, frozen=True):
    """What ``git status --porcelain=v2`` says; ``entries`` are its lines, each with the path that it is about."""

    commit: str
    branch: str
    entries: tuple[tuple[str, str], ...]

    def changes(self) -> tuple[str, ...]:
        """The entries as ``git status --short`` has them."""
        kinds = {"?": "??", "u": "UU"}
        return tuple(
            f"{kinds.get(line[0]) or line[2:4].replace('.', ' ')} {path}" for line, path in sorted(self.entries)
        )


def _revision(repository: Any, status: Status, version: Version, given: str) -> Revision:
    tags, date = _head(repository) if status.commit else ((), None)
    tags = gittags.ordered(tags, version)
    shallow = (Path(repository.common_dir) / "shallow").exists()
    if given:
        found = gittags.given(given, tags, version)
    else:
        found = gittags.find(repository, status.commit, tags, version, branch=status.branch, shallow=shallow)
    return Revision(
        commit=status.commit,
        branch=status.branch,
        tags=tags,
        version=found.version,
        tag=found.tag,
        is_given=bool(given),
        scheme=version.scheme,
        dirty=bool(status.entries) or not status.commit,
        changes=status.changes(),
        date=date,
        source=_source(repository),
        shallow=shallow,
        root=Path(repository.working_tree_dir),
        notices=found.notices,
    )


def named(root: Path, version: Version) -> str:
    """The version that the settings name; empty where it comes from git.

    Raises:
        ConfigError: it cannot be read.
    """
    if not version.file:
        return version.literal
    try:
        text = (root / version.file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8"
        raise ConfigError(f"`version.file`: {version.file} cannot be read: {reason}") from error
    if version.regex:
        match = re.search(version.regex, text, re.M)
        text = (match[1] or "") if match else ""
    if not text.strip() or "\n" in text.strip():
        what = f"what `{version.regex}` finds" if version.regex else "its text"
        raise ConfigError(
            f"`version.file`: there is no version in {version.file}",
            hint=f"The version is {what}; set `version.regex` to an expression with a group around it.",
        )
    return text.strip()


def parse_status(text: str) -> Status:
    """What ``git`` says to ``STATUS``."""
    commit = branch = ""
    entries = []
    lines = iter(text.split("\0"))
    for line in lines:
        if line.startswith("# branch.oid "):
            commit = line.split(" ")[2]
        elif line.startswith("# branch.head "):
            branch = line.split(" ", 2)[2]
        elif line[:1] in {"1", "2", "u", "?"}:
            fields = {"1": 8, "2": 9, "u": 10, "?": 1}[line[0]]
            entries.append((line, line.split(" ", fields)[fields]))
            if line[0] == "2":
                next(lines, "")  # what it was renamed from
    return Status("" if commit == "(initial)" else commit, "" if branch == "(detached)" else branch, tuple(entries))


def _head(repository: Any) -> tuple[tuple[str, ...], datetime]:
    """The tags on HEAD, and the commit's date."""
    text = run(
        repository, "log", "-1", "--format=%cI%n%D", "--decorate=full", "--decorate-refs=refs/tags/*", "HEAD", "--"
    )
    date, _, names = text.strip("\n").partition("\n")
    tags = [name.removeprefix("tag: refs/tags/") for name in names.split(", ") if name.startswith("tag: refs/tags/")]
    return tuple(tags), datetime.fromisoformat(date)


def _source(repository: Any) -> str:
    """The URL of ``origin``, or of the only remote."""
    remotes = {remote.name: remote for remote in repository.remotes}
    remote = remotes.get("origin") or (next(iter(remotes.values())) if len(remotes) == 1 else None)
    if not remote:
        return ""
    try:
        return public_url(str(remote.config_reader.get("url")))
    except Exception:  # a remote without a URL; only a label is at stake
        return ""


def public_url(url: str) -> str:
    """A remote's URL as a browser takes it: no credentials, no ``.git``; empty for what is no place on the web."""
    if "://" not in url:
        match = _SCP.fullmatch(url)
        if not match or url.startswith(("/", ".")):
            return ""
        return f"https://{match[1]}/{_path(match[2])}"
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https", "ssh", "git", "git+ssh"} or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    keeps_port = parts.scheme in {"http", "https"}
    port = f":{parts.port}" if keeps_port and parts.port else ""
    return f"{parts.scheme if keeps_port else 'https'}://{host}{port}/{_path(parts.path)}"


def _path(path: str) -> str:
    return path.strip("/").removesuffix(".git")
