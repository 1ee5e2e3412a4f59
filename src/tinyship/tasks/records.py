"""What was released: the last release for people and programs, what it stands on, the earlier ones, and changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinyship.tasks.session import Session


@task(
    "show",
    help={
        "format": "Print it for another program: `env` for a shell, `bake` for Docker Bake, `skaffold` for Skaffold.",
        "image_ref_only": "Print `repository@sha256:...` and nothing else, a line for each image.",
    },
)
def show(session: Session, format: str = "", image_ref_only: bool = False, json: bool = False) -> None:
    """Show the last release of each image.

    It is what `.tinyship/release.json` says; nothing else is asked.

    --format=env: `eval "$(invoke release.show --format env)"` sets
    RELEASE_IMAGE, _VERSION, _COMMIT, _CREATED, _PLATFORM and _ID, and, once
    pushed, _REPOSITORY, _DIGEST, _REFERENCE (repository@digest) and _TAGS. Of
    several images each has the last part of its own name in them:
    RELEASE_API_VERSION is of lacion/api.

    --format=bake: a file for `docker buildx bake -f docker-bake.hcl -f FILE`. A
    target that inherits `tinyship` has the released images as contexts, by
    digest; one that inherits `tinyship-NAME` has the build arguments, labels
    and tags of that release.

    --format=skaffold: a file for `skaffold deploy --build-artifacts FILE`.

    References are those of the first registry of `push.to`.

    Examples:
      invoke release.show
      invoke release.show --format env
      invoke release.show --image-ref-only
    """
    from tinyship import pipeline
    from tinyship.console import releases
    from tinyship.kept import formats, record
    from tinyship.plan import Action

    formats.check_one({"--format": format, "--image-ref-only": image_ref_only, "--json": json})
    if session.dry:
        with session.project.scopes() as scopes:
            session.plans(
                pipeline.plan(scope, "release.show", (Action("read", ".tinyship/release.json"),)) for scope in scopes
            )
        return
    images = [loaded.settings.image for loaded in session.project.images]
    found = record.read(session.project.root)
    if not found.only(images).images or format or image_ref_only:
        found = formats.select(found, images)
    if format:
        session.console.say(formats.render(found, format))
    elif image_ref_only:
        session.console.lines(formats.image_refs(found))
    else:
        for number, image in enumerate(images):
            session.console.lines(("",) * bool(number))
            one = found.find(image)
            session.console.lines(releases.release(one) if one else (f"{image} is not released yet",))
        session.console.result(found.only(images).as_json())


@task(
    "list",
    help={
        "registry": "Ask the first registry of `push.to` too, for releases that are written down nowhere.",
        "limit": "How many releases of each image are shown, the newest; 0 for all of them. The default is 20.",
    },
)
def listing(session: Session, registry: bool = False, limit: int = 20, json: bool = False) -> None:
    """List the releases that are known, the newest first.

    From the git tags that are versions, the git notes in `refs/notes/tinyship`,
    the history in `.tinyship`, and, with --registry, the registry. `digest`:
    its first digits, known once pushed. `pull`: compressed bytes that a pull
    transfers. `unpacked`: the files on disk, all layers, uncompressed.

    Examples:
      invoke release.list
      invoke release.list --registry --limit 5
    """
    from tinyship import pipeline
    from tinyship.console import releases
    from tinyship.errors import ConfigError
    from tinyship.stages.releases import plan

    if limit < 0:
        raise ConfigError(f"`--limit={limit}`: it is 0 or more")
    if session.dry:
        with session.project.scopes() as scopes:
            session.plans(pipeline.plan(scope, "release.list", plan(scope, registry=registry)) for scope in scopes)
        return
    every = session.project.releases(registry=registry)
    images = []
    for number, loaded in enumerate(session.project.images):
        image = loaded.settings.image
        ours = [known for known in every if known.image == image][: limit or None]
        images.append({"image": image, "releases": ours})
        session.console.lines(("",) * bool(number))
        session.console.lines(
            releases.known_lines(image, ours) if ours else (f"no release of {image}, and no git tag for one, is known",)
        )
    session.console.result({"images": images})


@task(
    "notes",
    help={
        "from_": "Where to begin: a version, or a tag, branch or commit. The default is the release before.",
        "to": "Where to end: a version, or a tag, branch or commit. The default is HEAD.",
        "authors": "Name who made each commit.",
    },
)
def notes(session: Session, from_: str = "", to: str = "", authors: bool = False, json: bool = False) -> None:
    """Tell what changed since the last release.

    In Markdown. The last release is the highest lower version whose git tag
    HEAD stands on; what is no pre-release is compared with none. Merges are
    left out. Commits are grouped where most of them have a prefix of
    Conventional Commits (`feat:`, `fix(api)!:`). What the images gained, and
    which bases moved, is told where both releases are written down: see
    `release.list`.

    Examples:
      invoke release.notes
      invoke release.notes --from 1.3.0 --to 1.4.0 --authors
    """
    from tinyship import pipeline
    from tinyship.console import changelog
    from tinyship.stages.changelog import plan

    if session.dry:
        with session.project.scopes() as scopes:
            session.plans(pipeline.plan(scope, "release.notes", plan()) for scope in scopes)
        return
    found = session.project.notes(from_, to, authors=authors)
    session.console.lines(changelog.lines(found), others=True)
    session.console.result({"releases": found})


@task(
    "graph",
    help={
        "format": "How it is printed: `tree`, which is the default, `mermaid`, or `json`, which is --json.",
        "image": "As a name of `images`, or a glob of such: that image and those that it stands on; repeatable.",
    },
)
def graph(session: Session, format: str = "", image: Sequence[str] | None = None, json: bool = False) -> None:
    """Show what releases contain and stand on.

    A tree of each release: its build image, its base images, and images from
    elsewhere that a Dockerfile names. `unpacked`: the files on disk, all
    layers, uncompressed. `unique`: those of layers that nothing below has.
    `shared`: the layers, and their unpacked bytes, that an image has in common
    with the one that it is below in the tree. In the total each layer counts
    once, however many images have it.

    --format=mermaid: a flowchart, for Markdown. What the engine does not have
    is shown without sizes.

    Examples:
      invoke release.graph
      invoke release.graph --format mermaid
    """
    from tinyship.console import graphs
    from tinyship.kept.formats import check_one
    from tinyship.stages import standing

    check_one({"--json": json, f"--format={format}": format not in {"", "json"}})
    lines = graphs.drawing(format)
    with session.selected(image).project.scopes() as scopes:
        found = standing.find(scopes, reads=not session.dry)
    session.console.lines(lines(found))
    session.console.result(graphs.data(found))


@task("schema")
def schema(session: Session) -> None:
    """Print the JSON Schema of the record.

    Of `.tinyship/release.json`, and of what `--json` of release, push and
    release.show prints.

    Examples:
      invoke release.schema > release.schema.json
    """
    from tinyship.kept import record

    session.console.lines(record.schema().splitlines())
