"""Taking old images out of registries: only this project's, and only when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.clean import YES_HELP, interrupts
from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinyship.stages.withdrawing import Shelf
    from tinyship.tasks.session import Session


@task("registry", help={"yes": YES_HELP})
def registry(session: Session, yes: bool = False, json: bool = False) -> None:
    """Remove old images from the registries of `push.to`.

    First comes a table: what goes, what stays, and why; `invoke --dry
    clean.registry` ends there. An image goes or stays with all of its tags,
    because registries delete by digest. In each repository these stay:

    - what does not bear this project's label, or cannot be read;
    - what `.tinyship/release.json` names;
    - the last `clean.registry.keep` (10) releases, by version;
    - what a moving tag names: `latest`, `1.4`, a branch, `stable`;
    - all final versions, and those of git tags: `clean.registry.versions`
      narrows that to `tagged`, or to `last`, which is none of them;
    - what is younger than `clean.registry.age` (30d): by the date in the image,
      which is its commit's, or by that of its release, where that is known;
    - what an index that stays lists, and the last tag there is.

    Signatures and attestations (tags like `sha256-...`) go and stay with their
    image. The registry is looked at again before anything is deleted, and asked
    again after each deletion. It frees the bytes when it collects its garbage.
    What was deleted stands in `.tinyship/clean.json`, also after a failure. No
    engine is needed.

    Examples:
      invoke --dry clean.registry  # the table alone
      invoke clean.registry
    """
    from tinyship import pipeline
    from tinyship.console import verdicts, withdrawals
    from tinyship.stages import clean, withdrawing

    console = session.console

    def show(shelves: Sequence[Shelf]) -> None:
        found = withdrawing.judged(shelves)
        console.lines(verdicts.lines(found))
        console.lines(withdrawals.outlook(found, withdrawing.outlook(shelves)))

    with session.project.scopes() as scopes:
        if session.dry:
            with withdrawing.looked(scopes) as shelves:
                show(shelves)
            much = "" if yes else clean.much(withdrawing.ours(shelves), withdrawing.above(scopes))
            console.lines((f"`--yes` would be needed: {much}",) if much else ())
            found = withdrawing.judged(shelves)
            plan = pipeline.plan(scopes[0], withdrawing.TASK, clean.actions(found))
            console.result({"plans": [plan], "verdicts": found})
            return
        with interrupts(session):
            done = withdrawing.withdraw(scopes, yes=yes, show=show)
    console.lines(withdrawals.done(done) if done.removed or done.refused else ())
    console.result(done.as_json())
