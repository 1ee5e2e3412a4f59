"""What is looked at before anything is built: the tree, the version, the engine, the registries, their tags."""

from __future__ import annotations

from msgspec import Struct

from tinyship.errors import TinyshipError
from tinyship.git import revision
from tinyship.git.revision import Revision
from tinyship.kept import record
from tinyship.kept.record import Release
from tinyship.plan import Check
from tinyship.registry.client import Repository
from tinyship.sizes import budgets
from tinyship.stages import goals, published
from tinyship.stages.place import Place
from tinyship.stages.scope import Scope
from tinyship.tagging import tags
from tinyship.tagging.tags import Tags

_SHOWN = 10


class Asked(Struct, frozen=True):
    """What was asked of one repository.

    Args:
        repository: ``[registry/]name``.
        checks: what it said.
        tags: that a release of this revision would have there, as far as is known.
    """

    repository: str
    checks: tuple[Check, ...]
    tags: tuple[str, ...]


def local(scope: Scope) -> tuple[Check, ...]:
    """What git, the engine and the settings say; no registry is asked."""
    now = scope.revision
    return (_tree(now), _version(scope, now), _order(scope, now), _engine(scope), _budgets(scope))


def remote(scope: Scope, *, may_we: bool = True, recorded: bool = False) -> tuple[Asked, ...]:
    """What each registry says: what the tags of this release name there, and whether we may push.

    Args:
        may_we: ask for the latter, by an upload that is begun and taken back; some registries keep a trace of it.
        recorded: the release is the one in the record, where that is of this tree, and not one that is to be made; they
            differ where its version was given for it alone.
    """
    release = built(scope, recorded=recorded)
    return tuple(_registry(scope, name, release, may_we=may_we) for name in goals.repositories(scope.settings))


def _tree(now: Revision) -> Check:
    if not now.commit:
        return Check(
            "tree", "failed", "there is no git commit that says what it is", hint="Commit first, or `--allow-dirty`."
        )
    if not now.dirty:
        return Check("tree", "ok", f"clean, at {now.short_commit}{f' on {now.branch}' if now.branch else ''}")
    more = len(now.changes) - _SHOWN
    lines = (*now.changes[:_SHOWN], f"and {more} more") if more > 0 else now.changes
    count = len(now.changes)
    return Check(
        "tree",
        "failed",
        f"{count} change{'' if count == 1 else 's'} that no commit has",
        lines,
        "Commit or stash them; `--allow-dirty` pushes all the same, under the version with `-dirty` alone.",
    )


def _version(scope: Scope, now: Revision) -> Check:
    if now.is_given:
        return _given(scope, now)
    if now.tag:
        return Check("version", "ok", f"{now.version}, from the tag {now.tag} on HEAD", now.notices)
    return Check(
        "version",
        "note",
        f"{now.version}: no tag on HEAD is a version",
        now.notices,
        f"`git tag {revision.tag_of(scope.settings.version, '1.2.3')}` makes one; `--version 1.2.3` does without.",
    )


def _given(scope: Scope, now: Revision) -> Check:
    """A version that git did not say, which must not be the one of another commit."""
    if found := goals.elsewhere(scope, now.version, now.commit):
        name, commit = found
        return Check(
            "version",
            "failed",
            f"{now.version} is given, and the git tag {name} is on {commit[:7]}, not on HEAD ({now.short_commit})",
            hint=f"Release what the tag is on (`git checkout {name}`), or another version.",
        )
    return Check("version", "ok", f"{now.version}, given by {_giver(scope)}", now.notices)


def _giver(scope: Scope) -> str:
    version = scope.settings.version
    return f"`version.file` {version.file}" if version.file else "`version.literal` or `--version`"


def _order(scope: Scope, now: Revision) -> Check:
    """Whether git has a higher version already, which what moves would stay with."""
    if not now.released:
        return Check("order", "note", "no released version: nothing that moves will move")
    try:
        known = revision.known_versions(scope.root, scope.settings.version)
    except TinyshipError as error:
        return Check("order", "failed", error.message, hint=error.hint)
    wanted = goals.wanted(scope, now)
    settled = tags.settle(wanted, now.version, known, scope.settings.version.scheme)
    if len(settled.tags) < len(wanted.tags):
        return Check("order", "note", f"{now.version} is not the highest version", settled.notices)
    return Check("order", "ok", f"no git tag is a higher version than {now.version}")


