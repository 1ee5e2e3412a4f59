"""The base images from elsewhere that an image of a project stands on, and the digests that they are built with.

External is what a Dockerfile of the project names in FROM, ``COPY --from`` or ``RUN --mount=from``, or what a named
context is, and what the project does not make. With a lock, each is built with the digest that stands there, whichever
builder builds: it is written behind the name in the Dockerfile that is sent. Entries of ``base`` with ``pull`` have
their digest in the settings, which is pin enough; a lock would say it a second time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from tinyship import labels, reference
from tinyship.dockerfiles import dockerfile, named
from tinyship.errors import ConfigError, ContextError
from tinyship.kept import lock
from tinyship.settings import options

if TYPE_CHECKING:
    from tinyship.context.source import Context
    from tinyship.dockerfiles.named import Place
    from tinyship.kept.lock import Lock
    from tinyship.reference import Reference
    from tinyship.settings.stages import Base, Build, Release
    from tinyship.stages.scope import Scope

DOCKERFILE, CONTEXTS, SETTINGS = "Dockerfile", "contexts", "settings"


class BaseImage(Struct, frozen=True):
    """A base image.

    Args:
        name: as it is written, without a digest.
        digest: ``sha256:...`` of an index or a manifest; empty where not known.
        pinned_by: what says the digest: ``tinyship.lock``, ``Dockerfile``, ``contexts`` (a named context), or
            ``settings`` (an entry of ``base``); empty where nothing does.
    """

    name: str
    digest: str
    pinned_by: str = ""


def external(scope: Scope) -> tuple[BaseImage, ...]:
    """All external base images of an image, each once, with what pins it. Neither engine nor registry is asked.

    Raises:
        ContextError: a Dockerfile cannot be read.
        ConfigError: the lock cannot be used.
    """
    kept = lock.read(scope.root)
    found = [base for text in _texts(scope) for base in _of_text(scope, text, kept)]
    found += [base for value in contexts(scope).values() if (base := _external(scope, value, kept, CONTEXTS))]
    found += [BaseImage(base.name, base.pull, SETTINGS) for base in scope.settings.base if base.pull]
    return tuple(dict.fromkeys(found))


def bases(scope: Scope) -> tuple[BaseImage, ...]:
    """All external base images, for the record of a release that is built.

    Those that nothing pins have the digest that the engine knows for their name, where the builder took that one: not
    where it asked the registry first, as BuildKit does with ``pull``, elsewhere, and with the containerd store.
    """
    found = external(scope)
    return tuple(base if base.digest else replace(base, digest=_in_engine(scope, base.name)) for base in found)


def unknown(scope: Scope) -> tuple[tuple[str, int, str], ...]:
    """Base images whose name is not known before they are built: the Dockerfile, the line, the name as it stands."""
    return tuple((file, place.line, place.name) for file, place in places(scope) if not place.is_known)


def places(scope: Scope) -> Iterator[tuple[str, Place]]:
    """All places of an image's Dockerfiles that name images, each with the Dockerfile's name.

    Raises:
        ContextError: a Dockerfile cannot be read.
    """
    for file, text in _files(scope):
        for place in named.places(text, _given(scope, text)):
            yield file, place


def images_of(scope: Scope, text: str) -> tuple[tuple[int, str], ...]:
    """All images that a Dockerfile names, made here or elsewhere: lines and names; a named context is what it is."""
    found = ((place.line, _meant(scope, place.name)) for place in named.places(text, _given(scope, text)))
    return tuple((line, name) for line, name in found if name)


def final_base(scope: Scope, text: str, target: str) -> str:
    """The image whose layers a stage of a Dockerfile begins with; empty where that is none, or not known."""
    name = named.final_base(text, target, _given(scope, text))
    return "" if name == named.SCRATCH else _meant(scope, name)


def text_of(scope: Scope, file: str) -> str:
    """A Dockerfile.

    Raises:
        ContextError: it cannot be read.
    """
    try:
        return (scope.root / file).read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise ContextError(
            f"the Dockerfile {scope.root / file} cannot be read: {error.strerror}", image=scope.settings.image
        ) from error


def pinned(scope: Scope, context: Context) -> Context:
    """A context whose Dockerfile names its external images with the digests of the lock; the same without a lock."""
    kept = lock.read(scope.root)
    if kept is None:
        return context
    text = context.own_text
    digests = {base.name: base.digest for base in _of_text(scope, text, kept) if base.pinned_by == lock.NAME}
    return replace(context, pinned=named.pinned(text, digests, _given(scope, text))) if digests else context


def pinned_reference(scope: Scope, name: str) -> str:
    """An image that a named context is, with its digest in the lock, where it has one there."""
    kept = lock.read(scope.root)
    base = _external(scope, name, kept) if kept else None
    return f"{base.name}@{base.digest}" if base and base.pinned_by == lock.NAME else name


def unpinned(scope: Scope, context: Context) -> tuple[str, ...]:
    """External images of a Dockerfile that nothing pins although the project has a lock."""
    kept = lock.read(scope.root)
    if kept is None:
        return ()
    return tuple(dict.fromkeys(base.name for base in _of_text(scope, context.own_text, kept) if not base.digest))


def base_of_release(scope: Scope, context: Context) -> BaseImage | None:
    """What the release image stands on in the end, for its labels; None for nothing, without a name where not known.

    It is known from files alone: Dockerfile, settings and lock. What an engine or a registry might know is not asked,
    because the same commit would then give another image once a base was pulled. So a base that nothing pins has a name
    and no digest; and an image that is made here has the name that it has here, and no digest, because its id in an
    engine is none that a registry knows.
    """
    text = context.own_text
    name = named.final_base(text, scope.settings.release.target, _given(scope, text))
    if name == named.SCRATCH:
        return None
    if not name:
        return BaseImage("", "")
    if (value := named_context(scope, name)) is not None:
        if not value.startswith(options.IMAGE):
            return None
        name = value.removeprefix(options.IMAGE)
    pulled = next((base for base in scope.settings.base if base.pull and same(base.name, name)), None)
    if pulled:
        return BaseImage(qualified(BaseImage(name, pulled.pull, SETTINGS)), pulled.pull, SETTINGS)
    if is_own(scope, name):
        return BaseImage(name, "")
    found = _external(scope, name, lock.read(scope.root))
    return replace(found, name=qualified(found)) if found else BaseImage("", "")


def labels_of_release(scope: Scope, context: Context) -> dict[str, str]:
    """OCI's labels for what the release image stands on, and ours for all external images that files pin.

    With a lock they are always the same for a commit; without one, they are those of what the Dockerfiles and the
    settings pin themselves. What is not known is labelled empty where the image stands on another: it would inherit
    that one's labels, which tell of what that one stands on.
    """
    base = base_of_release(scope, context)
    every = " ".join(sorted({f"{qualified(one)}@{one.digest}" for one in external(scope) if one.digest}))
    if base is None:
        return {labels.BASES: every} if every else {}
    return {labels.BASE_NAME: base.name, labels.BASE_DIGEST: base.digest, labels.BASES: every}


def is_own(scope: Scope, name: str) -> bool:
    """Whether an image is made by the project: a base that it makes, a build image, or any of its images."""
    settings = scope.settings
    made = {*scope.bases, *(base.name for base in settings.base if not base.pull)}
    try:
        wanted = reference.parse(name)
        repositories = {_repository(reference.parse(one)) for one in (settings.image, *scope.repositories) if one}
    except ConfigError:
        return False
    return _repository(wanted) in repositories or any(same(one, name) for one in made)


def _of_text(scope: Scope, text: str, kept: Lock | None) -> Iterator[BaseImage]:
    for place in named.places(text, _given(scope, text)):
        is_image = place.is_known and named_context(scope, place.name) is None
        if is_image and (found := _external(scope, place.name, kept)):
            yield found


def _external(scope: Scope, name: str, kept: Lock | None, where: str = DOCKERFILE) -> BaseImage | None:
    """An image that is named somewhere; None where the project makes it, pulls it by its settings, or it is none."""
    try:
        wanted = reference.parse(name)
    except ConfigError:
        return None  # the builder says what is wrong with it
    if is_own(scope, name) or any(base.pull and same(base.name, name) for base in scope.settings.base):
        return None
    if wanted.digest:
        return BaseImage(name.partition("@")[0], wanted.digest, where)
    pin = kept.pins.get(name) if kept else None
    return BaseImage(name, pin.digest, lock.NAME) if pin else BaseImage(name, "")


def _texts(scope: Scope) -> Iterator[str]:
    for _, text in _files(scope):
        yield text


def _files(scope: Scope) -> Iterator[tuple[str, str]]:
    """The Dockerfiles of an image, each once: their names and their texts."""
    settings = scope.settings
    sections: list[Base | Build | Release] = [base for base in settings.base if base.dockerfile]
    sections += [settings.build] if settings.build else []
    for file in dict.fromkeys(section.dockerfile for section in (*sections, settings.release)):
        yield file, text_of(scope, file)


def _meant(scope: Scope, name: str) -> str:
    """The image that a name in a Dockerfile means; empty where it is a folder's, or not known before the build."""
    value = named_context(scope, name)
    if value is not None:
        return value.removeprefix(options.IMAGE) if value.startswith(options.IMAGE) else ""
    return "" if "$" in name else name


