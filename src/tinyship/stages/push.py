"""The push stage: publishes exactly what the record names, tag by tag, and writes down what each tag names.

Fixed tags come first, in every registry, then those that move; at the end each is asked for again. A push that broke
off is resumed by another one, because the registries say what is there already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tinyship import record, revision, state
from tinyship.engine import images
from tinyship.errors import NothingReleased, Refused, RegistryError, TinyshipError
from tinyship.events import Notice
from tinyship.plan import Action
from tinyship.record import Pushed, Release
from tinyship.registry import images as remote_images
from tinyship.revision import Revision
from tinyship.stages import goals, history
from tinyship.stages.place import Place, places
from tinyship.stages.preflight import Asked
from tinyship.stages.scope import Scope
from tinyship.stages.upload import Upload, upload, weighed
from tinyship.tags import Tag, Tags

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a push did in one repository.

    Args:
        repository: ``[registry/]name``.
        digest: of the manifest that its tags name.
        tags: that name it now.
        given: those of them that did not name it before.
        upload: what the engine sent; None where the image was there.
    """

    repository: str
    digest: str
    tags: tuple[str, ...]
    given: tuple[str, ...]
    upload: Upload | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a push did.

    Args:
        release: the entry of the record, with ``pushed`` filled in.
        arrivals: one for each repository, in the order of ``push.to``.
        pull: compressed bytes that a pull transfers, from the registry's manifest; None where it did not say.
    """

    release: Release
    arrivals: tuple[Arrival, ...]
    pull: int | None


def plan(scope: Scope, asked: Iterable[Asked]) -> tuple[Action, ...]:
    """What ``send`` would do with a release of this revision.

    Args:
        asked: what the registries say, as ``preflight.remote`` asks them.
    """
    pushes = (Action("push", f"{place.repository}:{tag}") for place in asked for tag in place.tags)
    return (*pushes, *history.plan_push(scope))


def check(scope: Scope, *, allow_dirty: bool = False) -> Release:
    """The release that would be pushed.

    Raises:
        NothingReleased: nothing is released.
        Refused: HEAD or the tree moved since the release, or the tree was dirty.
    """
    image = scope.settings.image
    release = record.read(scope.root).find(image)
    if not release:
        raise NothingReleased(
            "nothing is released yet", hint="`invoke release` comes first.", stage="push", image=image
        )
    commit, tree = revision.state(scope.root)
    if release.commit != commit:
        raise _refused(
            scope,
            f"HEAD moved: version {release.version} was released from {release.commit[:7] or 'no commit'}, "
            f"HEAD is {commit[:7] or 'no commit'}",
            "Run `invoke release` again.",
        )
    if release.tree != tree:
        raise _refused(scope, "the working tree changed since the release", "Run `invoke release` again.")
    if release.dirty and not allow_dirty:
        changes = "\n".join(f"    {change}" for change in _first(scope.revision.changes))
        raise _refused(
            scope,
            f"version {release.version} was released from a tree with changes that no commit has:\n{changes}",
            "Commit or stash them and release again, or push with `--allow-dirty`.",
        )
    if not scope.revision.commit and not allow_dirty:
        raise _refused(
            scope,
            "without a git commit nobody can tell what this image was made of",
            "Commit the project first, or push with `--allow-dirty`.",
        )
    return release


def send(scope: Scope, *, allow_dirty: bool = False, force: bool = False) -> Delivery:
    """Let every tag of the release name its image in every registry, and write down each as it comes.

    Args:
        allow_dirty: push even what was released from a tree with uncommitted changes.
        force: replace what a fixed tag named before.

    Raises:
        Refused: see ``check``; or a fixed tag names another image.
        RegistryError: a registry refused, failed, or another release was faster; says which tags name the image, and
            the record holds those.
    """
    release = check(scope, allow_dirty=allow_dirty)
    now = goals.of_release(scope, release)
    wanted = goals.wanted(scope, now)
    for notice in wanted.notices:
        scope.events(Notice(notice))
    lock = f"push-{scope.settings.image.replace('/', '-')}.lock"
    with state.locked(scope.root, lock), places(scope, release) as found:
        push = _Push(scope, release, now, wanted, found, force)
        with push.told():
            push.look()
            push.fix()
            push.agree()
            push.move()
            push.confirm()
        arrivals = push.arrivals()
        pull = push.pull()
        release = push.written(pull)
    history.pushed(scope, release, allow_dirty=allow_dirty)
    return Delivery(release, arrivals, pull)


class _Push:
    """A push on its way: what is given so far, and what the record says of it."""

    def __init__(
        self,
        scope: Scope,
        release: Release,
        now: Revision,
        wanted: Tags,
        places: tuple[Place, ...],
        force: bool,
    ) -> None:
        self.scope = scope
        self.release = release
        self.now = now
        self.fixed = tuple(tag for tag in wanted.tags if not tag.moving)
        self.moving = {place.name: tuple(tag for tag in wanted.tags if tag.moving) for place in places}
        self.wanted = wanted
        self.places = places
        self.force = force
        self.given: dict[str, list[str]] = {place.name: [] for place in places}
        self.uploads: dict[str, Upload] = {}

    def look(self) -> None:
        """Ask every registry what the tags name, before anything is done in any."""
        for place in self.places:
            with _at(place):
                place.look(tag.name for tag in self.wanted.tags)
                place.find(self._candidates(place))
                self._settle(place)
        for place in self.places:
            self._refuse(place)
        for place in self.places:
            kept = [tag for tag in self._tags(place) if place.digest and place.there.get(tag) == place.digest]
            self._write(place, kept, forget=[tag.name for tag in self.wanted.tags if tag.name not in kept])

    def fix(self) -> None:
        """Bring the image to each registry, and give it the fixed tags."""
        for place in self.places:
            tags = self._tags(place)
            missing = [tag.name for tag in self.fixed if place.there.get(tag.name) != place.digest]
            if not tags or (place.digest and not missing):
                continue
            with self.scope.stage("push", place.name, f"pushing {', '.join(missing or tags)}") as outcome:
                if not place.digest:
                    self._upload(place)
                for tag in self.fixed:
                    if place.there.get(tag.name) != place.digest:
                        self._look_again(place, tag)
                        self._give(place, tag)
                outcome.word = "pushed"

    def move(self) -> None:
        """Give the image the tags that move, where no higher version has them."""
        for place in self.places:
            if not place.digest:
                continue
            if place.was_given:
                self._settle(place)  # the upload may have taken long
            tags = [tag for tag in self.moving[place.name] if place.there.get(tag.name) != place.digest]
            if tags:
                action = f"moving {', '.join(tag.name for tag in tags)}"
                with self.scope.stage("push", place.name, action) as outcome:
                    for tag in tags:
                        self._give(place, tag)
                    outcome.word = "moved"

    def agree(self) -> None:
        """Before anything moves, ask for the fixed tags again: of two releases of one version only one may go on."""
        for place in self.places:
            if place.promised and self.moving[place.name]:
                with _at(place):
                    self._lose(place, place.confirm(tag.name for tag in self.fixed))

    def confirm(self) -> None:
        """Ask for each tag once more, where any was given."""
        for place in self.places:
            if not place.was_given:
                continue
            with _at(place):
                moving = [tag.name for tag in self.moving[place.name]]
                lost = place.confirm(self._tags(place))
                self._settle(place)
                late = [tag for tag in moving if tag not in self._tags(place)]  # a higher version came meanwhile
                self._lose(place, lost, late)
                if behind := [tag for tag in late if tag not in lost]:
                    raise RegistryError(
                        f"a higher version came meanwhile, and {', '.join(behind)} names this one, {place.digest}",
                        host=place.repository.host,
                        hint="Push the higher version again: it takes what follows it.",
                    )

    def _lose(self, place: Place, lost: dict[str, str], late: Iterable[str] = ()) -> None:
        """Take tags that name something else by now out of the record; an error, but for those that came too late."""
        self._write(place, (), forget=lost)
        if taken := {tag: found for tag, found in lost.items() if tag not in late}:
            raise self._overtaken(place, taken)

    def arrivals(self) -> tuple[Arrival, ...]:
        """What was done in each repository."""
        return tuple(
            Arrival(
                place.name,
                place.digest,
                tuple(self._tags(place)),
                tuple(self.given[place.name]),
                self.uploads.get(place.name),
            )
            for place in self.places
        )

    def pull(self) -> int | None:
        """The pull size; of several platforms that of the engine's own, whose unpacked size stands beside it."""
        known = next((entry.pull for entry in self.release.sizes if entry.stage == "release"), None)
        place = next((place for place in self.places if place.digest), None)
        if known is not None or place is None:
            return known
        platform = self.release.platform
        try:
            if "," in platform and (image := images.find(self.scope.engine, self.release.id)):
                platform = f"{image.os}/{image.architecture}"
            return remote_images.pull_size(place.repository, place.digest, platform=platform)
        except TinyshipError as error:
            self.scope.events(Notice(f"the pull size is not known: {error.message}", "warning"))
            return None

    def written(self, pull: int | None) -> Release:
        """The release with its pull size, as it is in the record now."""
        sizes = tuple(replace(size, pull=pull) if size.stage == "release" else size for size in self.release.sizes)
        if sizes != self.release.sizes:
            self.release = replace(self.release, sizes=sizes)
            record.update(self.scope.root, self.release)
        return self.release

    @contextmanager
    def told(self) -> Iterator[None]:
        """Let an error say which tags name the image, once any was given."""
        try:
            yield
        except TinyshipError as error:
            if any(self.given.values()):
                error.tail = (*error.tail, *self._standing())
            raise

    def _standing(self) -> Iterator[str]:
        for place in self.places:
            for tag in self._tags(place):
                found = place.there.get(tag)
                names = "names it" if found and found == place.digest else f"names {found}" if found else "is not there"
                yield f"{place.name}:{tag} {names}"

    def _tags(self, place: Place) -> list[str]:
        return [tag.name for tag in (*self.fixed, *self.moving[place.name])]

    def _candidates(self, place: Place) -> Iterator[str]:
        """The digests that the image had in this repository, as the record knows, or else the engine."""
        known = [one.digest for one in self.release.pushed if one.reference.rpartition(":")[0] == place.name]
        yield from known
        if known:
            return
        image = images.find(self.scope.engine, self.release.id)
        for digest in image.digests if image else ():
            repository, _, name = digest.partition("@")
            if repository == place.name:
                yield name

    def _settle(self, place: Place) -> None:
        """Leave out the moving tags that a higher version has or will have; says so once."""
        moving = self.moving[place.name]
        if not moving:
            return
        there = place.listed()
        settled = goals.settled(self.scope, replace(self.wanted, tags=moving, notices=()), self.now, there)
        for notice in settled.notices:
            self.scope.events(Notice(f"{place.name}: {notice}"))
        self.moving[place.name] = settled.tags

    def _refuse(self, place: Place) -> None:
        """Raise where a fixed tag names another image; say what is replaced where that is wanted."""
        promises = [tag.name for tag in self.fixed if goals.is_promise(tag, self.now)]
        others = place.others(tag.name for tag in self.fixed)
        for tag, digest in others.items():
            if self.force or tag not in promises:
                self.scope.events(Notice(f"{place.name}:{tag} named {digest}, and is replaced", "warning"))
        taken = {tag: digest for tag, digest in others.items() if tag in promises}
        if taken and not self.force:
            lines = "\n".join(f"    {tag} is {digest}" for tag, digest in taken.items())
            raise Refused(
                f"another image has {'this tag' if len(taken) == 1 else 'these tags'} already, "
                f"and what was released is {place.digest or self.release.id}:\n{lines}",
                hint="A released version stays what it is: release under another one, or push with `--force`.",
                stage="push",
                image=place.name,
            )

    def _upload(self, place: Place) -> None:
        if not images.find(self.scope.engine, self.release.id):
            raise _refused(self.scope, "the released image is no longer in the engine", "Run `invoke release` again.")
        tag = goals.carrier((*self.fixed, *self.moving[place.name]), self.now)
        pushed = upload(self.scope, place, tag.name)
        self.given[place.name].append(tag.name)
        self._write(place, [tag.name])
        self.uploads[place.name] = weighed(self.scope, place, pushed)

    def _look_again(self, place: Place, tag: Tag) -> None:
        """Just before a fixed tag is given: another release may have come meanwhile."""
        before = place.there.get(tag.name)
        found = place.ask(tag.name)
        if found and found not in {before, place.digest} and goals.is_promise(tag, self.now):
            raise self._overtaken(place, {tag.name: found})

    def _give(self, place: Place, tag: Tag) -> None:
        place.give(tag.name, moving=tag.moving)
        self.given[place.name].append(tag.name)
        self._write(place, [tag.name])

    def _overtaken(self, place: Place, lost: dict[str, str]) -> RegistryError:
        names = ", ".join(f"{tag} names {found or 'nothing'}" for tag, found in lost.items())
        return RegistryError(
            f"another release was faster: {names}, and not {place.digest}",
            host=place.repository.host,
            hint="Find out which of the two is right; release the other one under another version.",
        )

    def _write(self, place: Place, tags: Iterable[str], *, forget: Iterable[str] = ()) -> None:
        """Have these tags in the record, with the digest that they name, and others not."""
        gone = {f"{place.name}:{tag}" for tag in forget}
        new = {f"{place.name}:{tag}": place.digest for tag in tags}
        kept = {one.reference: one.digest for one in self.release.pushed if one.reference not in gone} | new
        order = [f"{place.name}:{tag.name}" for place in self.places for tag in self.wanted.tags]
        pushed = tuple(Pushed(name, kept.pop(name)) for name in order if name in kept)
        pushed += tuple(Pushed(name, digest) for name, digest in kept.items())
        if pushed != self.release.pushed:
            self.release = replace(self.release, pushed=pushed)
            record.update(self.scope.root, self.release)


@contextmanager
def _at(place: Place) -> Iterator[None]:
    """Let an error say which repository it is about."""
    try:
        yield
    except TinyshipError as error:
        raise error.at("push", place.name) from error.__cause__


def _first(changes: tuple[str, ...]) -> tuple[str, ...]:
    """The first of a list of changes, and how many more there are."""
    more = len(changes) - _SHOWN
    return (*changes[:_SHOWN], f"and {more} more") if more > 0 else changes


def _refused(scope: Scope, why: str, hint: str) -> Refused:
    return Refused(why, hint=hint, stage="push", image=scope.settings.image)
