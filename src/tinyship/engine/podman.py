"""Podman's own builder, Buildah, behind ``POST /build`` of its compatible API with parameters that Docker has not.

Secrets go as files of the context, because that is the only way that this API has. Podman moves each of them out of
the context before the build begins, so that neither COPY nor a bind mount can see it, and removes it afterwards. They
stand at the end of the tar: what Podman keeps of one that breaks off is without them.

Source: podman v4.3.1, ``pkg/api/handlers/compat/images_build.go``; buildah v1.28, ``imagebuildah/stage_executor.go``.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from tinyship.engine import lacks, secret, textbuild
from tinyship.engine.connect import Engine
from tinyship.engine.frames import StreamError
from tinyship.engine.request import BuildRequest, BuildResult, CacheEntry
from tinyship.engine.textbuild import Cause, Dialect
from tinyship.errors import EngineError
from tinyship.events import Events

OLDEST = (4, 3)
"""Older ones may not know a parameter, and say nothing of it: a secret would stay in the context."""

_CACHE_IN_LISTS = (4, 4)
"""Since then the repositories of a cache are lists; older ones take one name as it stands."""

_ID = r"[0-9a-f]{11,64}"
_STEP = re.compile(r"(?:\[(?P<stage>\d+)/\d+\] )?STEP (?P<number>\d+)/(?P<total>\d+): (?P<name>.*)")
_HIT = re.compile(r"--> (Using cache|Cache pulled from remote) ")
_BOOKKEEPING = re.compile(
    rf"--> {_ID}$|--> Pushing cache |(\[\d+/\d+\] )?COMMIT( \S+)?$|{_ID}$|Successfully (built|tagged) "
    r'|time="\S+" level=error msg="\+\(UNHANDLED LOGLEVEL\)|Resolving %!q\('
)
_WARNING = re.compile(r'time="\S+" level=warning msg="(.+)"')
_WHERE = re.compile(r'(error )?building at STEP ".*?": ', re.S)
_INSIDE = re.compile(
    r'checking on sources under "[^"]*": copier: stat: |resolving mountpoints for container "[^"]*": '
    r"|creating build container: "
)
_STATUS = re.compile(r"exit status (\d+)$")
_NO_SECRET = re.compile(r"secret required but no secret with id \"?([^\s\"]+)\"? found")
_FLAG = re.compile(r"(COPY|ADD|RUN) (only supports the |--\S+ is not supported)|Unknown (instruction|flag)", re.I)
_SECRET_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_IMAGE = "docker-image://"
_HINT = "Podman cannot do it through its API: leave it out there, or set `builder` to the address of a `buildkitd`."


class PodmanBuilder:
    """Builds with what Podman builds with."""

    name = "podman"

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def build(self, request: BuildRequest, events: Events) -> BuildResult:
        """Build an image; see ``Builder.build``. Leaving in the middle ends the build in the engine.

        Raises:
            ConfigError: something is asked for that Podman lacks, or a secret cannot be read; nothing was sent.
        """
        version = self._version()
        lacks.refuse("Podman's builder", _lacking(request), hint=_HINT)
        names = {f".{secrets.token_hex(16)}": name for name in request.secrets}
        values = {file: secret.value(name, request.secrets[name]) for file, name in names.items()}
        return textbuild.build(
            self.engine, request, events, _DIALECT, _parameters(request, names, version), last=values
        )

    def _version(self) -> tuple[int, ...]:
        """The first two numbers of Podman's version.

        Raises:
            EngineError: it is too old.
        """
        said = self.engine.version
        version = tuple(int(part) for part in re.findall(r"\d+", said)[:2])
        if version < OLDEST:
            raise EngineError(
                f"Podman {said} is too old to build with", hint=f"Podman {'.'.join(map(str, OLDEST))} or newer does."
            )
        return version


def _lacking(request: BuildRequest) -> Iterator[str]:
    yield from lacks.lacking(request, has=("secrets", "contexts", "cache_to"))
    for name in request.secrets:
        if not _SECRET_ID.fullmatch(name):  # it becomes a word in a list, and a file's name in Podman's storage
            yield f"`secrets` with an id like `{name}`"
    if any(not str(context).startswith(_IMAGE) for context in request.contexts.values()):
        yield "`contexts` that are folders"
    yield from lacks.of_cache("cache_from", request.cache_from, ("ref",))
    yield from lacks.of_cache("cache_to", request.cache_to, ("ref", "mode"))
    if any(entry.attributes.get("mode", "max") != "max" for entry in request.cache_to):
        yield "`cache_to` with a mode other than max"
    for setting, entries in (("cache_from", request.cache_from), ("cache_to", request.cache_to)):
        if len(entries) > 1:
            yield f"`{setting}` with more than one entry"
        if any(":" in entry.attributes.get("ref", "").rpartition("/")[2] for entry in entries):
            yield f"`{setting}` with a tag (it makes tags of its own in a repository)"
    if request.network.startswith("container:"):
        yield "`network` of another container"


def _parameters(request: BuildRequest, secret_files: Mapping[str, str], version: tuple[int, ...]) -> dict[str, Any]:
    """The query.

    Labels go as a list: in an object's place Podman puts them in another order each time, and none is cached.
    ``identitylabel`` would put Buildah's version into the image.

    Args:
        secret_files: the id of each secret by its name in the context.
        version: Podman's.
    """
    named = [f"id={name},type=file,src={file}" for file, name in secret_files.items()]
    contexts = {
        name: {"IsImage": True, "Value": str(context).removeprefix(_IMAGE)}
        for name, context in request.contexts.items()
    }
    optional = {
        "target": request.target,
        "platform": list(request.platforms),
        "extrahosts": json.dumps(request.extra_hosts) if request.extra_hosts else "",
        "nocache": "1" if request.no_cache else "",
        "pull": "1" if request.pull else "",
        "shmsize": str(request.shm_size or ""),
        "ulimits": json.dumps(request.ulimits) if request.ulimits else "",
        "cachefrom": _repository(request.cache_from, version),
        "cacheto": _repository(request.cache_to, version),
        "secrets": json.dumps(named) if named else "",
        "additionalbuildcontexts": json.dumps(contexts) if contexts else "",
        "timestamp": "" if request.epoch is None else str(request.epoch),
        **_network(request.network),
    }
    return {
        "rm": "1",
        "forcerm": "1",
        "layers": "1",
        "identitylabel": "0",
        "t": list(request.tags),
        "dockerfile": request.context.dockerfile_name,
        "buildargs": json.dumps(dict(request.args)),
        "labels": json.dumps([f"{key}={text}" for key, text in sorted(request.labels.items())]),
        **{key: value for key, value in optional.items() if value},
    }


def _network(network: str) -> dict[str, str]:
    """Podman builds on the host's network where nothing is said, and takes a word that it does not know for nothing."""
    if network in {"", "default"}:
        return {}
    if network == "none":
        return {"networkmode": "NetworkDisabled"}
    space: dict[str, Any] = {"Name": "network", "Host": network == "host"}
    if network not in {"host", "bridge"}:
        space["Path"] = network
    return {"nsoptions": json.dumps([space])}


def _repository(entries: tuple[CacheEntry, ...], version: tuple[int, ...]) -> str:
    if not entries:
        return ""
    reference = entries[0].attributes["ref"]
    return reference if version < _CACHE_IN_LISTS else json.dumps([reference])


def _cause(error: StreamError, step: str) -> Cause:
    words = error.words.strip()
    exact = f'building at STEP "{step}": '
    if exact in words:
        words = words.partition(exact)[2]
    words = _INSIDE.sub("", _WHERE.sub("", words, count=1))
    code = _STATUS.search(words)
    return Cause(words.partition("\n")[0], int(code[1]) if code else 0)


def _hint(words: str) -> str:
    if match := _NO_SECRET.search(words):
        return f"Add it to `secrets`, like `id={match[1]},env=NAME` or `id={match[1]},src=FILE`."
    if _FLAG.search(words):
        return "Podman's builder lacks this; a newer Podman may have it, and BuildKit does."
    return ""


_DIALECT = Dialect(_STEP, _HIT, _BOOKKEEPING, _WARNING, _cause, _hint)
