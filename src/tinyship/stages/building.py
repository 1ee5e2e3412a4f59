"""Builds the image of a stage: its settings become a request, and the builder that they name gets it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from tinyship import credentials, labels, reference
from tinyship.context.source import Context
from tinyship.dockerfiles import dockerfile
from tinyship.engine import images
from tinyship.engine.builder import choose
from tinyship.engine.request import BuildRequest, BuildResult, CacheEntry, Output, Secret, Tls
from tinyship.errors import ConfigError
from tinyship.events import Notice, about
from tinyship.plan import Action
from tinyship.settings import options
from tinyship.settings.quantity import parse_bytes
from tinyship.stages import masking, network, pins
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tinyship.settings.stages import Base, Build, Release

_ELSEWHERE = "build with a `builder` elsewhere (`tcp://host:port`)"
_STORE = "Turn on the engine's containerd image store"
_FORMS = {
    "local": "the files of the image",
    "tar": "the files of the image, as a tar",
    "oci": "the image, as an OCI archive",
    "docker": "the image, as an archive for `docker load`",
}


def of_base(scope: Scope, base: Base) -> BuildRequest:
    """What is asked for where a base image is built.

    Raises:
        ContextError: the folder or the Dockerfile is missing or unusable.
        ConfigError: a setting cannot be what it says, on this machine.
    """
    return _request(scope, "base", base, base.name, platforms=base.platforms, cache_to=base.cache_to)


def of_build(scope: Scope, build: Build) -> BuildRequest:
    """What is asked for as the build image; raises as ``of_base``."""
    reference = f"{scope.settings.image}:{build.tag}"
    return _request(scope, "build", build, reference, cache_to=build.cache_to, outputs=build.outputs)


def of_release(scope: Scope, reference: str) -> BuildRequest:
    """What is asked for as the release image; raises as ``of_base``.

    All dates in it are that of the commit, so that the same commit gives the same image. Base and build images have
    their own dates: with the commit's they would be other images after every commit, and all that stands on them.
    """
    settings, date = scope.settings, scope.revision.date
    context = scope.context("release", settings.release.context, settings.release.dockerfile)
    return _request(
        scope,
        "release",
        settings.release,
        reference,
        facts=labels.oci(settings, scope.revision, more=pins.labels_of_release(scope, context)),
        platforms=settings.platforms,
        cache_to=settings.cache_to,
        outputs=settings.release.outputs,
        attests=settings.attests,
        epoch=int(date.timestamp()) if date else None,
    )


def build(scope: Scope, request: BuildRequest) -> BuildResult:
    """Have the settings' builder build it into the engine; see ``engine.builder.Builder.build``.

    Raises:
        ConfigError: a named context that the Dockerfile speaks of is not there, which an earlier stage might have made.
    """
    text = request.context.dockerfile.read_text(errors="surrogateescape")
    for name, source in request.contexts.items():
        if name in text:
            _check_context(scope, source)
    for base in pins.unpinned(scope, request.context):
        scope.events(Notice(f"{base} is not in tinyship.lock: `invoke base.update` pins it", "warning"))
    builder = choose(scope.engine, scope.settings.builder, _tls(scope))
    request = replace(request, args={**network.environment(scope), **request.args})
    with masking.masking(masking.hidden(scope), about(request.tags[0], scope.events)) as events:
        return builder.build(request, events)


def check(scope: Scope, request: BuildRequest, where: str) -> None:
    """Raise ConfigError for what cannot be had here; the engine is asked only where something depends on it.

    Args:
        where: the section that the request is of: ``release``, ``build``, ``base[0]``.
    """
    _tls(scope)
    for key, what, way in _beyond_graph_drivers(scope, request):
        if not scope.engine.containerd_store:
            raise ConfigError(f"{_place(scope, where, key)}: this engine's image store cannot hold {what}", hint=way)


def actions(outputs: Sequence[str], cache_to: Sequence[str]) -> tuple[Action, ...]:
    """What a build makes beside its image, for a plan."""
    return (
        *(_output_action(options.output(entry)) for entry in outputs),
        *(_cache_action(options.cache_to(entry)) for entry in cache_to),
    )


def described(section: Base | Build | Release, platforms: Sequence[str] = (), attests: Sequence[str] = ()) -> str:
    """What an image is built from, for which platforms, and what attests it, in words."""
    target = f", target {section.target}" if section.target else ""
    wanted = f", for {' and '.join(platforms)}" if platforms else ""
    attested = f", attested by {' and '.join(options.attest(entry)[0] for entry in attests)}" if attests else ""
    return f"from {section.dockerfile}, context {section.context}{target}{wanted}{attested}"


def _request(
    scope: Scope,
    stage: str,
    section: Base | Build | Release,
    reference: str,
    *,
    facts: Mapping[str, str] | None = None,
    platforms: tuple[str, ...] = (),
    cache_to: tuple[str, ...] = (),
    outputs: tuple[str, ...] = (),
    attests: tuple[str, ...] = (),
    epoch: int | None = None,
) -> BuildRequest:
    settings = scope.settings
    context = pins.pinned(scope, scope.context(stage, section.context, section.dockerfile))
    text = context.dockerfile.read_text(errors="surrogateescape")
    return BuildRequest(
        context=context,
        tags=(reference,),
        target=section.target,
        args=labels.arguments(settings, scope.revision, dockerfile.parse(text).args),
        labels={**(facts or {}), **labels.own(settings, stage, owner=scope.owners.get(reference, ""))},
        network=settings.network,
        extra_hosts=settings.extra_hosts,
        no_cache=settings.no_cache,
        no_cache_filter=settings.no_cache_filter,
        pull=settings.pull and not stands_on_our_own(scope, context, text),
        platforms=platforms,
        shm_size=parse_bytes(settings.shm_size) if settings.shm_size else 0,
        ulimits=settings.ulimits,
        epoch=epoch,
        credentials=credentials.find,
        secrets={**_ca(scope, text), **secrets(scope)},
        ssh=dict(_agent(scope, entry) for entry in settings.ssh) if "type=ssh" in text else {},
        contexts=dict(_named_context(scope, *options.context(entry)) for entry in settings.contexts),
        cache_from=tuple(_cache(scope, options.cache_from(entry)) for entry in settings.cache_from),
        cache_to=tuple(_cache(scope, options.cache_to(entry)) for entry in cache_to),
        attests=dict(options.attest(entry) for entry in attests),
        outputs=tuple(_output(scope, stage, options.output(entry)) for entry in outputs),
        state=scope.root,
    )


def stands_on_our_own(scope: Scope, context: Context, text: str) -> bool:
    """Whether a Dockerfile stands on an image that is made here, which no registry must be asked for."""
    settings = scope.settings
    made = {base.name for base in settings.base if not base.pull}
    made |= {f"{settings.image}:{settings.build.tag}"} if settings.build else set()
    named = dict(options.context(entry) for entry in settings.contexts)
    local = {name for name, value in named.items() if value.startswith(options.IMAGE) and value.endswith(":local")}
    full = {reference.tagged(name) for name in made}
    return any(base in local or reference.tagged(base) in full for base in dockerfile.parse(text).bases)


def _ca(scope: Scope, text: str) -> dict[str, Secret]:
    """The certificates of the setting ``ca``, for a Dockerfile that mounts them."""
    file = scope.ca if "type=secret" in text else None
    return {network.CA: Secret(file=file)} if file else {}


def secrets(scope: Scope) -> dict[str, Secret]:
    """Where the values of the setting ``secrets`` are, by their ids."""
    return dict(_secret(scope, options.secret(entry)) for entry in scope.settings.secrets)


def _secret(scope: Scope, option: options.SecretOption) -> tuple[str, Secret]:
    """With the id alone it is the variable of that name where there is one, else the file."""
    env = option.env or (option.id if not option.file and option.id in os.environ else "")
    return option.id, Secret(env=env) if env else Secret(file=_path(scope, option.file or option.id))


def _agent(scope: Scope, entry: str) -> tuple[str, Path]:
    """The socket of an agent; asked for only where the Dockerfile mounts one."""
    name, text = options.ssh(entry)
    place = _place(scope, "", "ssh")
    path = text or os.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        raise ConfigError(
            f"{place}: `{entry}` is the agent of SSH_AUTH_SOCK, which is not set",
            hint="`eval $(ssh-agent)` starts one, and `ssh-add` gives it your key.",
        )
    socket = _path(scope, path)
    try:
        mode = socket.stat().st_mode
    except OSError as error:
        raise ConfigError(f"{place}: there is no agent at {socket}: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise ConfigError(
            f"{place}: {socket} is no agent's socket",
            hint=f"Give a private key to an agent, `ssh-add {socket}`, and let `ssh` be `[{name}]`.",
        )
    return name, socket


def _tls(scope: Scope) -> Tls | None:
    """The certificates for a builder elsewhere; None where the settings have none.

    Raises:
        ConfigError: one of them is not there.
    """
    settings = scope.settings.builder_tls
    if not settings:
        return None
    found: dict[str, Path | None] = {}
    for key in ("ca", "cert", "key"):
        text = getattr(settings, key)
        found[key] = _path(scope, text) if text else None
        if (path := found[key]) and not path.is_file():
            raise ConfigError(f"{_place(scope, 'builder_tls', key)}: there is no file {path}")
    return Tls(found["ca"], found["cert"], found["key"], settings.server_name)


def _named_context(scope: Scope, name: str, value: str) -> tuple[str, Path | str]:
    if not value.startswith(options.IMAGE):
        return name, _path(scope, value)
    return name, f"{options.IMAGE}{pins.pinned_reference(scope, value.removeprefix(options.IMAGE))}"


def _check_context(scope: Scope, source: Path | str) -> None:
    place = _place(scope, "", "contexts")
    if isinstance(source, Path):
        if not source.is_dir():
            raise ConfigError(f"{place}: there is no folder {source}")
        return
    reference = source.removeprefix(options.IMAGE)
    is_ours = reference.endswith(":local") and not options.is_address(scope.settings.builder)
    if is_ours and not images.find(scope.engine, reference):
        raise ConfigError(f"{place}: there is no {reference} in the engine", hint="`invoke release` of it comes first.")


def _cache(scope: Scope, option: options.CacheOption) -> CacheEntry:
    absolute = {key: str(_path(scope, option.attributes[key])) for key in ("src", "dest") if key in option.attributes}
    return CacheEntry(option.kind, {**option.attributes, **absolute})


def _output(scope: Scope, stage: str, option: options.OutputOption) -> Output:
    if option.kind == "image":
        return Output("image", option.attributes)
    dest = scope.root / option.dest
    if not dest.resolve().is_relative_to(scope.root.resolve()):
        raise ConfigError(f"{_place(scope, stage, 'outputs')}: `{option.dest}` leads out of the project by a link")
    return Output(option.kind, option.attributes, dest)


def _path(scope: Scope, text: str) -> Path:
    """A path as a shell in the project's folder would take it."""
    return scope.root / os.path.expandvars(os.path.expanduser(text))  # noqa: PTH111  leaves unknown users as they are


