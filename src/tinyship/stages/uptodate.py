"""Whether something has to be made at all, why, and what is kept once it is made.

What decides it is looked at before and after: where something moved meanwhile, nobody knows what the image was made of,
and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from tinyship import reference
from tinyship.context.fingerprint import Changes, Fingerprint
from tinyship.context.names import shown
from tinyship.engine import images
from tinyship.errors import TinyshipError
from tinyship.events import Reason
from tinyship.kept import memory
from tinyship.kept.memory import Made
from tinyship.settings.quantity import parse_duration
from tinyship.stages import building, given
from tinyship.stages.given import Given, Unknown
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.engine.images import Image
    from tinyship.engine.request import BuildRequest

FIRST = "it is made here for the first time"
ABSENT = "no image in this engine"
FORCED = "`--force` asks for it"
_AGAIN = "made again, all steps from the builder's cache"
_SHOWN = 3
_BECAME = {
    "new": "`{}` is new",
    "gone": "`{}` is gone",
    "content": "`{}` changed",
    "mode": "the mode of `{}` changed",
    "link": "`{}` links elsewhere",
    "kind": "`{}` is of another kind",
    "rules": "what is ignored changed",
}


Work: TypeAlias = Callable[["Given | None", bool], "Done"]


class Done(Struct, frozen=True):
    """What came of it.

    Args:
        image_id: the engine's id of the image.
        word: what was done, in a word or two.
        is_certain: this is the image that was made, and not one that took its name meanwhile.
        afresh: it was made without any cache.
    """

    image_id: str
    word: str
    is_certain: bool = True
    afresh: bool = True


def build(scope: Scope, stage: str, ask: Callable[[], BuildRequest], *, force: bool = False) -> Done:
    """Build an image, where something that decides it is not what it was, or the engine has not got it any more.

    Args:
        stage: that it is the image of.
        ask: makes the request, of files and settings as they are when it is called.
        force: build anyway.

    Raises:
        TinyshipError: see ``building.build``; then nothing is kept.
    """
    request = ask()

    def look(again: bool) -> Given:
        nonlocal request
        request = ask() if again else request
        return given.of_request(scope, request, again=again)

    def work(of: Given | None, afresh: bool) -> Done:
        what = replace(request, no_cache=True, pull=request.pull or _pulls(scope, request, of)) if afresh else request
        result = building.build(scope, what)
        word = (_AGAIN if force else "up to date") if result.cached else "built"
        return Done(result.image_id, word, is_certain=result.is_certain, afresh=what.no_cache)

    return make(scope, stage, request.tags[0], look, work, asked=_asked(request, force=force))


def foresee_build(
    scope: Scope, stage: str, request: BuildRequest, *, force: bool = False, more: Sequence[str] = ()
) -> bool:
    """Say why ``build`` would build an image, or why not, and return whether it would; nothing is built or changed.

    Args:
        more: reasons beside those that are found here.
    """
    asked = _asked(request, force=force)
    return foresee(scope, stage, request.tags[0], lambda _: given.of_request(scope, request), asked=asked, more=more)


def make(
    scope: Scope,
    stage: str,
    name: str,
    look: Callable[[bool], Given],
    work: Work,
    *,
    asked: Sequence[str] = (),
) -> Done:
    """Make an image, unless it was made of the same before and the engine still has it.

    Args:
        name: of the image.
        look: says what it is made of; anew where it is called with True.
        work: makes it; gets what it is made of, as far as that is known, and whether no cache may be used.
        asked: why it is made whatever it is made of.

    Raises:
        TinyshipError: that of ``work``; then nothing is kept.
    """
    last, before, reasons, afresh = _looked(scope, name, look, asked)
    if not reasons and last:
        if image := present(scope, name, last.image):
            say(scope, stage, name, f"nothing changed since it was made, {last.at}", works=False)
            memory.of_use(scope.root, scope.engine.address, name)
            return Done(image.id, "up to date")
        reasons.append(ABSENT)
    say(scope, stage, name, *reasons, works=True)
    if scope.works(stage):
        before = _anew(look)
    try:
        done = work(before, afresh)
    finally:
        scope.forget()
    if before and done.is_certain:
        with suppress(TinyshipError):  # what is not kept costs no more than work
            after = look(True)
            if (after.parts, after.moment) == (before.parts, before.moment):
                keep(scope, name, done.image_id, after, None if done.afresh else last)
    return done


def foresee(
    scope: Scope,
    stage: str,
    name: str,
    look: Callable[[bool], Given],
    *,
    asked: Sequence[str] = (),
    more: Sequence[str] = (),
) -> bool:
    """Say why ``make`` would make an image, or why not, and return whether it would; nothing is changed.

    What would be made before it is in ``Together.planned``. Arguments are those of ``make``, and ``more`` reasons.
    """
    last, now, reasons, _ = _looked(scope, name, look, asked)
    bases = now.parts.get(given.BASES, {}) if now else {}
    planned = scope.together.planned
    before = [f"{base} is made before it" for base in bases if reference.tagged(reference.familiar(base)) in planned]
    reasons += [*before, *more] if last else []
    if not reasons and last and not (scope.image(name) or scope.image(last.image)):
        reasons.append(ABSENT)
    return say_why(scope, stage, name, reasons, last)


def say_why(scope: Scope, stage: str, name: str, reasons: Sequence[str], last: Made | None) -> bool:
    """Say why there is work, or since when there is none; returns whether there is.

    Args:
        reasons: for work; empty where there is none.
        last: what is kept of what was made before.
    """
    works = bool(reasons) or last is None
    since = (f"nothing changed since it was made, {last.at}",) if last else (FIRST,)
    say(scope, stage, name, *(reasons or since), works=works)
    return works


def _looked(
    scope: Scope, name: str, look: Callable[[bool], Given], asked: Sequence[str]
) -> tuple[Made | None, Given | None, list[str], bool]:
    """What was made before, what it would be made of now, why it has to be, and whether without any cache."""
    last = memory.find(scope.root, scope.engine.address, name)
    try:
        now: Given | None = look(False)
        reasons = [*asked, *changes(scope, name, last, now)] if now else [*asked]
    except Unknown as error:
        now, reasons = None, [*asked, error.message]
    age = scope.settings.max_age
    afresh = bool(last and age and memory.seconds_since(last.afresh) > parse_duration(age))
    if afresh:
        reasons.insert(0, f"it is older than {age}")
    return last, now, reasons, afresh


def _anew(look: Callable[[bool], Given]) -> Given | None:
    """What something is made of now; None where that is not known."""
    try:
        return look(True)
    except Unknown:
        return None


def present(scope: Scope, name: str, image_id: str) -> Image | None:
    """An image that the engine still has, under its name, which is put back where it is gone; None where it has not."""
    found = scope.image(name)
    if found and found.id == image_id:
        return found
    found = scope.image(image_id)
    if found:
        images.tag(scope.engine, image_id, name)
        scope.forget()
    return found


def keep(scope: Scope, name: str, image_id: str, of: Given, last: Made | None) -> None:
    """Keep what something was made of; a failure costs no more than work.

    Args:
        name: of what was made; see ``memory``.
        image_id: of the image that it is, or was made in.
        of: what decided it.
        last: what was kept of it before; None where it was made afresh.
    """
    now = memory.now()
    made = Made(image_id, of.parts, now, last.afresh if last else now)
    with suppress(TinyshipError):
        memory.keep(scope.root, scope.engine.address, name, made, of.files)


def say(scope: Scope, stage: str, name: str, *reasons: str, works: bool) -> None:
    """Say why something is made, or why it need not be."""
    for reason in reasons:
        scope.events(Reason(stage, name, reason, works))


def changes(scope: Scope, name: str, last: Made | None, now: Given) -> list[str]:
    """Why something is not what it was, in words; empty where it is."""
    if last is None:
        return [FIRST]
    if last.given == now.parts:
        return []
    said = [line for kind in _words(last.given, now.parts) for line in kind]
    if last.given.get(given.FILES) != now.parts.get(given.FILES):
        said = [*_files(memory.files(scope.root, scope.engine.address, name), now.files), *said]
    return said or ["what decides it is looked at in another way now"]


def _pulls(scope: Scope, request: BuildRequest, of: Given | None) -> bool:
    """Whether a build afresh is to ask registries for its base images: where all of them are from there.

    With the containerd store all images have digests, so that nobody knows which of them are.
    """
    ours = building.stands_on_our_own(scope, request.context, request.context.text)
    return bool(of and of.from_registries and not ours and not scope.engine.containerd_store)


def _asked(request: BuildRequest, *, force: bool) -> tuple[str, ...]:
    """Why a build has work whatever its image is."""
    return ((FORCED,) if force else ()) + tuple(_always(request))


def _always(request: BuildRequest) -> Iterator[str]:
    if request.no_cache or request.no_cache_filter:
        yield "`no_cache` asks for it"
    if request.pull:
        yield "`pull` asks the registries"
    if request.outputs:
        yield "`outputs` are made by every build"
    if any(entry.kind != "inline" for entry in request.cache_to):
        yield "`cache_to` is filled by every build"


def _words(last: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> Iterator[list[str]]:
    """What became of each kind of part, but for files."""
    bases = list(_moves(last.get(given.BASES, {}), now.get(given.BASES, {})))
    yield bases
    for kind in sorted(last.keys() | now.keys()):
        before, after = last.get(kind, {}), now.get(kind, {})
        if before == after or kind in {given.FILES, given.BASES}:
            continue
        names = _changed(before, after)
        if kind == given.DOCKERFILE:
            yield ["the Dockerfile changed"] if names != ["sent"] or not bases else []
        elif kind == given.CONTEXTS:
            yield [f"the context `{name}` changed" for name in names]
        elif kind == given.IMAGE:
            yield ["the build image is another one"]
        elif kind == "artifacts":
            yield [f"`{name}` is not what was made" for name in names]
        elif kind == "rootfs":
            yield [f"`{name}` changed" for name in names]
        else:
            yield [f"`{kind}` changed: {', '.join(names)}"]


def _changed(last: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names that differ, in order."""
    return [name for name in sorted(last.keys() | now.keys()) if last.get(name) != now.get(name)]


def _moves(last: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in _changed(last, now):
        if name in last and name in now:
            yield f"{name} moved from {_short(last[name])} to {_short(now[name])}"
        else:
            yield f"it {'stands' if name in now else 'no longer stands'} on {name}"


def _short(digest: str) -> str:
    return digest[: len("sha256:") + 7] if digest else "none in this engine"


def _files(last: Fingerprint | None, now: Fingerprint | None) -> Iterator[str]:
    """What became of files; ``last`` may be from before what was kept of them, and have no changes to tell."""
    found = now.changes(last, most=_SHOWN) if now and last else Changes((), 0)
    for change in found.first:
        yield _BECAME[change.kind].format(shown(change.path))
    if found.count > _SHOWN:
        yield f"{found.count - _SHOWN} more changed"
    if not found.count:
        yield "files of the context changed"
