"""Promotes an image that a registry has: another tag or another repository names its digest, without an engine."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from tinyship.errors import TinyshipError
from tinyship.plan import Action, Check
from tinyship.registry import copying
from tinyship.stages.promoting import Goal, Promotion, refuse
from tinyship.stages.scope import Scope


@dataclass(frozen=True, slots=True)
class Given:
    """A tag that was to name the image.

    Args:
        reference: ``[registry/]repository:tag``.
        before: the digest that it named before; empty where it was not there.
    """

    reference: str
    before: str


@dataclass(frozen=True, slots=True)
class Promoted:
    """What a promotion did, in compressed bytes of blobs.

    Args:
        image: of the project that it was done for.
        source: where the image was: ``[registry/]repository@digest``.
        digest: of its manifest, or of its index.
        tags: that name it now, in the order in which they were asked for.
        sent: that were sent from one registry to another.
        mounted: that a registry took from another of its repositories.
        present: that were there; 0 where the repository is the same.
    """

    image: str
    source: str
    digest: str
    tags: tuple[Given, ...]
    sent: int
    mounted: int
    present: int


def plan(
    scope: Scope, source: str, target: str, *, force: bool = False
) -> tuple[tuple[Action, ...], tuple[Check, ...]]:
    """What ``promote`` would do, as the registries say, and whether it would be refused; the arguments are its own."""
    with ExitStack() as stack:
        promotion = Promotion(scope, source, target, stack)
        actions = [Action("copy", name, f"from {promotion.name}") for name, _ in promotion.others]
        for goal in promotion.moves:
            before = f", in place of {goal.before}" if goal.before else ""
            actions.append(Action("tag", goal.reference, f"as {promotion.digest}{before}"))
        checks = (_checked(goal, promotion, force=force) for goal in promotion.goals)
        return tuple(actions), tuple(checks)


def _checked(goal: Goal, promotion: Promotion, *, force: bool) -> Check:
    if not goal.before:
        return Check(goal.reference, "ok", "is free")
    if goal not in promotion.taken:
        return Check(goal.reference, "ok" if goal.before == promotion.digest else "note", f"names {goal.before}")
    said = f"a promise, and names {goal.before}"
    if force:
        return Check(goal.reference, "note", f"{said}; `--force` replaces it")
    return Check(goal.reference, "failed", said, hint="Promote to another tag, or with `--force`.")


def check(scope: Scope, source: str, target: str, *, force: bool = False) -> None:
    """Raise what ``promote`` would before it changes anything: of several images none is promoted where one cannot."""
    with ExitStack() as stack:
        promotion = Promotion(scope, source, target, stack)
        try:
            refuse(promotion.taken, promotion.digest, force=force)
        except TinyshipError as error:
            raise error.at("push", scope.settings.image) from None


def promote(scope: Scope, source: str, target: str, *, force: bool = False) -> Promoted:
    """Let tags name an image that a registry has.

    Args:
        source: a tag or a digest in the first repository of ``push.to``, a full reference, or ``release``, which is the
            digest that the record has.
        target: a tag in that repository or a full reference; several with commas between them.
        force: replace what the tag of a version or of a commit named; see ``promises``.

    Raises:
        ConfigError: one of the two cannot be read.
        Refused: a tag that stays what it is names another image; or nothing is released, or pushed.
        RegistryError: the image is not there; a registry refused, failed, or somebody else was faster.
    """
    with scope.stage("push", scope.settings.image, f"promoting {source} to {target}") as outcome, ExitStack() as stack:
        promotion = Promotion(scope, source, target, stack)
        refuse(promotion.taken, promotion.digest, force=force)
        copies = [
            copying.copy(promotion.source, repository, promotion.digest, events=scope.events)
            for _, repository in promotion.others
        ]
        with promotion.told():
            try:
                for goal in promotion.moves:
                    promotion.give(goal, force=force)
                promotion.confirm()
            finally:
                promotion.write()
        outcome.word = "promoted" if promotion.moves else "was there"
        return Promoted(
            image=scope.settings.image,
            source=promotion.name,
            digest=promotion.digest,
            tags=tuple(Given(goal.reference, goal.before) for goal in promotion.goals),
            sent=sum(each.sent for each in copies),
            mounted=sum(each.mounted for each in copies),
            present=sum(each.present for each in copies),
        )
