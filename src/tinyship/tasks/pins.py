"""The base images from elsewhere: pin them, move the pins, see which are old."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from tinyship.tasks.session import Session


@task(
    "update",
    help={"only": "Move the pins of these base images alone: names as the Dockerfiles have them, commas between."},
)
def update(session: Session, only: str = "", json: bool = False) -> None:
    """Pin base images to what their registries have now.

    Each image that a Dockerfile names in FROM, COPY --from or RUN --mount=from,
    and that this project does not make, gets its digest in `tinyship.lock`.
    Commit that file: while it is there, every build uses these digests and no
    other, whichever builder builds. The table shows what moved and the change
    of the compressed bytes that a pull transfers. One that cannot be asked for
    keeps its pin; the others move, and the exit code is 1. `--dry` only shows.

    Examples:
      invoke --dry base.update  # only shows what would move
      invoke base.update
      invoke base.update --only alpine:3.22,golang:1.24-alpine
    """
    from dataclasses import asdict

    from invoke.exceptions import Exit

    from tinyship.kept import lock
    from tinyship.stages import moving
    from tinyship.units import change, known

    console = session.console
    with session.project.scopes() as scopes:
        names = tuple(name.strip() for name in only.split(",") if name.strip())
        done = moving.update(scopes, only=names, dry=session.dry)
    console.table(
        ("base", "was", "is", "pull was", "pull is", "change", "layers"),
        [
            (
                one.name,
                _short(one.old.digest) if one.old else "-",
                _short(one.new.digest),
                known(one.old.pull) if one.old else "-",
                known(one.new.pull),
                change(one.change),
                f"{one.layers}" if one.new_layers is None else f"{one.new_layers} new of {one.layers}",
            )
            for one in done.moved
        ],
        right=("pull was", "pull is", "change"),
    )
    for name in done.gone:
        console.say(f"{name}: no Dockerfile names it any more, so its pin {'would go' if session.dry else 'is gone'}")
    if not done.moved and not done.gone and not done.failures:
        many = len(done.kept)
        console.say(
            f"nothing to move: {many} pin{'' if many == 1 else 's'} {'is' if many == 1 else 'are'} up to date"
            if many
            else "nothing to pin: no Dockerfile names an image from elsewhere"
        )
    elif done.moved or done.gone:
        console.say(f"{lock.NAME} {'would change' if session.dry else 'is written: commit it'}")
    console.result(
        {
            "dry": session.dry,
            "moved": [{**asdict(one), "change": one.change} for one in done.moved],
            "kept": done.kept,
            "gone": done.gone,
            "errors": [{"name": name, "message": message} for name, message in done.failures],
        }
    )
    if done.failures:
        lines = [f"  {name}: {message}" for name, message in done.failures]
        some = "a base image" if len(lines) == 1 else f"{len(lines)} base images"
        raise Exit("\n".join([f"error: {some} could not be asked for; what was pinned stays pinned", *lines]), code=1)


@task(
    "outdated",
    help={"exit_code": "End with exit code 1 where a base has moved or the last release stands on an old one."},
)
def outdated(session: Session, exit_code: bool = False, json: bool = False) -> None:
    """Show which base images are old, and in which releases.

    The pins of `tinyship.lock`, and digests in Dockerfiles and settings, are
    compared with what the registries have under the same names now. So are the
    bases of releases: of the last one, and of up to 20 versions in the first
    registry of `push.to`, whose labels say what they were made with. The exit
    code is 0 all the same; for scripts `--exit-code` makes it 1 where there is
    something to do. Of releases only the last one counts for that: the one in
    the record, or else the highest version in the registry.

    Examples:
      invoke base.outdated
      invoke base.outdated --exit-code  # 1 where a base has moved
    """
    from invoke.exceptions import Exit

    from tinyship.reference import familiar
    from tinyship.stages import outdated

    console = session.console
    with session.project.scopes() as scopes:
        found = outdated.find(scopes)
    console.table(
        ("base", "pinned to", "by", "registry has", "state"),
        [
            (one.base.name, _short(one.base.digest), one.base.pinned_by or "-", _short(one.now), one.state)
            for one in found.bases
        ],
    )
    if not found.bases:
        console.say("no base image comes from elsewhere")
    if found.releases:
        console.say("")
    console.table(
        ("release", "base", "made with", "registry has", "state"),
        [
            (entry.reference, familiar(one.base.name), _short(one.base.digest), _short(one.now), one.state)
            if (one := entry.standing)
            else (entry.reference, "-", "-", "-", "names no base")
            for entry in found.releases
        ],
    )
    unknown = [one for one in (*found.bases, *(entry.standing for entry in found.releases)) if one and one.why]
    for name, why in dict.fromkeys((one.base.name, one.why) for one in unknown):
        console.say(f"{name}: {why}")
    if found.moved:
        some = "a base image has" if found.moved == 1 else f"{found.moved} base images have"
        console.say(f"{some} moved: `invoke base.update` moves the pins, for the next release")
    if found.old:
        some = "a release was" if len(found.old) == 1 else f"{len(found.old)} releases were"
        console.say(f"{some} made with a base image that has moved since")
    console.result({"bases": found.bases, "releases": found.releases, "moved": found.moved, "old": found.old})
    if exit_code and found.calls_for_work:
        raise Exit(code=1)


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12] or "-"
