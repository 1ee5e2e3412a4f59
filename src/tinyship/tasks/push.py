"""Publishing: send to the registries exactly what the record names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinyship.tasks.spec import IMAGE_HELP, task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tinyship.kept.record import Record
    from tinyship.stages.scope import Scope
    from tinyship.tasks.session import Session


@task(
    "send",
    help={
        "allow_dirty": "Push even what was released from a tree with changes that no commit has.",
        "force": "Let version tags that name another image name this one; says what it replaces.",
        "format": "Print the result for another program: `env`, `bake` or `skaffold`; see `release.show`.",
        "image_ref_only": "Print `repository@sha256:...` and nothing else, a line for each image.",
        **IMAGE_HELP,
    },
)
def send(
    session: Session,
    allow_dirty: bool = False,
    force: bool = False,
    format: str = "",
    image_ref_only: bool = False,
    image: Sequence[str] | None = None,
    json: bool = False,
) -> None:
    """Push the released image, and record its digests.

    It is pushed under each of `push.tags` to each registry of `push.to`. Only
    what `.tinyship/release.json` names is pushed, and only while HEAD and the
    tree are what they were when it was released.

    The engine sends the image once to each repository; all further tags are the
    same manifest, given by tinyship itself. Tags that stay (version, commit)
    come first, those that move (`latest`, `1.4`) last, and these only where no
    git tag and no tag of the registry is a higher version. A version that names
    another image is never replaced without `--force`, and a version that was
    given is not pushed while its git tag is on another commit. At the end the
    registry is asked what each tag names. A push that broke off is resumed by
    the next.

    Credentials come from the Docker config and its helpers. Bytes are
    compressed ones, as the registry has them; `pull` is what a pull transfers.
    What a clean tree was released from gets a git note with its sizes, in
    `refs/notes/tinyship`: see `size.history`.

    Examples:
      invoke push
      invoke --dry push             # what would be sent, and given
      invoke push --image-ref-only  # repository@sha256:... for a script
    """
    from tinyship.kept import formats

    formats.check_one({"--format": bool(format), "--image-ref-only": image_ref_only, "--json": json})
    if format:
        formats.check(format)

    def told(record: Record) -> Iterable[str]:
        return [formats.render(record, format)] if format else formats.image_refs(record)

    chosen = session.selected(image, with_needs=False)
    publish(chosen, allow_dirty=allow_dirty, force=force, told=told if format or image_ref_only else None)


def publish(
    session: Session,
    *,
    allow_dirty: bool = False,
    force: bool = False,
    told: Callable[[Record], Iterable[str]] | None = None,
    released: Sequence[str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Push what is released, and show what came of it.

    Args:
        told: what is shown instead, of the record's entries of these images.
        released: what was released just before, by this task, for the result.
        more: what else belongs into the result.
    """
    from tinyship import pipeline
    from tinyship.console import deliveries
    from tinyship.kept import formats, record
    from tinyship.stages.push import Delivery

    def show(done: list[Delivery]) -> None:
        found = record.read(session.project.root)
        if told:
            session.console.lines(told(formats.select(found, [delivery.release.image for delivery in done])))
            return
        for delivery in done:
            session.console.lines(deliveries.lines(delivery))
        outcome = found if released is None else record.Outcome(found.images, tuple(released))
        session.console.result({**outcome.as_json(), **(more or {})})

    def act(scope: Scope) -> Delivery:
        return pipeline.send(scope, allow_dirty=allow_dirty, force=force)

    def before(scopes: Sequence[Scope]) -> None:
        pipeline.look_before(scopes, allow_dirty=allow_dirty, force=force)

    planned, after_release = session.after_planned() if session.dry else (session, False)
    planned.run(lambda scope: pipeline.plan_push(scope, after_release=after_release), act, show, before=before)
