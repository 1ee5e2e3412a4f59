"""The history of one image's sizes: gathered from the project's folder and git notes, added to by release and push.

It is worth a warning, and never a failed release or push, where a part of it cannot be read, written or sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tinyship.errors import GitError, TinyshipError
from tinyship.events import Notice
from tinyship.git import revision
from tinyship.kept import history, notes, record
from tinyship.kept.history import Entry
from tinyship.kept.record import Previous, Release
from tinyship.plan import Action
from tinyship.stages.scope import Scope

_DEFAULT_REMOTE = "origin"


def plan_before(scope: Scope) -> tuple[Action, ...]:
    """What ``before`` would do."""
    remote = scope.settings.size.notes_remote
    return (Action("fetch", notes.REF, f"from {remote}"),) if remote else ()


def plan_released() -> tuple[Action, ...]:
    """What ``released`` would do."""
    return (Action("write", ".tinyship/history.jsonl"),)


def plan_push(scope: Scope) -> tuple[Action, ...]:
    """What ``pushed`` would do after a push without ``--allow-dirty``."""
    now, remote = scope.revision, scope.settings.size.notes_remote
    if not scope.settings.size.notes or now.dirty or not now.commit:
        return ()
    sending = (Action("push", notes.REF, f"to {remote}"),) if remote else ()
    return (Action("write", notes.REF, f"a git note on {now.short_commit}"), *sending)


def plan_show(scope: Scope, *, fetch: bool, registry: bool) -> tuple[Action, ...]:
    """What ``known`` would do, after ``fetch`` and with what a registry has, where these are asked for."""
    fetching = (Action("fetch", notes.REF, f"from {remote_of(scope)}"),) if fetch else ()
    reading = (Action("read", notes.REF),) if scope.settings.size.notes else ()
    asking = (Action("ask", next(iter(scope.settings.push.to), scope.settings.image)),) if registry else ()
    return (*fetching, Action("read", ".tinyship/history.jsonl"), *reading, *asking)


def known(scope: Scope, *more: Iterable[Entry]) -> tuple[Entry, ...]:
    """The releases of the image, in the order in which they were made.

    Args:
        more: entries from elsewhere, of releases that are written down nowhere.
    """
    found = [history.read(scope.root)]
    if scope.settings.size.notes:
        try:
            found.append(notes.read(scope.root))
        except GitError as error:
            _warn(scope, f"the git notes of earlier releases cannot be read: {error.message}")
    for notice in (notice for source in found for notice in source.notices):
        _warn(scope, notice)
    image = scope.settings.image
    ours = [entry for source in found for entry in source.entries if entry.image == image]
    if not ours:
        ours += history.of_record(record.read(scope.root).find(image))
    keys = {(entry.version.removeprefix("v"), entry.commit) for entry in ours}
    digests = {entry.digest for entry in ours} - {""}
    elsewhere = [entry for source in more for entry in source]
    new = (
        entry
        for entry in elsewhere
        if entry.digest not in digests and (entry.version.removeprefix("v"), entry.commit) not in keys
    )
    return history.union(new, ours)


def before(scope: Scope) -> Previous | None:
    """What the sizes of a release of this revision are measured against; None for the first one."""
    remote = scope.settings.size.notes_remote
    if remote:
        scope.together.once(("notes", remote), lambda: _try_to_fetch(scope, remote))
    entries, image, commit = known(scope), scope.settings.image, scope.revision.commit
    try:
        found = history.baseline(entries, image, commit, revision.ancestors(scope.root, commit))
    except GitError as error:
        _warn(scope, f"which release came before {commit[: revision.SHORT]} is not known: {error.message}")
        found = history.baseline(entries, image, commit, ())
    return found.summary() if found else None


def _try_to_fetch(scope: Scope, remote: str) -> None:
    try:
        notes.fetch(scope.root, remote)
    except GitError as error:
        _warn(scope, f"the notes of `{remote}` are not looked at: {error.message}")


def release_of(scope: Scope, named: str) -> Entry | None:
    """The release that a version, or a git revision, names: of a branch without one, the nearest that it stands on.

    Raises:
        GitError: git is missing or refuses.
    """
    entries = known(scope)
    by_version = [entry for entry in entries if entry.version == named]
    if by_version:
        return by_version[-1]
    by_commit = {entry.commit: entry for entry in entries if entry.commit and not entry.dirty}
    commit = revision.resolve(scope.root, named) if by_commit else ""
    return next((by_commit[one] for one in revision.ancestors(scope.root, commit) if one in by_commit), None)


def released(scope: Scope, release: Release, last: Release | None) -> None:
    """Write down a release.

    Args:
        last: the record's entry before it.
    """
    earlier = history.read(scope.root).entries
    entry = history.of_release(release, history.now())
    same = _find(earlier, entry)
    known_as = same and (same.id or (last.id if last else ""))  # older entries do not say
    if same and same.digest and known_as == release.id:
        entry = replace(entry, digest=same.digest, sizes=_with_pull_of(same, entry))
    unwritten = () if any(one.image == release.image for one in earlier) else history.of_record(last)
    _add(scope, *(one for one in unwritten if one.key != entry.key), entry)


def pushed(scope: Scope, release: Release, *, allow_dirty: bool) -> None:
    """Write down the digest of a release, and note it on its commit where that is what was pushed."""
    known = _find(history.read(scope.root).entries, history.of_release(release, ""))
    entry = history.of_release(release, known.recorded if known else history.now())
    if entry != known:
        _add(scope, entry)
    if not scope.settings.size.notes or release.dirty or allow_dirty or not release.commit:
        return
    try:
        notes.add(scope.root, entry)
    except GitError as error:
        _warn(scope, f"{release.version} is pushed, but no git note says what it weighs: {error.message}")
        return
    if remote := scope.settings.size.notes_remote:
        _send(scope, release, remote)


def fetch(scope: Scope) -> None:
    """Fetch the notes of the remote that the settings name, or of ``origin``.

    Raises:
        GitError: it cannot be done.
    """
    notes.fetch(scope.root, remote_of(scope))


def remote_of(scope: Scope) -> str:
    """The git remote whose notes ``fetch`` fetches."""
    return scope.settings.size.notes_remote or _DEFAULT_REMOTE


def _send(scope: Scope, release: Release, remote: str) -> None:
    try:
        notes.push(scope.root, remote)
    except GitError as error:
        _warn(
            scope,
            f"{release.version} is pushed, but its sizes are not in the notes of `{remote}`: {error.message}; "
            f"`git push {remote} {notes.REF}` sends them, after `invoke size.history --fetch` where others did before",
        )


def _add(scope: Scope, *entries: Entry) -> None:
    try:
        history.add(scope.root, *entries)
    except TinyshipError as error:
        _warn(scope, f"what was released is not in the history of sizes: {error.message}")


def _find(entries: Iterable[Entry], like: Entry) -> Entry | None:
    return next((entry for entry in entries if entry.key == like.key), None)


def _with_pull_of(known: Entry, entry: Entry) -> tuple[record.Sizes, ...]:
    """The sizes of an entry, with the pull size that is known of the same image."""
    pull = next((sizes.pull for sizes in known.sizes if sizes.stage == "release"), None)
    return tuple(replace(sizes, pull=pull) if sizes.stage == "release" else sizes for sizes in entry.sizes)


def _warn(scope: Scope, text: str) -> None:
    scope.events(Notice(text, "warning"))
