"""What git said of a project, kept in `.tinyship/git-*` and true for as long as nothing moved that it follows from.

Whether anything moved is for git to say: its refs, its configuration and where the repository lies are asked for each
time, and so is the state of the tree, which is never kept. Losing these files costs nothing but time.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from tinyship import state
from tinyship.errors import TinyshipError
from tinyship.git import quickgit, revision
from tinyship.git.revision import Revision, Status
from tinyship.settings.schema import Version

_SCHEME = 2
"""Of what is looked at; with another one all that is kept is worth nothing."""
_QUESTIONS = (
    revision.EVERY_FILE,
    ("for-each-ref", "--format=%(objectname) %(refname)"),
    ("config", "--list", "--null"),
    ("rev-parse", "--show-toplevel", "--git-dir", "--git-common-dir", "--is-bare-repository"),
)


class Known(Struct, frozen=True):
    """What git says.

    Args:
        revision: of the project.
        is_kept: that was kept from an earlier run.
        tree: what ``revision.state`` says of the tree, where that was asked on the way.
    """

    revision: Revision
    is_kept: bool
    tree: str | None = None


class _Look(Struct, frozen=True):
    """The state of the tree with each file, its folder, and a digest of all else that a revision follows from."""

    status: Status
    folder: Path
    digest: str


def read(root: Path, version: Version) -> Known:
    """What ``revision.read`` says, which is asked only where something moved since it was kept.

    Raises:
        GitError: see ``revision.read``.
        ConfigError: see ``revision.read``.
    """
    look = _look(root, version)
    tree = revision.tree(look.status, look.folder) if look else None  # before all else: it may be older, never newer
    kept = _kept(root, version, look.digest) if look else None
    status = _as_listed(root, look.status) if look and kept else None
    if kept and status:
        return Known(replace(kept, dirty=bool(status.entries), changes=status.changes()), is_kept=True, tree=tree)
    return Known(revision.read(root, version), is_kept=False, tree=tree)


def keep(root: Path, version: Version) -> None:
    """Keep what git says now, unless something moves meanwhile; a failure costs no more than time."""
    with suppress(TinyshipError):
        before = _look(root, version)
        found = revision.read(root, version)
        after = _look(root, version)
        if before and after and before.digest == after.digest:
            data = {"scheme": _SCHEME, "digest": after.digest, "revision": asdict(replace(found, changes=()))}
            state.keep(root, _name(version), json.dumps(data, indent=1, default=str) + "\n")


def of_use(root: Path, version: Version) -> None:
    """Note that what is kept was of use."""
    state.of_use(root, _name(version))


def _look(root: Path, version: Version) -> _Look | None:
    """Ask git what there is now; None where that does not tell all that a revision follows from."""
    if not (root / ".tinyship").is_dir():
        return None  # nothing is kept
    said = quickgit.answers(root, *_QUESTIONS)
    if said is None:
        return None
    status = revision.parse_status(said[0])
    folder, _, shared, *_ = said[3].split("\n")
    common = root / shared
    if not status.commit or (common / "shallow").exists() or (common / "info" / "grafts").exists():
        return None  # history may be cut off elsewhere without a ref that moves
    # A push leaves a note, which is part of no history.
    refs = [line for line in said[1].splitlines() if " refs/notes/" not in line]
    told = (_SCHEME, repr(version), revision.named(root, version), status.commit, status.branch, refs, *said[2:])
    return _Look(status, Path(folder), hashlib.sha256(json.dumps(told).encode()).hexdigest())


def _as_listed(root: Path, every: Status) -> Status | None:
    """The state of the tree as people are told of it, folders of unknown files as one; None where git does not say."""
    if not any(line.startswith("?") for line, _ in every.entries):
        return every
    said = quickgit.ask(root, *revision.STATUS)
    return None if said is None else revision.parse_status(said)


def _kept(root: Path, version: Version, digest: str) -> Revision | None:
    try:
        found: dict[str, Any] = json.loads((root / ".tinyship" / _name(version)).read_bytes())
        if (found["scheme"], found["digest"]) != (_SCHEME, digest):
            return None
        kept = found["revision"]
        lists = {name: tuple(kept[name]) for name in ("tags", "changes", "notices")}
        return Revision(**{**kept, **lists, "date": datetime.fromisoformat(kept["date"]), "root": Path(kept["root"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not knowing only costs time


def _name(version: Version) -> str:
    return f"git-{hashlib.sha256(repr(version).encode()).hexdigest()[:20]}.json"
