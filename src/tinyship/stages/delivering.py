"""A push on its way: the order in which repositories get the image and its tags, and what ends it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from tinyship.engine import images
from tinyship.errors import Refused, RegistryError, TinyshipError
from tinyship.events import Notice, Reason
from tinyship.git import repository
from tinyship.git.revision import Revision
from tinyship.kept.record import Release
from tinyship.registry import images as remote_images
from tinyship.registry import retry
from tinyship.running import cancelling, parallel
from tinyship.stages import goals
from tinyship.stages.journal import Journal
from tinyship.stages.place import AT_ONCE, Place
from tinyship.stages.scope import Scope
from tinyship.stages.upload import Upload, upload, weighed
from tinyship.tagging.tags import Tag, Tags


class Arrival(Struct, frozen=True):
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


class Push:
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
        self.now = now
        self.fixed = {place.name: tuple(tag for tag in wanted.tags if not tag.moving) for place in places}
        self.moving = {place.name: tuple(tag for tag in wanted.tags if tag.moving) for place in places}
        self.wanted = wanted
        self.places = places
        self.force = force
        self.given: dict[str, list[str]] = {place.name: [] for place in places}
        self.uploads: dict[str, Upload] = {}
        self._noting = threading.Lock()
        references = [f"{place.name}:{tag.name}" for place in places for tag in wanted.tags]
        self.journal = Journal(scope, release, references)

    def look(self) -> None:
        """Ask every registry what the tags name, before anything is done in any.

        Raises:
            Refused: a tag that never moves names another image, or no tag is left.
            RegistryError: a registry does not say, or does not let us push.
        """
        for place in self.places:
            with _at(place):
                place.look((tag.name for tag in self.wanted.tags), listing=bool(self.moving[place.name]), first=True)
                place.find(self._candidates(place))
                self._settle(place, place.seen)
        for place in self.places:
            self._keep(place)
            self._refuse(place)
        for place in self.places:
            if not place.digest:
                with _at(place):
                    place.repository.check_push()  # engines take long to say it, and one registry after the other
        for place in self.places:
            kept = {tag: place.there[tag] for tag in self._tags(place) if place.has(tag)}
            self._write(place, kept, lost=[tag.name for tag in self.wanted.tags if tag.name not in kept])

    def fix(self) -> None:
        """Bring the image to each registry, and give it the fixed tags."""
        for place in self.places:
            missing = [tag for tag in self.fixed[place.name] if not place.has(tag.name)]
            if place.digest and not missing:
                continue
            doing = f"pushing {', '.join(tag.name for tag in missing or self.moving[place.name])}"
            with self.scope.stage("push", place.name, doing) as outcome:
                if not place.digest:
                    self._upload(place, missing)
                self._give(place, missing)
                outcome.word = "pushed"

    def move(self) -> None:
        """Give the image the tags that move, where no higher version has them."""
        for place in self.places:
            if not any(not place.has(tag.name) for tag in self.moving[place.name]):
                continue
            with _at(place):
                # Other registries, or the upload, may have taken long.
                place.look((tag.name for tag in self.moving[place.name]), listing=True)
                self._settle(place, place.seen)
            tags = [tag for tag in self.moving[place.name] if not place.has(tag.name)]
            if tags:
                action = f"moving {', '.join(tag.name for tag in tags)}"
                with self.scope.stage("push", place.name, action) as outcome:
                    self._give(place, tags)
                    outcome.word = "moved"

    def agree(self) -> None:
        """Before anything moves, ask for the fixed tags again: of two releases of one version only one may go on."""
        for place in self.places:
            if place.promised and self.moving[place.name]:
                with _at(place):
                    self._lose(place, place.confirm([tag.name for tag in self.fixed[place.name]]))

    def confirm(self) -> None:
        """Ask for each tag once more, where any was given."""
        for place in self.places:
            if not place.was_given:
                self._rest(place)
                continue
            with _at(place):
                moving = [tag.name for tag in self.moving[place.name]]
                lost = place.confirm(self._tags(place))
                self._settle(place)
                late = [tag for tag in moving if tag not in self._tags(place)]  # a higher version came meanwhile
                lost |= place.changed([tag for tag in late if tag not in lost])  # and may have taken them by now
                self._lose(place, lost, late)
                if behind := [tag for tag in late if tag not in lost]:
                    raise RegistryError(
                        f"a higher version came meanwhile, and {', '.join(behind)} names this one, {place.digest}",
                        host=place.repository.host,
                        hint="Push the higher version again: it takes what follows it.",
                    )

    def _rest(self, place: Place) -> None:
        """Say that there was nothing to do in a repository."""
        if tags := ", ".join(self._tags(place)):
            with self.scope.stage("push", place.name, f"asking for {tags}") as outcome:
                self.scope.events(Reason("push", place.name, f"{tags}: there already, as {place.digest}", works=False))
                outcome.word = "up to date"

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

    def weigh(self) -> int | None:
        """Record the pull size; of several platforms that of the engine's own, whose unpacked size stands beside it."""
        release = self.journal.release
        known = next((entry.pull for entry in release.sizes if entry.stage == "release"), None)
        place = next((place for place in self.places if place.digest), None)
        if known is not None or place is None:
            return known
        platform = release.platform
        try:
            if "," in platform and (image := images.find(self.scope.engine, release.id)):
                platform = f"{image.os}/{image.architecture}"
            pull = remote_images.pull_size(place.repository, place.digest, platform=platform, known=place.manifest)
        except TinyshipError as error:
            self.scope.events(Notice(f"the pull size is not known: {error.message}", "warning"))
            return None
        self.journal.weigh(pull)
        return pull

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
                names = "names it" if place.has(tag) else f"names {found}" if found else "is not there"
                yield f"{place.name}:{tag} {names}"

    def _tags(self, place: Place) -> list[str]:
        return [tag.name for tag in (*self.fixed[place.name], *self.moving[place.name])]

    def _candidates(self, place: Place) -> Iterator[str]:
        """The digests that the image had in this repository, as the record knows, or else the engine."""
        release = self.journal.release
        known = [one.digest for one in release.pushed if one.reference.rpartition(":")[0] == place.name]
        yield from known
        if known:
            return
        image = images.find(self.scope.engine, release.id)
        for digest in image.digests if image else ():
            repository, _, name = digest.partition("@")
            if repository == place.name:
                yield name

    def _settle(self, place: Place, seen: tuple[str, ...] | None = None) -> None:
        """Leave out the moving tags that a higher version has or will have; says so once.

        Args:
            seen: all tags of the repository, where these were asked for just now.
        """
        moving = self.moving[place.name]
        if not moving:
            return
        there = place.listed() if seen is None else seen
        settled = goals.settled(self.scope, replace(self.wanted, tags=moving, notices=()), self.now, there)
        for notice in settled.notices:
            self.scope.events(Notice(f"{place.name}: {notice}"))
        self.moving[place.name] = settled.tags

    def _keep(self, place: Place) -> None:
        """Leave the tags of the commit with the release of it that has them; says so."""
        if self.force:
            return
        kept = []
        for tag in self.fixed[place.name]:
            if goals.is_of_commit(tag, self.now) and place.others([tag.name]):
                said = f"`{tag.name}` stays: it names {place.there[tag.name]}, another release of this commit"
                self.scope.events(Notice(f"{place.name}: {said}"))
            else:
                kept.append(tag)
        self.fixed[place.name] = tuple(kept)

    def _refuse(self, place: Place) -> None:
        """Raise where a fixed tag names another image; say what is replaced where that is wanted."""
        fixed = self.fixed[place.name]
        promises = [tag.name for tag in fixed if goals.is_promise(tag, self.now)]
        others = place.others(tag.name for tag in fixed)
        for tag, digest in others.items():
            if self.force or tag not in promises:
                self.scope.events(Notice(f"{place.name}:{tag} named {digest}, and is replaced", "warning"))
        taken = {tag: digest for tag, digest in others.items() if tag in promises}
        if not self._tags(place):
            raise Refused(
                "no tag is left for this release: each stays with another image",
                hint="`invoke release.check` shows what they name; `push.tags` lists them.",
                stage="push",
                image=place.name,
            )
        if taken and not self.force:
            lines = "\n".join(f"    {tag} is {digest}" for tag, digest in taken.items())
            raise Refused(
                f"another image has {'this tag' if len(taken) == 1 else 'these tags'} already, "
                f"and what was released is {place.digest or self.journal.release.id}:\n{lines}",
                hint="A released version stays what it is: release under another one, or push with `--force`.",
                stage="push",
                image=place.name,
            )

    def _upload(self, place: Place, missing: Sequence[Tag]) -> None:
        """Have the engine bring the image, under one tag; what the others that it is to have name is looked at then."""
        release = self.journal.release
        if not images.find(self.scope.engine, release.id):
            raise Refused(
                "the released image is no longer in the engine",
                hint="Run `invoke release` again.",
                stage="push",
                image=self.scope.settings.image,
            )
        tag = goals.carrier((*self.fixed[place.name], *self.moving[place.name]), self.now)
        repository.load_meanwhile()  # for the git note at the end
        pushed = upload(self.scope, place, tag.name, lambda: self._look_again(place, tag))
        self._note(place, tag)
        asks: list[Callable[[], Upload | None]] = [partial(weighed, self.scope, place, pushed)]
        asks += [partial(self._look_again, place, one) for one in missing if one.name != tag.name]
        sent, *_ = parallel.each(lambda ask: ask(), asks, threads=AT_ONCE)
        assert sent
        self.uploads[place.name] = sent
        if not place.is_of_release():
            self._write(place, {}, lost=[tag.name])
            raise RegistryError(
                f"the engine pushed another image, {pushed.digest}, as {place.name}:{tag.name}: "
                "another process named one so meanwhile",
                host=place.repository.host,
                hint="Push again, and not two projects of this image at once on one engine.",
            )

    def _lose(self, place: Place, lost: dict[str, str], late: Iterable[str] = ()) -> None:
        """Take tags that name something else by now out of the record; an error, but for those that came too late."""
        self._write(place, {}, lost=lost)
        if taken := {tag: found for tag, found in lost.items() if tag not in late}:
            raise self._overtaken(place, taken)

    def _look_again(self, place: Place, tag: Tag) -> None:
        """Just before a fixed tag is given: another release may have come meanwhile."""
        before = place.there.get(tag.name)
        found = place.ask(tag.name)
        if found and found != before and not place.is_ours(found) and goals.is_promise(tag, self.now):
            raise self._overtaken(place, {tag.name: found})

    def _give(self, place: Place, tags: Sequence[Tag]) -> None:
        """Let tags name the image, at the same time; what each names is looked at right before each try."""

        def one(tag: Tag) -> None:
            def give() -> None:
                if not place.has_just_said(tag.name):
                    self._look_again(place, tag)
                place.looked.pop(tag.name, None)  # a try that fails may have done it
                if not place.has(tag.name):
                    place.give(tag.name, moving=tag.moving)

            retry.trying(give, events=self.scope.events, patience=place.repository.patience)
            self._note(place, tag)

        parallel.each(one, [tag for tag in tags if not place.has(tag.name)], threads=AT_ONCE)

    def _note(self, place: Place, tag: Tag) -> None:
        """Write down that a tag was given."""
        with self._noting:
            self.given[place.name].append(tag.name)
            self._write(place, {tag.name: place.there[tag.name]})

    def _overtaken(self, place: Place, lost: dict[str, str]) -> RegistryError:
        names = ", ".join(f"{tag} names {found or 'nothing'}" for tag, found in lost.items())
        return RegistryError(
            f"another release was faster: {names}, and not {place.digest}",
            host=place.repository.host,
            hint="Find out which of the two is right; release the other one under another version.",
        )

    def _write(self, place: Place, given: Mapping[str, str], *, lost: Iterable[str] = ()) -> None:
        """Have these tags of a repository in the record, each with the digest that it names, and the lost ones not."""
        named = {f"{place.name}:{tag}": digest for tag, digest in given.items()}
        with cancelling.shielded():  # what the registry has is written down, also at the end
            self.journal.write(named, lost=[f"{place.name}:{tag}" for tag in lost])


@contextmanager
def _at(place: Place) -> Iterator[None]:
    """Let an error say which repository it is about."""
    try:
        yield
    except TinyshipError as error:
        raise error.at("push", place.name) from error.__cause__
