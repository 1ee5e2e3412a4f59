"""Builds an image with the engine's BuildKit: one Solve, its Status, and a session that serves what it asks for.

Source: buildkit, ``api/services/control`` (Control.Solve, Control.Status) and ``frontend/dockerui`` (the attributes).
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinyship.credentials import Credential
from tinyship.engine import images
from tinyship.engine.buildkit import filesync, session
from tinyship.engine.buildkit.channel import Channel, RpcError, Stream
from tinyship.engine.buildkit.pipe import Opener, through
from tinyship.engine.buildkit.progress import Progress
from tinyship.engine.connect import Engine
from tinyship.engine.request import BuildRequest, BuildResult
from tinyship.errors import ConfigError, EngineError, TinyshipError
from tinyship.events import Events

_SOLVE = "/moby.buildkit.v1.Control/Solve"
_STATUS = "/moby.buildkit.v1.Control/Status"
_NETWORKS = {"": "", "default": "", "bridge": "", "host": "host", "none": "none"}


class BuildKitBuilder:
    """Builds with the BuildKit that engines since 20.10 have inside."""

    name = "buildkit"

    def __init__(self, engine: Engine, open_pipe: Opener | None = None) -> None:
        self.engine = engine
        self.open_pipe = open_pipe or through(engine)

    def build(self, request: BuildRequest, events: Events) -> BuildResult:
        """Build an image; see ``Builder.build``. Leaving in the middle ends the build in the engine."""
        failures: list[TinyshipError] = []
        context = request.context
        handlers = {
            session.CREDENTIALS: session.credentials(_remembering(request.credentials, failures)),
            session.FILES: filesync.sender(
                {"context": context.root, "dockerfile": context.dockerfile.parent},
                failed=failures.append,
                sent=lambda *_: None,  # BuildKit's own count comes with its status
            ),
        }
        progress = Progress(events, context)
        control = Channel(self.open_pipe("/grpc"))
        try:
            with session.opened(self.open_pipe, handlers, shared_key=_shared_key(context.root)) as number:
                self._solve(control, _request(request, number), progress)
        except RpcError as error:
            if failures:
                raise failures[0] from error
            raise progress.failure(error) from error
        finally:
            control.close()
            progress.close()
        found = images.find(self.engine, request.tags[0])
        if not found:
            raise EngineError(f"BuildKit built {request.tags[0]}, but the engine does not have it")
        return BuildResult(found.id, progress.cached)

    def _solve(self, control: Channel, solve: Any, progress: Progress) -> None:
        from tinyship.engine.buildkit.proto.control_pb2 import StatusRequest

        solving = control.call(_SOLVE, solve.SerializeToString())
        status = control.call(_STATUS, StatusRequest(Ref=solve.Ref).SerializeToString())
        reader = threading.Thread(target=_follow, args=(status, progress), daemon=True)
        reader.start()
        try:
            for _ in solving:
                pass
        finally:
            # The last words of a step come with the status, which ends soon after the solve does.
            reader.join(timeout=2.0)


def _follow(status: Stream, progress: Progress) -> None:
    from tinyship.engine.buildkit.proto.control_pb2 import StatusResponse

    try:
        for message in status:
            progress.read(StatusResponse.FromString(message))
    except RpcError:
        pass  # the solve says better what went wrong


def _request(request: BuildRequest, session_id: str) -> Any:
    from tinyship.engine.buildkit.proto.control_pb2 import Exporter, SolveRequest

    if request.network not in _NETWORKS:
        raise ConfigError(
            f"BuildKit has no network `{request.network}`: there are default, host and none",
            hint="`builder: classic` builds on a network of the engine's.",
        )
    network = _NETWORKS[request.network]
    attributes = {
        "filename": request.context.dockerfile.name,
        **({"target": request.target} if request.target else {}),
        **({"platform": ",".join(request.platforms)} if request.platforms else {}),
        **({"no-cache": ""} if request.no_cache else {}),
        **({"force-network-mode": network} if network else {}),
        **({"add-hosts": ",".join(_hosts(request.extra_hosts))} if request.extra_hosts else {}),
        **{f"build-arg:{key}": value for key, value in request.args.items()},
        **{f"label:{key}": value for key, value in request.labels.items()},
    }
    export = {"name": ",".join(request.tags)}
    return SolveRequest(
        Ref=secrets.token_hex(16),
        Session=session_id,
        Frontend="dockerfile.v0",
        FrontendAttrs=attributes,
        Entitlements=["network.host"] if network == "host" else [],
        # Engines before 26 know the single exporter only; later ones take the list where there is one.
        ExporterDeprecated="moby",
        ExporterAttrsDeprecated=export,
        Exporters=[Exporter(Type="moby", Attrs=export)],
    )


def _hosts(entries: tuple[str, ...]) -> list[str]:
    """``name:address`` as BuildKit has it, ``name=address``."""
    return ["=".join(entry.split(":", 1)) for entry in entries]


def _shared_key(root: Path) -> str:
    """The same for the same folder on this machine: the engine then asks for what changed only."""
    import uuid

    return hashlib.sha256(f"{uuid.getnode()}:{root}".encode("utf-8", "surrogateescape")).hexdigest()


def _remembering(
    find: Callable[[str], Credential | None], failures: list[TinyshipError]
) -> Callable[[str], Credential | None]:
    def found(host: str) -> Credential | None:
        try:
            return find(host)
        except TinyshipError as error:
            failures.append(error)
            raise

    return found
