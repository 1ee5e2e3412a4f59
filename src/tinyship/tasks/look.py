"""Looking into images: where their bytes are, and what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import task

if TYPE_CHECKING:
    from tinyship.tasks.session import Session

_PLATFORM = "Which image, where there are several: os/architecture, like linux/arm64."
_TOP = "How many entries each part shows, 10 by itself, 0 for all; instructions are all shown."


@task(
    "explain",
    positional=("image",),
    help={
        "image": "The image: a stage, a tag, a reference, a file, a git revision; see above.",
        "platform": _PLATFORM,
        "top": _TOP,
        "estimate": "Show what each layer would take in a registry, as gzip and zstd would make it.",
        "dockerfile": "What the image was made of; known by itself for the images of this project.",
        "ask": "Ask syft for packages, and hadolint for lines of the Dockerfile, where they are installed.",
    },
)
def explain(
    session: Session,
    image: str,
    platform: str = "",
    top: int = 10,
    estimate: bool = False,
    dockerfile: str = "",
    ask: bool = True,
    json: bool = False,
) -> None:
    """Show where an image's bytes are, and what to do.

    By instruction, folder, package and file, largest first; dead bytes apart,
    each with the instruction that wrote it and the one that hid it. Sizes are
    unpacked bytes: files on disk. Advice comes from what is in the layers, with
    the bytes that it saves: `invoke size.explain release`.

    The image may be made by any tool. It is named by a stage (`base`, `build`,
    `release`); a tag of this project's image (`1.4.0`); a reference or an id in
    the engine; the path of an archive (`docker save`, OCI) or of an OCI layout,
    with `@NAME` behind it where it holds several; a git revision that was
    released; or a reference in a registry, of which nothing is stored here.
    `engine:`, `file:`, `git:` or `registry:` before it says where to look.

    Examples:
      invoke size.explain release
      invoke size.explain alpine:3.22 --top 3
      invoke size.explain file:image.tar --platform linux/arm64 --json
    """
    from tinyship import pipeline
    from tinyship.console import looks
    from tinyship.plan import Action
    from tinyship.stages import explaining
    from tinyship.stages.explaining import Explanation

    _check(top)

    def show(done: list[Explanation]) -> None:
        for one in done:
            session.console.lines(looks.explanation(one, top))
        session.console.result({"images": [looks.explanation_data(one, top) for one in done]})

    session.run(
        lambda scope: pipeline.plan(scope, "size.explain", (Action("read", image),)),
        lambda scope: explaining.explain(
            scope, image, platform=platform, estimated=estimate, dockerfile=dockerfile, asks=ask
        ),
        show,
        about=(image,),
    )


@task(
    "diff",
    positional=("before", "after"),
    help={
        "before": "The image that is compared with, named as `size.explain` takes it.",
        "after": "The image that is looked at, named so as well.",
        "platform": _PLATFORM,
        "top": _TOP,
    },
)
def diff(session: Session, before: str, after: str, platform: str = "", top: int = 10, json: bool = False) -> None:
    """Show what differs between two images.

    By instruction, folder, package and file, largest difference first. Layers
    are matched by their content, then by their instruction, never by their
    place. Sizes are unpacked bytes: files on disk. A file whose metadata alone
    differs is none. An image is named as `size.explain` takes it, so two
    releases are `invoke size.diff 1.4.0 1.5.0`, and what a stage adds is
    `invoke size.diff base release`.

    Examples:
      invoke size.diff base release
      invoke size.diff 1.4.0 release --top 0
    """
    from tinyship import pipeline
    from tinyship.console import looks
    from tinyship.plan import Action
    from tinyship.sizes.diff import Diff
    from tinyship.stages import looking

    _check(top)

    def show(done: list[Diff]) -> None:
        for one in done:
            session.console.lines(looks.diff(one, top))
        session.console.result({"diffs": [looks.diff_data(one, top) for one in done]})

    session.run(
        lambda scope: pipeline.plan(scope, "size.diff", (Action("compare", after, f"with {before}"),)),
        lambda scope: looking.compare(scope, before, after, platform=platform),
        show,
        about=(before, after),
    )


@task(
    "remote",
    positional=("image",),
    help={"image": "A reference in a registry, like registry.example.com/lacion/foo:1.4.0."},
)
def remote(session: Session, image: str, json: bool = False) -> None:
    """Show what a pull would transfer, without pulling.

    A row for each platform, from the manifests alone. `pull`: compressed bytes
    of config and layers. `unique pull`: those of the layers beyond this
    project's base image. `unpacked`: bytes of the files on disk, known where
    every layer was looked at here before. Attestations are no images, and not
    counted.

    Examples:
      invoke size.remote alpine:3.22
      invoke size.remote registry.example.com/lacion/foo:1.4.0 --json
    """
    from tinyship import pipeline
    from tinyship.console import looks
    from tinyship.plan import Action
    from tinyship.stages import looking
    from tinyship.stages.looking import Remote

    def show(done: list[tuple[Remote, ...]]) -> None:
        for one in done:
            session.console.lines(looks.remote(one))
        session.console.result({"images": [row for one in done for row in one]})

    session.run(
        lambda scope: pipeline.plan(scope, "size.remote", (Action("ask", image),)),
        lambda scope: looking.remote(scope, image),
        show,
        about=(f"registry:{image}",),
    )


@task(
    "report",
    help={
        "image": "The image, named as `size.explain` takes it; the release where it is left out.",
        "against": "Compare it with this image, named so too; with the last release where it is left out.",
        "out": "The file, relative to the project, .tinyship/size.html by itself; of several images, -1, -2 and so on.",
        "ask": "Ask syft for packages, and hadolint for lines of the Dockerfile, where they are installed.",
    },
)
def report(
    session: Session,
    image: str = "release",
    against: str = "",
    out: str = ".tinyship/size.html",
    ask: bool = True,
    json: bool = False,
) -> None:
    """Write a page of pictures of an image's bytes.

    One HTML file that needs no network: every instruction, folder and file as a
    box, drawn to scale, dead bytes hatched; the stages side by side; the
    releases so far; what differs from the last one; what would make it smaller.
    Needs plotly: `pip install 'tinyship[report]'`.

    Examples:
      invoke size.report
      invoke size.report --against 1.4.0 --out size.html
    """
    from tinyship import pipeline, state
    from tinyship.plan import Action
    from tinyship.sizes.report.page import page
    from tinyship.sizes.report.report import Report
    from tinyship.stages import reporting

    path = session.project.root / out

    def show(done: list[Report]) -> None:
        files = []
        for number, one in enumerate(done):
            file = path if len(done) == 1 else path.with_stem(f"{path.stem}-{number + 1}")
            state.replace_file(file, page(one))
            session.console.say(f"{one.title}: {file}")
            files.append({"image": one.title, "file": str(file)})
        session.console.result({"reports": files})

    session.run(
        lambda scope: pipeline.plan(scope, "size.report", (Action("write", out, f"of {image}"),)),
        lambda scope: reporting.gather(scope, image, against=against, asks=ask),
        show,
        about=(image,),
    )


def _check(top: int) -> None:
    from tinyship.errors import ConfigError

    if top < 0:
        raise ConfigError(f"`--top={top}`: it is 0 or more")
