"""Promotion: another tag or another repository for an image that a registry has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from tinyship.stages.promote import Promoted
    from tinyship.stages.scope import Scope
    from tinyship.tasks.session import Session


@task(
    "promote",
    positional=("source", "target"),
    help={
        "source": "The image: a tag or a digest in the first repository of `push.to`, a full reference, or `release`.",
        "target": "A tag there, like `stable`, or a full reference; several with commas between them.",
        "force": "Let tags of versions and commits that name another image name this one; says what it replaces.",
    },
)
def promote(session: Session, source: str, target: str, force: bool = False, json: bool = False) -> None:
    """Let another tag, or another repository, have an image.

    `invoke push.promote 1.4.0 stable` lets `stable` name what `1.4.0` names, in
    the first repository of `push.to`; `release` is the digest that the record
    has. A full reference, `registry.example.com/lacion/foo:1.4.0`, may be in
    any repository of any registry. No engine is needed, nothing is built, and
    the digest stays the same, of indexes and attestations as well.

    In one repository only the manifest is put again; within one registry its
    layers are taken over there; to another registry they are copied. Tags are
    given when everything is there, and the registry is asked for them at the
    end. A tag that `push.tags` give to one version or commit, or that looks
    like one, is never taken from another image without `--force`; one of a
    shortened version or of a date moves. Bytes are compressed ones.

    Examples:
      invoke push.promote 1.4.0 stable
      invoke push.promote release registry.example.com/lacion/foo:1.4.0
      invoke --dry push.promote 1.4.0 stable,production
    """
    from dataclasses import replace

    from tinyship.console import deliveries
    from tinyship.plan import Plan
    from tinyship.stages import promote as stage
    from tinyship.stages import route

    def plan(scope: Scope) -> Plan:
        # What HEAD is says nothing of the image that is promoted, and no repository is needed.
        actions, checks = stage.plan(scope, source, target, force=force)
        return Plan("push.promote", scope.settings.image, "", "", False, actions, checks=checks)

    def show(done: list[Promoted]) -> None:
        for one in done:
            session.console.lines(deliveries.promotion(one))
        session.console.result({"promoted": done})

    images = route.concerned(session.project.images, source, target)
    of_these = replace(session, project=replace(session.project, images=images))
    if len(images) > 1 and not session.dry:
        with of_these.project.scopes() as scopes:
            for scope in scopes:
                stage.check(scope, source, target, force=force)
    of_these.run(plan, lambda scope: stage.promote(scope, source, target, force=force), show)