def _given(scope: Scope, text: str) -> dict[str, str]:
    """The build arguments that a Dockerfile gets; git is asked only where it declares one of git's."""
    declared = dockerfile.parse(text).global_args
    if declared & labels.AUTOMATIC:
        return labels.arguments(scope.settings, scope.revision, declared)
    return {key: value for key, value in labels.pairs(scope.settings.args).items() if key in declared}


def contexts(scope: Scope) -> dict[str, str]:
    """The images that named contexts are, by the contexts' names."""
    every = dict(options.context(entry) for entry in scope.settings.contexts)
    return {name: value.removeprefix(options.IMAGE) for name, value in every.items() if value.startswith(options.IMAGE)}


def named_context(scope: Scope, name: str) -> str | None:
    """What the named context of an image's name is; None where there is none of that name."""
    every = dict(options.context(entry) for entry in scope.settings.contexts)
    return next((value for key, value in every.items() if key == name or same(key, name)), None)


def _in_engine(scope: Scope, name: str) -> str:
    settings = scope.settings
    if settings.pull or options.is_address(settings.builder) or scope.engine.containerd_store:
        return ""
    image = scope.image(name)
    wanted = _repository(reference.parse(name))
    for one in image.digests if image else ():
        repository, _, digest = one.partition("@")
        if _repository(reference.parse(repository)) == wanted:
            return digest
    return ""


def same(one: str, other: str) -> bool:
    """Whether two names are of one image: `alpine` is `docker.io/library/alpine:latest`."""
    try:
        return one == other or str(reference.parse(one)) == str(reference.parse(other))
    except ConfigError:
        return False


def _repository(wanted: Reference) -> tuple[str, str]:
    return wanted.host, wanted.repository


def qualified(base: BaseImage) -> str:
    """Its name with registry and tag, as OCI's labels have it; without the tag where a digest alone names it."""
    full = reference.parse(base.name)
    return str(full if has_tag(base) else replace(full, tag=""))


def has_tag(base: BaseImage) -> bool:
    """Whether a tag is meant, and be it ``latest`` unsaid; in a Dockerfile and a label a digest may stand alone."""
    is_said = ":" in base.name.rpartition("/")[2]
    return is_said or not base.digest or base.pinned_by in {lock.NAME, SETTINGS}
