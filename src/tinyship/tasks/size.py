"""What the images weigh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from tinyship.tasks.session import Session


_STAGES = ("base", "build", "release")


@task(
    "table",
    help={
        "estimate": "Read the layers: show dead bytes, and estimate what is not pushed yet as gzip would make it (~).",
        "compare": "Compare the release with an image, named as `size.explain` takes it: a branch, a tag, a file.",
        "markdown": "With --compare: write Markdown, for a pull request or the summary of a job.",
    },
)
def table(
    session: Session, estimate: bool = False, compare: str = "", markdown: bool = False, json: bool = False
) -> None:
    """Show what the images in the engine weigh.

    A row each for the bases, the build image and the last release. `unpacked`:
    the files on disk, all layers. `pull`: compressed bytes that a pull
    transfers, known once pushed. `unique`: what lies above the base image.
    `dead`: bytes that layers hold and later ones hide. `change`: unpacked bytes
    gained since the last release, or against the image of --compare, with
    which a broken budget is an error.

    Examples:
      invoke size
      invoke size --compare 1.4.0
      invoke size --markdown  # for a merge request
    """
    from tinyship import pipeline
    from tinyship.console import looks
    from tinyship.errors import ConfigError
    from tinyship.plan import Action
    from tinyship.sizes.markdown import summary
    from tinyship.stages import looking, reporting, size
    from tinyship.stages.scope import Scope
    from tinyship.stages.size import Weighed

    if markdown and not compare:
        raise ConfigError("`--markdown` goes with `--compare`")
    if markdown and json:
        raise ConfigError("`--markdown` and `--json` exclude each other")

    def act(scope: Scope) -> Weighed:
        if not compare:
            return size.now(scope, estimated=estimate)
        found = looking.against(scope, compare, estimated=estimate)
        if markdown:
            text = summary(reporting.of_comparison(scope, found, compare))
            session.console.lines(text.splitlines())
        return found

    def show(done: list[Weighed]) -> None:
        if markdown:
            pass
        elif rows := [row for one in done for row in one.rows]:
            session.console.sizes(rows)
            session.console.lines(line for one in done if one.diff for line in looks.diff(one.diff, 5))
        else:
            session.console.say("none of this project's images is in the engine: `invoke release` makes them")
        broken = [limit for one in done for limit in one.broken] if compare else []
        if broken:
            rows = [row for one in done for row in one.rows]
            image = broken[0].row.image if len(done) == 1 else ""
            raise size.exceeded(broken, rows, image, diffs=[one.diff for one in done if one.diff])
        session.console.result(looks.weighed_data(done))

    session.run(
        lambda scope: pipeline.plan(scope, "size", (Action("weigh", scope.settings.image),)),
        act,
        show,
    )


@task(
    "history",
    help={
        "stage": "Whose sizes: those of the `release` (the default), of the `build` image, or of each `base`.",
        "limit": "How many releases are shown, the latest; 0 for all of them. The default is 20.",
        "registry": "Ask the registry too: the manifests of its tags, for releases that are written down nowhere.",
        "fetch": "First fetch what others released: the git notes of `size.notes_remote`, or of `origin`.",
    },
)
def history(
    session: Session,
    stage: str = "release",
    limit: int = 20,
    fetch: bool = False,
    registry: bool = False,
    json: bool = False,
) -> None:
    """Show what each release weighed, the first one first.

    A row for each release, in the order of the commits' dates. `unpacked`: the
    files on disk, all layers, uncompressed. `pull`: compressed bytes that a
    pull transfers, known once pushed. `unique`: what lies above the base image,
    unpacked. `change`: what the size before it gained since the row above.
    `digest`: known once pushed. The bar is `unpacked`, from 0 on. MB are
    decimal, 1,000,000 bytes; --json has plain bytes.

    Every release is written down in `.tinyship/history.jsonl`, every clean push
    also as a git note on its commit, in `refs/notes/tinyship`. Where
    `size.notes_remote` is set, these notes travel by themselves; else --fetch
    fetches them, and `git push origin refs/notes/tinyship` sends them.

    Examples:
      invoke size.history
      invoke size.history --stage build --limit 5
      invoke size.history --fetch --registry
    """
    from tinyship import pipeline
    from tinyship.errors import ConfigError
    from tinyship.kept.trend import trends
    from tinyship.stages.history import plan_show

    if stage not in _STAGES:
        raise ConfigError(f"`--stage={stage}`: there are {', '.join(_STAGES)}")
    if limit < 0:
        raise ConfigError(f"`--limit={limit}`: it is 0 or more")
    if session.dry:
        with session.project.scopes() as scopes:
            session.plans(
                pipeline.plan(scope, "size.history", plan_show(scope, fetch=fetch, registry=registry))
                for scope in scopes
            )
        return
    entries = session.project.history(fetch=fetch, registry=registry)
    shown = tuple(trend.last(limit) for trend in trends(entries, stage))
    if not shown:
        session.console.say(
            f"no release had a {stage} image" if entries else "no release is written down yet: `invoke release` does it"
        )
    session.console.history(shown)
    session.console.result({"images": shown})
