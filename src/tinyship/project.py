"""The images of a project, for scripts: load it, run its stages, get data back. Prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tinyship.kept.record import Outcome, Record
from tinyship.selection import Selection

if TYPE_CHECKING:
    from tinyship.cleaning.retention import Cleaned
    from tinyship.kept.history import Entry
    from tinyship.lineage import Lineage
    from tinyship.plan import Check, Plan
    from tinyship.sizes.diff import Diff
    from tinyship.sizes.table import Row
    from tinyship.stages.changelog import Notes
    from tinyship.stages.explaining import Explanation
    from tinyship.stages.judging import What
    from tinyship.stages.moving import Update
    from tinyship.stages.outdated import Outdated
    from tinyship.stages.promote import Promoted
    from tinyship.stages.releases import Known
    from tinyship.stages.scope import Made


class Project(Selection):
    """One config and the images that it describes, and all that can be done with these.

    ``Project.load(".").release(push=True)`` releases and pushes what ``invoke release push`` would.
    """

    def plan(self, *, push: bool = False, version: str | None = None, images: Sequence[str] = ()) -> tuple[Plan, ...]:
        """What ``release`` would do; one plan an image, and one more for its push where that is asked for.

        Args:
            push: see ``release``.
            version: see ``release``.
            images: as for ``selected``.
        """
        from tinyship import pipeline

        with self.versioned(version).selected(images).scopes() as scopes:
            return tuple(
                plan
                for scope in scopes
                for plan in (
                    pipeline.plan_release(scope),
                    *((pipeline.plan_push(scope, after_release=True),) if push else ()),
                )
            )

    def base(
        self, *, force: bool = False, images: Sequence[str] = (), jobs: int = 0, fail_fast: bool = False
    ) -> tuple[Made, ...]:
        """Bring the base images up to date, each once.

        Args:
            force: make each anew, even where nothing changed.
            images: as for ``selected``.
            jobs: see ``release``.
            fail_fast: see ``release``.
        """
        from tinyship import pipeline, several

        with self.selected(images).scopes() as scopes:
            done = several.each(
                scopes, lambda scope: pipeline.make_bases(scope, force=force), jobs=jobs, fail_fast=fail_fast
            )
        return tuple(dict.fromkeys(made for some in done for made in some))

    def update_bases(self, *only: str, dry: bool = False) -> Update:
        """Pin base images from elsewhere to what their registries have now, in ``tinyship.lock``.

        Args:
            only: the names of those that are meant, as the Dockerfiles have them; all where there are none.
            dry: say what would move, and write nothing.
        """
        from tinyship.stages import moving

        with self.scopes() as scopes:
            return moving.update(scopes, only=only, dry=dry)

    def outdated(self) -> Outdated:
        """Which base images from elsewhere have moved, and which releases were made with what is old."""
        from tinyship.stages import outdated

        with self.scopes() as scopes:
            return outdated.find(scopes)

    def build(
        self, *, force: bool = False, images: Sequence[str] = (), jobs: int = 0, fail_fast: bool = False
    ) -> tuple[Made, ...]:
        """Bring the base images up to date, then make the build images and the artifacts.

        Args:
            force: make everything anew, even where nothing changed.
            images: as for ``selected``.
            jobs: see ``release``.
            fail_fast: see ``release``.
        """
        from tinyship import pipeline, several

        with self.selected(images).scopes() as scopes:
            done = several.each(
                scopes, lambda scope: pipeline.make_build(scope, force=force), jobs=jobs, fail_fast=fail_fast
            )
        return tuple(made for made in done if made)

    def release(
        self,
        *,
        push: bool = False,
        only: bool = False,
        allow_dirty: bool = False,
        version: str | None = None,
        force: bool = False,
        images: Sequence[str] = (),
        changed_since: str | None = None,
        jobs: int = 0,
        fail_fast: bool = False,
    ) -> Outcome:
        """Release each image, after those that it stands on, and, where asked for, push it.

        Args:
            push: publish what was released.
            only: leave base and build as they are.
            allow_dirty: push even what was released from a tree with uncommitted changes.
            version: what is released, as "2.0.1"; what git or the settings say where it is None.
            force: make everything anew, even where nothing changed.
            images: as for ``selected``; what these stand on is released, and not pushed.
            changed_since: of these only those that ``changed`` finds for this revision, which may be none.
            jobs: how many images are worked on at the same time, at most; the setting ``jobs`` where 0.
            fail_fast: when one image fails, begin no other one, and end those that are being made.

        Returns:
            the record, as ``.tinyship/release.json`` holds it, with what was released by this.

        Raises:
            TinyshipError: what failed, on which image and stage, and what to do.
            ImagesFailed: of several images at least one failed; says of each what came of it.
        """
        from tinyship import pipeline, several
        from tinyship.kept import record

        project = self.versioned(version)
        among = None if changed_since is None else project.changed(changed_since).names
        meant = {loaded.name for loaded in project.selected(images, among=among, with_needs=False).images}
        with project.selected(images, among=among).scopes() as scopes:
            done = several.each(
                scopes,
                lambda scope: pipeline.make_release(scope, only=only, force=force),
                jobs=jobs,
                fail_fast=fail_fast,
            )
            pushed = tuple(scope for scope in scopes if scope.name in meant) if push else ()
            pipeline.look_before(pushed, allow_dirty=allow_dirty)
            for scope in pushed:
                pipeline.send(scope, allow_dirty=allow_dirty)
        return record.outcome(self.root, [released.release.image for released in done])

    def check(self) -> tuple[Check, ...]:
        """What stands in the way of a release and its push, and what does not; nothing is built or changed."""
        from tinyship import pipeline

        with self.scopes() as scopes:
            return tuple(check for scope in scopes for check in pipeline.check(scope))

    def push(self, *, allow_dirty: bool = False, force: bool = False, images: Sequence[str] = ()) -> Record:
        """Push what the record names.

        Args:
            images: as for ``selected``, without what these stand on.
            allow_dirty: push even what was released from a tree with uncommitted changes.
            force: let version tags that name another image name this one.
        """
        from tinyship import pipeline
        from tinyship.kept import record

        with self.selected(images, with_needs=False).scopes() as scopes:
            pipeline.look_before(scopes, allow_dirty=allow_dirty, force=force)
            for scope in scopes:
                pipeline.send(scope, allow_dirty=allow_dirty, force=force)
        return record.read(self.root)

    def promote(self, source: str, target: str, *, force: bool = False) -> tuple[Promoted, ...]:
        """Let other tags, or other repositories, have an image that a registry has; no engine is needed.

        Args:
            source: a tag or a digest in the first repository of ``push.to``, a full reference, or ``release``.
            target: a tag, or a full reference; several with commas between them.
            force: let tags that never move, versions and commits, name this image and not another one.

        Returns:
            one entry for each image that this is about: all of the project where tags are named alone.

        Raises:
            ConfigError: one of the two cannot be read.
            Refused: a tag that never moves names another image.
            RegistryError: the image is not there, or a registry refused or failed.
        """
        from tinyship.stages import promote, route

        with replace(self, images=route.concerned(self.images, source, target)).scopes() as scopes:
            for scope in scopes if len(scopes) > 1 else ():
                promote.check(scope, source, target, force=force)
            return tuple(promote.promote(scope, source, target, force=force) for scope in scopes)

    def sizes(self) -> tuple[Row, ...]:
        """The size table of what is in the engine now."""
        from tinyship.stages import size

        with self.scopes() as scopes:
            return tuple(row for scope in scopes for row in size.now(scope).rows)

    def lineage(self) -> Lineage:
        """The images of the project, what each of them stands on, and the layers that they share."""
        from tinyship.stages import standing

        with self.scopes() as scopes:
            return standing.find(scopes)

    def explain(self, named: str = "release", *, platform: str = "") -> tuple[Explanation, ...]:
        """Where the bytes of an image are, and what would make it smaller; one entry for each image of the project.

        Args:
            named: ``base``, ``build``, ``release``, a tag, a reference, a file, a git revision: see ``stages.opening``.
            platform: ``os/architecture[/variant]``, where there are several.
        """
        from tinyship.stages import explaining

        with self.scopes() as scopes:
            return tuple(explaining.explain(scope, named, platform=platform) for scope in scopes)

    def compare(self, before: str, after: str = "release") -> tuple[Diff, ...]:
        """What differs in the second of two images, named as for ``explain``; one entry for each of the project."""
        from tinyship.stages import looking

        with self.scopes() as scopes:
            return tuple(looking.compare(scope, before, after) for scope in scopes)

    def history(self, *, fetch: bool = False, registry: bool = False) -> tuple[Entry, ...]:
        """What each release weighed, image by image, in the order in which they were released; sizes in bytes.

        Args:
            fetch: look for what others released in the git notes of the remote ``size.notes_remote``, or ``origin``.
            registry: ask the first registry of ``push.to`` for releases that are written down nowhere.

        Raises:
            GitError: the notes cannot be fetched.
        """
        from tinyship.stages import history, published

        with self.scopes() as scopes:
            if fetch:
                for scope in {history.remote_of(scope): scope for scope in scopes}.values():
                    history.fetch(scope)
            more = [published.releases(scope) if registry else () for scope in scopes]
            return tuple(
                entry for scope, there in zip(scopes, more, strict=True) for entry in history.known(scope, there)
            )

    def releases(self, *, registry: bool = False) -> tuple[Known, ...]:
        """What was released, image by image, the newest first; and git tags of which no release is known.

        Args:
            registry: ask the first registry of ``push.to``, too, for releases that are written down nowhere.

        Raises:
            GitError: git is missing or refuses.
        """
        from tinyship.stages import releases

        with self.scopes() as scopes:
            return tuple(known for scope in scopes for known in releases.known(scope, registry=registry))

    def notes(self, start: str = "", end: str = "", *, authors: bool = False) -> tuple[Notes, ...]:
        """What changed since the last release; one entry for each range of commits, with the sizes of all images.

        Args:
            start: a version, or what git knows as a commit; the release before ``end`` where empty.
            end: as ``start``; HEAD where empty.
            authors: name who made each commit.

        Raises:
            ConfigError: there is no such commit.
            GitError: there is no repository, or git is missing or refuses.
        """
        from tinyship.stages import changelog

        with self.scopes() as scopes:
            return changelog.joined(changelog.notes(scope, start, end, authors=authors) for scope in scopes)

    def clean_registry(self, *, yes: bool = False) -> Cleaned:
        """Take old images out of the registries of ``push.to``, as ``clean.registry`` of the settings says.

        Args:
            yes: also where more than the share ``clean.ask_above`` of the project's images goes.

        Raises:
            Refused: too much would go, or a release has begun.
            CleanStopped: it ended before its end; has what was done until then.
        """
        from tinyship.stages import withdrawing

        with self.scopes() as scopes:
            return withdrawing.withdraw(scopes, yes=yes)

    def clean(self, *, releases: bool = False, everything: bool = False, yes: bool = False) -> Cleaned:
        """Remove artifacts, ended containers and images without a name.

        Args:
            releases: remove old releases instead, as ``clean.images`` does.
            everything: remove all that the project made instead, as ``clean.all`` does.
            yes: even where that is more than ``clean.ask_above`` of all images.

        Raises:
            Refused: it would be more than that, or a release goes first.
            CleanStopped: it ended before its end, and has what was done until then.
        """
        from tinyship.stages import clean

        what: What = "everything" if everything else "old_releases" if releases else "work"
        with self.scopes() as scopes:
            return clean.clean(scopes, what, yes=yes)