def _beyond_graph_drivers(scope: Scope, request: BuildRequest) -> Iterator[tuple[str, str, str]]:
    """What only the containerd image store can hold: the key that asks for it, what it is, and the way out."""
    if options.is_address(scope.settings.builder):
        return
    if len(request.platforms) > 1:
        yield "platforms", f"{' and '.join(request.platforms)} in one image", f"{_STORE}, or name one platform."
    if kinds := [entry.kind for entry in request.cache_to if entry.kind != "inline"]:
        yield "cache_to", f"what `type={kinds[0]}` puts elsewhere", f"{_STORE}, {_ELSEWHERE}, or take `type=inline`."
    if request.attests:
        yield "attests", f"the attestation `{next(iter(request.attests))}`", f"{_STORE}, or {_ELSEWHERE}."
    if kinds := [output.kind for output in request.outputs if output.kind in {"oci", "docker", "image"}]:
        yield "outputs", f"what `type={kinds[0]}` is made of", f"{_STORE}, {_ELSEWHERE}, or take `type=local` or `tar`."


def _place(scope: Scope, where: str, key: str) -> str:
    """Where a setting stands and what it is called, as all errors of settings begin."""
    is_ours = where in {"build", "builder_tls"} or where.startswith("base") or key == "outputs"
    dotted = f"{where}.{key}" if is_ours else key
    source = scope.origins.get(dotted) or scope.origins.get(re.split(r"[.\[]", dotted)[0], "the config")
    return f"{source}: `tinyship.{dotted}`"


def _output_action(option: options.OutputOption) -> Action:
    if option.kind == "image":
        pushed = option.attributes.get("push") == "true"
        name = option.attributes["name"]
        return Action("push", name, "from the builder") if pushed else Action("keep", name, "in the builder")
    return Action("write", option.dest, _FORMS[option.kind])


def _cache_action(option: options.CacheOption) -> Action:
    if option.kind == "inline":
        return Action("put", "the image", "the cache")
    place = option.attributes.get("ref") or option.attributes.get("dest", "")
    return Action("put", place, f"the cache, mode {option.attributes.get('mode', 'min')}")
