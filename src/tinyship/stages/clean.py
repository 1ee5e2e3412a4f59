"""Cleaning up: what was judged to go goes, as long as it is still what was judged, and no release wants its turn."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

from tinyship.cleaning import retention
from tinyship.cleaning.retention import Cleaned, Facts, Verdict
from tinyship.engine import containers, inventory, removal
from tinyship.engine.connect import Engine
from tinyship.engine.inventory import Container
from tinyship.errors import Refused, TinyshipError
from tinyship.kept import turns
from tinyship.plan import Action
from tinyship.running import cancelling, parallel
from tinyship.stages import judging, tally
from tinyship.stages.judging import Judgement, What
from tinyship.stages.scope import Scope
from tinyship.stages.tally import Tally

_THREADS = 4

Ask = Callable[[], None]


def actions(verdicts: Iterable[Verdict]) -> tuple[Action, ...]:
    """What would be removed, for a plan."""
    return tuple(
        Action("remove", name, verdict.kind)
        for verdict in verdicts
        if not verdict.stays
        for name in (verdict.name, *verdict.also)
    )


def clean(
    scopes: Sequence[Scope], what: What, *, yes: bool = False, show: Callable[[Judgement], None] = lambda _: None
) -> Cleaned:
    """Judge all that is of the images of a project, and remove what goes.

    Args:
        scopes: the images, all of one project.
        what: ``work`` for artifacts, containers and images without a name; ``old_releases``; ``everything``.
        yes: even where that is more than ``clean.ask_above`` of all its images.
        show: gets the judgement before anything is removed.

    Returns:
        what was done; ``.tinyship/clean.json`` has it, too.

    Raises:
        Refused: it would be too much, or a release goes first; nothing was removed.
        CleanStopped: it ended before its end, and has what was done until then.
    """
    root = scopes[0].root
    with turns.cleaning(root) as ask:
        judgement = judging.judge(scopes, what)
        show(judgement)
        if not yes:
            refuse_much(judgement.verdicts, min(scope.settings.clean.ask_above for scope in scopes))
        stayed = [verdict for verdict in judgement.verdicts if verdict.stays]
        with tally.reported(root, judgement.task, stayed) as done:
            _carry_out(scopes, judgement, done, ask)
    return done.cleaned()


def refuse_much(verdicts: Sequence[Verdict], above: float) -> None:
    """Raise Refused where more goes than a share of everything.

    Args:
        verdicts: of everything.
        above: the setting ``clean.ask_above``.
    """
    said = much(verdicts, above)
    if said:
        raise Refused(f"{said}; nothing was removed", hint="If that is right, run it again with `--yes`.")


def much(verdicts: Sequence[Verdict], above: float) -> str:
    """What is to be said where more goes than a share of everything; empty where it does not."""
    found = retention.asks(verdicts, above)
    if not found:
        return ""
    going, every = found
    return f"{going} of {every} images would go, which is more than {above:.0%} (`clean.ask_above`)"


def _carry_out(scopes: Sequence[Scope], judgement: Judgement, done: Tally, ask: Ask) -> None:
    engine = scopes[0].engine
    freed = 0
    touched = halfway = False

    def artifact(one: judging.Artifact) -> None:
        nonlocal freed, halfway
        ask()
        halfway = True
        freed += _remove_artifact(one, done)
        halfway = False

    def container(one: Container) -> None:
        ask()
        with cancelling.shielded():  # what is begun comes to its end, and is told of
            if containers.remove(engine, one.id):
                done.gone("container", one.name)

    try:
        parallel.each(artifact, [one for one in judgement.artifacts if not one.verdict.stays], threads=1)
        ended = [one for one, verdict in judgement.containers if not verdict.stays]
        touched = bool(ended)
        parallel.each(container, ended, threads=_THREADS)
        for wave in judgement.waves():
            touched = True
            parallel.each(partial(_remove_image, engine, done, ask), wave, threads=_THREADS)
        if judgement.task == judging.TASKS["everything"] and engine.is_podman:
            _sweep(scopes, done, ask)
    finally:
        # Other work in the engine may have added more meanwhile than went: less than nothing is never freed.
        with suppress(TinyshipError):
            freed += max(0, judgement.before - inventory.usage(engine).total) if touched else 0
            done.freed = None if halfway else freed  # nobody knows what of a folder is gone, where it was broken off


def _sweep(scopes: Sequence[Scope], done: Tally, ask: Ask) -> None:
    """Remove the steps of Podman's builds: images without a name, which are listed once nothing stands on them."""
    before: frozenset[str] = frozenset()
    while True:
        waves = tuple(judging.judge(scopes, "work").waves())
        there = frozenset(image.id for wave in waves for image in wave)
        if not there - before:
            return
        before |= there
        for wave in waves:
            parallel.each(partial(_remove_image, scopes[0].engine, done, ask), wave, threads=_THREADS)


def _remove_artifact(artifact: judging.Artifact, done: Tally) -> int:
    path = artifact.path
    try:
        size = judging.weigh(path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return 0
    except OSError as error:
        done.refused("artifact", artifact.verdict.name, error.strerror or str(error))
        return 0
    done.gone("artifact", artifact.verdict.name)
    return size


def _remove_image(engine: Engine, done: Tally, ask: Ask, image: Facts) -> None:
    ask()
    name = retention.name_of(image)
    with cancelling.shielded():  # as for a container, with all names of the image
        why = removal.remove(engine, image.id, image.names, partial(_tell, done, image))
    if why:
        done.refused("image", name, why)


def _tell(done: Tally, image: Facts, name: str, gone: bool) -> None:
    shown = retention.short(name) if name == image.id else name
    (done.gone if gone else done.back)("image", shown)
