"""Publishing: send to the registries exactly what the record names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from tinyship.tasks.session import Session


@task(
    "send",
    default=True,
    help={"allow_dirty": "Push even what was released from a tree with changes that no commit has."},
)
def send(session: Session, allow_dirty: bool = False, json: bool = False) -> None:
    """Push the released image, and record its digests.

    It is pushed under each of `push.tags` to each registry of `push.to`. Only
    what `.tinyship/release.json` names is pushed, and only while HEAD and the
    tree are what they were when it was released. Credentials come from the
    Docker config and its helpers, asked for the one registry in question.
    `pull` is the number of compressed bytes that a pull transfers, from the
    registry's manifest. What a clean tree was released from gets a git note
    with its sizes, in `refs/notes/tinyship`: see `size.history`.
    """
    from tinyship import pipeline, record
    from tinyship.stages.push import Delivery
    from tinyship.units import size

    def show(done: list[Delivery]) -> None:
        for delivery in done:
            pushed = delivery.release.pushed
            for digest in dict.fromkeys(one.digest for one in pushed):
                session.console.say(digest)
                for one in pushed:
                    if one.digest == digest:
                        session.console.say(f"  {one.reference}")
            pull = f", pull size {size(delivery.pull)}" if delivery.pull is not None else ""
            layers = f"{delivery.sent} layer{'' if delivery.sent == 1 else 's'} sent, {delivery.present} already there"
            session.console.say(f"{delivery.release.image}: {layers}{pull}")
        session.console.result(record.read(session.project.root).as_json())

    session.run(pipeline.plan_push, lambda scope: pipeline.send(scope, allow_dirty=allow_dirty), show)
