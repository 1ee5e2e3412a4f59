"""The build image: compile in it, test in it, look around in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.tasks.spec import BUILD_HELP, JOBS_HELP, task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinyship.tasks.session import Session


@task(
    "make",
    help={
        "only_image": "Build the image, and leave out the compile.",
        **BUILD_HELP,
        **JOBS_HELP,
    },
)
def make(
    session: Session,
    only_image: bool = False,
    force: bool = False,
    explain: bool = False,
    no_cache: bool = False,
    pull: bool = False,
    image: Sequence[str] | None = None,
    jobs: int = 0,
    fail_fast: bool = False,
    json: bool = False,
) -> None:
    """Compile in a container, copy the artifacts back.

    First the base images are brought up to date and the build image is built,
    then its command is run on the source in a container of it. The source
    (`build.context`, after its ignore rules) is copied into the container, so
    this works with a remote engine too. The command is `build.command`, or the
    image's CMD; its output is shown as it comes. Each of `build.artifacts` then
    replaces the file or folder of the same path here, in one move: owned by
    you, modes kept, nothing else touched. Without artifacts only the image is
    built. The image is not built again while all that decides it is as it was,
    and the engine has it; nor is the command run again while image, source,
    settings and artifacts are those of last time.

    Examples:
      invoke build
      invoke build --only-image                # no compile
      invoke build --image api --image 'web*'  # of several images these
    """
    from tinyship import pipeline
    from tinyship.events import Notice
    from tinyship.stages.scope import Made

    chosen = session.explaining(explain).with_flags(no_cache=no_cache, pull=pull).selected(image)

    def show(done: list[Made | None]) -> None:
        session.console.result({"images": [made for made in done if made]})
        if "build" not in chosen.project.stages and not any(one.settings.build for one in chosen.project.images):
            session.console.event(Notice("this project has no build stage: a release needs its Dockerfile alone"))
        for scope_images in chosen.project.images:
            stage = scope_images.settings.build
            for artifact in stage.artifacts if stage and not only_image else ():
                session.console.say(artifact)

    chosen.make(
        lambda scope: pipeline.plan_build(scope, explain=explain, force=force),
        lambda scope: pipeline.make_build(scope, only_image=only_image, force=force),
        show,
        jobs=jobs,
        fail_fast=fail_fast,
    )


@task("test")
def run_tests(session: Session, json: bool = False) -> None:
    """Run the project's tests in the build image.

    The command of `build.test` is run in a container of it, on a copy of the
    source. The build image has to be there (`invoke build`). Nothing is copied
    back.

    Examples:
      invoke build build.test
    """
    from tinyship import pipeline
    from tinyship.plan import Action
    from tinyship.stages import build

    session.run(
        lambda scope: pipeline.plan(scope, "build.test", (Action("test in", build.reference(scope)),)),
        build.test,
        lambda done: session.console.result({"tests": [{"exit_code": finished.exit_code} for finished in done]}),
    )


@task("shell")
def shell(session: Session) -> None:
    """Open a shell in the build image.

    A copy of the source is in its working directory. The shell is
    `build.shell`, `/bin/sh` where nothing is set. The container is removed when
    the shell ends; its exit code is this task's.

    Examples:
      invoke build.shell
    """
    from invoke.exceptions import Exit

    from tinyship import pipeline
    from tinyship.plan import Action
    from tinyship.stages import build

    def show(codes: list[int]) -> None:
        if any(codes):
            raise Exit(code=next(code for code in codes if code))

    session.run(
        lambda scope: pipeline.plan(scope, "build.shell", (Action("open a shell in", build.reference(scope)),)),
        build.open_shell,
        show,
    )
