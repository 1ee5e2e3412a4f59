"""Builds an image with BuildKit: one Solve for each thing that comes out, its Status, and a session that serves them.

Source: buildkit, ``api/services/control`` (Control.Solve, Control.Status).
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tinyship.context.ignore import Matcher
from tinyship.context.scout import Scout
from tinyship.credentials import Credential
from tinyship.engine import images
from tinyship.engine.buildkit import content, export, filesync, frontend, session, ssh
from tinyship.engine.buildkit import door as doors
from tinyship.engine.buildkit.channel import Channel, Handler, RpcError, Stream
from tinyship.engine.buildkit.door import Door
from tinyship.engine.buildkit.export import Taker
from tinyship.engine.buildkit.progress import Progress
from tinyship.engine.buildkit.told import Told
from tinyship.engine.connect import Engine
from tinyship.engine.request import BuildRequest, BuildResult, CacheEntry, Output
from tinyship.errors import ConfigError, EngineError, TinyshipError
from tinyship.events import Events, Notice
from tinyship.running import cancelling

_SOLVE = "/moby.buildkit.v1.Control/Solve"
_STATUS = "/moby.buildkit.v1.Control/Status"
_LAST_WORDS = 2.0
_PAUSES = (0.1, 0.2, 0.4, 0.8)
"""Seconds before an image is named again, where another build was quicker."""
_SAYS_ID = ("containerimage.digest", "containerimage.config.digest")
"""The id of an image is the first in containerd's store, and the second in a graph driver's."""
_SINCE = {"contexts": (1, 42), "ulimits": (1, 42), "shm_size": (1, 42), "attests": (1, 43)}
"""What older engines' BuildKit would ignore in silence, and the API that has it."""


class BuildKitBuilder:
    """Builds with the BuildKit that engines since 20.10 have inside, or with one elsewhere.

    Args:
        engine: where the image goes.
        door: the way to BuildKit; the engine's own where None.
        elsewhere: BuildKit is not the engine's: the image comes back as an archive, and is loaded.
    """

    name = "buildkit"

    def __init__(self, engine: Engine, door: Door | None = None, *, elsewhere: bool = False) -> None:
        self.engine = engine
        self.door = door or doors.of_engine(engine)
        self.elsewhere = elsewhere

    def build(self, request: BuildRequest, events: Events) -> BuildResult:
        """Build an image; see ``Builder.build``. Leaving in the middle ends the build."""
        self._refuse_unknown(request)
        build = _Build(request, events)
        control = self.door.control()
        try:
            with cancelling.cutting(control.close), frontend.folders(request) as folders:
                told = Told(request.state, request.context.root, folders) if request.state else None
                handlers = build.handlers(folders, told)
                with session.opened(self.door, control, handlers, shared_key=_shared_key(request, told)) as number:
                    responses = tuple(
                        self._solve(control, build, number, part) for part in self._parts(request, events)
                    )
        except RpcError as error:
            raise build.failure(error) from error
        finally:
            control.close()
            build.scout.stop()
            build.progress.close()
        build.end(responses[0])
        image_id, is_certain = self._found(request.tags[0], responses[0])
        return BuildResult(image_id, build.progress.cached, responses, is_certain)

    def _found(self, name: str, response: Mapping[str, str]) -> tuple[str, bool]:
        """The id of the image that was built, and whether BuildKit says that it is this one.

        The name alone does not say it: another build may have given it to another image meanwhile.
        """
        said = [response[key] for key in _SAYS_ID if key in response]
        found = images.find(self.engine, name)
        if found and found.id in said:
            return found.id, True
        for one in said:
            if image := images.find(self.engine, one):
                return image.id, True
        if not found:
            raise EngineError(f"BuildKit built {name}, but the engine does not have it")
        return found.id, False

    def _parts(self, request: BuildRequest, events: Events) -> Iterator[_Part]:
        """What comes out, the image in the engine first; what is made for that is cached for the others."""
        names = {"name": ",".join(request.tags)}
        if self.elsewhere:
            yield _Part("docker", names, lambda pieces: images.load(self.engine, pieces, events=events), first=True)
        else:
            yield _Part("moby", names, first=True)
        for output in request.outputs:
            yield _part(output)

    def _solve(self, control: Channel, build: _Build, session_id: str, part: _Part) -> Mapping[str, str]:
        """Have one thing made, and named as often as other builds give the name at the same moment.

        Returns:
            what BuildKit says of it.
        """
        for pause in _PAUSES:
            try:
                return self._try(control, build, session_id, part)
            except RpcError as error:
                from tinyship.engine.buildkit import failure

                if not failure.was_outrun(error.message):
                    raise
                build.events(Notice("another build gave the image's name at this moment; giving it again"))
            part = replace(part, again=True)
            cancelling.sleep(pause)
        return self._try(control, build, session_id, part)

    def _try(self, control: Channel, build: _Build, session_id: str, part: _Part) -> Mapping[str, str]:
        from tinyship.engine.buildkit.proto.control_pb2 import SolveResponse, StatusRequest

        build.part = part
        solve = build.message(session_id, part)
        solving = control.call(_SOLVE, solve.SerializeToString())
        status = control.call(_STATUS, StatusRequest(Ref=solve.Ref).SerializeToString())
        reader = threading.Thread(target=_follow, args=(status, build.progress), daemon=True, name="tinyship-status")
        reader.start()
        if part.first and not part.again:
            build.scout.start()
        # The last words of a step come with the status, which ends soon after the solve does; who is interrupted does
        # not wait for them, because the build ends with the connections.
        try:
            answers = list(solving)
        except RpcError:
            reader.join(timeout=_LAST_WORDS)
            raise
        reader.join(timeout=_LAST_WORDS)
        return dict(SolveResponse.FromString(answers[0]).ExporterResponse) if answers else {}

    def _refuse_unknown(self, request: BuildRequest) -> None:
        """Refuse what would be dropped in silence, or can only fail.

        Raises:
            ConfigError: names the setting.
        """
        if self.elsewhere:
            if len(request.platforms) > 1:
                raise ConfigError(
                    "an image for several `platforms` cannot come back from a buildkitd elsewhere",
                    hint='Build for one, or push from there: `outputs: ["type=registry,name=..."]` and one platform.',
                )
            return
        speaks = tuple(int(part) for part in self.engine.api_version.split(".") if part.isdigit())
        for name, since in _SINCE.items():
            if getattr(request, name) and speaks < since:
                raise ConfigError(
                    f"the BuildKit of this engine does not know `{name}`: it speaks API {self.engine.api_version}",
                    hint=f"Engines that speak API {since[0]}.{since[1]} or newer do.",
                )