def _engine(scope: Scope) -> Check:
    try:
        engine = scope.engine
        kind = "Podman" if engine.is_podman else "Docker Engine"
        return Check("engine", "ok", f"{kind} {engine.version} (API {engine.api_version}) at {engine.address}")
    except TinyshipError as error:
        return Check("engine", "failed", error.message, hint=error.hint)


def _budgets(scope: Scope) -> Check:
    limits = scope.settings.size.budgets
    if not limits:
        return Check("budgets", "note", "none is set: an image of any size is released")
    return Check("budgets", "ok", "; ".join(budgets.describe(budget) for budget in limits))


def _registry(scope: Scope, name: str, release: Release | None, *, may_we: bool) -> Asked:
    now = goals.of_release(scope, release) if release else scope.revision
    wanted = goals.wanted(scope, now)
    try:
        with scope.repository(name) as repository:
            allowed = (_allowed(scope, name, repository),) if may_we else ()
            place = Place(name, repository, release or _nothing(scope))
            settled = goals.settled(scope, wanted, now, place.known)
            there = _tags(scope, place, now, settled, built=bool(release))
            return Asked(name, (*allowed, there), tuple(tag.name for tag in settled.tags))
    except TinyshipError as error:
        failed = Check("push", "failed", f"{name}: {error.message}", hint=error.hint)
        return Asked(name, (failed,), tuple(tag.name for tag in wanted.tags))


def built(scope: Scope, *, recorded: bool = False) -> Release | None:
    """The release in the record, where it is one of this very revision.

    Args:
        recorded: whichever version it was given.
    """
    release = record.read(scope.root).find(scope.settings.image)
    if not release:
        return None
    same = (release.commit, release.tree) == revision.state(scope.root)
    given = recorded and release.given
    return release if same and (given or release.version == tags.sanitise(scope.revision.full_version)) else None


def _nothing(scope: Scope) -> Release:
    """A release that no image is yet."""
    now = scope.revision
    return Release(scope.settings.image, now.full_version, now.commit, "", now.dirty, "", "", "", "", (), ())


def _allowed(scope: Scope, name: str, repository: Repository) -> Check:
    repository.check_push()
    credential = scope.credential(name)
    whose = f"with the credentials from {credential.source}" if credential else "without credentials"
    return Check("push", "ok", f"{name}: allowed {whose}")


def _tags(scope: Scope, place: Place, now: Revision, settled: Tags, *, built: bool) -> Check:
    """What the tags of a release name now."""
    name = place.name
    place.look((tag.name for tag in settled.tags), first=True)
    place.find(one.digest for one in place.release.pushed if one.reference.rpartition(":")[0] == name)
    lines = [*settled.notices]
    taken = other = False
    for tag in settled.tags:
        found = place.there.get(tag.name, "")
        if not found:
            lines.append(f"{tag.name}: free")
        elif built and place.has(tag.name):
            lines.append(f"{tag.name}: there, and this very image")
        elif goals.is_of_commit(tag, now):
            lines.append(f"{tag.name}: is {found}{', another release of this commit' if built else ''}, and stays")
        elif not goals.is_promise(tag, now):
            lines.append(f"{tag.name}: moves from {found}")
        else:
            made_of = "" if built else published.commit(scope, place.repository, found)
            told = f", made of commit {made_of[: revision.SHORT]}" if made_of else ""
            lines.append(f"{tag.name}: is {found}{', another image' if built else told}")
            taken = True
            other = other or built or bool(made_of and made_of != now.commit)
    if not settled.tags:
        return Check("tags", "failed", f"{name}: none of `push.tags` goes with this release", tuple(lines))
    if other:
        hint = "A released version stays what it is: release under another one, or push with `--force`."
        return Check("tags", "failed", f"{name}: taken by another image", tuple(lines), hint)
    if taken:
        return Check("tags", "note", f"{name}: released before; only the same image may be pushed", tuple(lines))
    return Check("tags", "ok", f"{name}: free, or this image's", tuple(lines))