@dataclass(frozen=True, slots=True)
class _Part:
    """One thing that comes out of a build.

    Args:
        kind: of BuildKit's exporter.
        attributes: of the exporter.
        take: gets what the exporter hands out; None where it hands out nothing.
        first: it is the one that the cache is exported with, and ``no_cache`` holds for.
        again: it was made, and is cached, but could not be named.
    """

    kind: str
    attributes: Mapping[str, str]
    take: Taker | None = None
    first: bool = False
    again: bool = False


def _part(output: Output) -> _Part:
    attributes = dict(output.attributes)
    if output.dest is None:
        return _Part(output.kind, attributes)
    if output.kind == "local":  # as a tar: no file is asked for one by one, and one way to unpack serves all
        return _Part("tar", attributes, export.to_folder(output.dest))
    return _Part(output.kind, attributes, export.to_file(output.dest))


@dataclass(slots=True)
class _Build:
    """One build while it runs: what it was asked for, what it asked us for, and what went wrong here."""

    request: BuildRequest
    events: Events
    part: _Part | None = None
    failures: list[TinyshipError] = field(default_factory=list)
    unknown: dict[str, list[str]] = field(default_factory=lambda: {"secrets": [], "ssh": []})
    progress: Progress = field(init=False)
    scout: Scout = field(init=False)
    imports: list[CacheEntry] = field(init=False)
    exports: list[CacheEntry] = field(init=False)
    stores: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scout = Scout(self.request.context.root, Matcher(self.request.context.patterns))
        self.progress = Progress(self.events, self.request.context)
        self.imports = [entry for entry in map(self._import, self.request.cache_from) if entry]
        self.exports = [self._export(entry) for entry in self.request.cache_to]

    def handlers(self, folders: Mapping[str, Path], told: Told | None) -> dict[str, Handler]:
        """What the session serves; ``folders`` are those of ``frontend.folders``."""
        request, failed = self.request, self.failures.append
        return {
            session.CREDENTIALS: session.credentials(self._credential),
            session.SECRETS: session.secrets(request.secrets, missing=self.unknown["secrets"].append, failed=failed),
            session.FILES: filesync.sender(
                folders,
                failed=failed,
                known={frontend.CONTEXT: self.scout.take},
                hidden={frontend.CONTEXT: request.context.hidden},
                told=told,
            ),
            session.EXPORT: export.receiver(self._take, failed=failed),
            **ssh.handlers(request.ssh, missing=self.unknown["ssh"].append, failed=failed),
            **(content.handlers(self.stores) if self.stores else {}),
        }

    def message(self, session_id: str, part: _Part) -> Any:
        """The SolveRequest of one part."""
        from tinyship.engine.buildkit.proto.control_pb2 import CacheOptions, CacheOptionsEntry, Exporter, SolveRequest

        def entries(of: list[CacheEntry]) -> list[CacheOptionsEntry]:
            return [CacheOptionsEntry(Type=entry.kind, Attrs=entry.attributes) for entry in of]

        attributes = frontend.attributes(self.request, self.imports)
        if part.again or not part.first:
            attributes.pop("no-cache", None)
        return SolveRequest(
            Ref=uuid.uuid4().hex,
            Session=session_id,
            Frontend="dockerfile.v0",
            FrontendAttrs=attributes,
            Cache=CacheOptions(Exports=entries(self.exports) if part.first else [], Imports=entries(self.imports)),
            Entitlements=["network.host"] if frontend.network(self.request) == "host" else [],
            # Engines before 26 know the single exporter only; later ones take the list where there is one.
            ExporterDeprecated=part.kind,
            ExporterAttrsDeprecated=part.attributes,
            Exporters=[Exporter(Type=part.kind, Attrs=part.attributes)],
        )

    def failure(self, error: RpcError) -> TinyshipError:
        """Why the build failed."""
        from tinyship.engine.buildkit import failure

        if self.failures:
            return self.failures[0]
        if failure.was_outrun(error.message):
            said = f"others give {', '.join(self.request.tags)} again and again: {error.message}"
            return EngineError(said, hint="Try again.")
        if self.part and f'exporter "{self.part.kind}" could not be found' in error.message:
            return ConfigError(
                f"this engine's image store cannot make `outputs` of type {self.part.kind}",
                hint="Engines with the containerd image store can, and so can a `buildkitd`; see `builder`.",
            )
        failed = self.progress.failure(error)
        for setting, names in self.unknown.items():
            if names:
                failed.hint = f"The Dockerfile asks for {_listed(names)}, which `{setting}` does not have."
        return failed

    def end(self, response: Mapping[str, str]) -> None:
        """The build is done: put the cache's manifest into its index, and tell what was not there."""
        manifest = response.get("cache.manifest")
        for entry in self.exports if manifest else ():
            if entry.kind == "local":
                content.write_index(self.stores[f"local:{entry.attributes['dest']}"], json.loads(manifest or "{}"))
        for setting, names in self.unknown.items():
            if names:
                self.events(Notice(f"the Dockerfile asks for {_listed(names)}, which `{setting}` does not have"))

    def _take(self, pieces: Iterator[bytes]) -> None:
        if self.part is None or self.part.take is None:
            raise EngineError("BuildKit hands out something that nobody asked for")
        self.part.take(pieces)

    def _credential(self, host: str) -> Credential | None:
        try:
            return self.request.credentials(host)
        except TinyshipError as error:
            self.failures.append(error)
            raise

    def _import(self, entry: CacheEntry) -> CacheEntry | None:
        """A cache to take from, as BuildKit is to read it; None where a folder holds none yet."""
        if entry.kind != "local":
            return entry
        attributes = dict(entry.attributes)
        folder = Path(attributes.pop("src"))
        digest = attributes.pop("digest", "") or content.read_index(folder, attributes.pop("tag", "latest"))
        if not digest:
            self.events(Notice(f"there is no cache in {folder} yet"))
            return None
        return CacheEntry("local", {**attributes, "digest": digest, "src": self._store(folder)})

    def _export(self, entry: CacheEntry) -> CacheEntry:
        if entry.kind != "local":
            return entry
        return CacheEntry("local", {**entry.attributes, "dest": self._store(Path(entry.attributes["dest"]))})

    def _store(self, folder: Path) -> str:
        """A name for a folder that a header can carry, whatever the folder's own is."""
        name = f"cache-{len(self.stores)}"
        self.stores[f"local:{name}"] = folder
        return name


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names))


def _follow(status: Stream, progress: Progress) -> None:
    from tinyship.engine.buildkit.proto.control_pb2 import StatusResponse

    try:
        for message in status:
            progress.read(StatusResponse.FromString(message))
    except RpcError:
        pass  # the solve says better what went wrong


def _shared_key(request: BuildRequest, told: Told | None) -> str:
    """The same for the same folder on this machine: the engine then asks for what changed only."""
    words = f"{uuid.getnode()}:{request.context.root}:{told.key if told else ''}"
    return hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()
