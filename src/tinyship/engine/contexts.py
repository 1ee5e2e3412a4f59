"""The Docker CLI's contexts: which one is chosen, and where its engine listens.

Source: docker/cli, ``cli/context/store`` and ``cli/command/context.go``. Below the folder of the CLI's config, the text
of a context is ``contexts/meta/SHA256/meta.json``, its certificates are in ``contexts/tls/SHA256/docker``; SHA256 is
that of its name. docker-py looks for them beside a config.json, which need not be there.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from msgspec import Struct

from tinyship.errors import EngineUnreachable

DEFAULT = "unix:///var/run/docker.sock"


class DockerContext(Struct, frozen=True):
    """Where an engine listens, and what it is trusted by.

    Args:
        host: its address.
        ca: file of the certificate of who signed its own; None where there is none.
        cert: file of our certificate, and ``key`` that of its key; both or none.
        key: see ``cert``.
        verify: whether its certificate must be right, where there are any.
    """

    host: str
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    verify: bool = True

    @property
    def tls(self) -> Any:
        """What docker-py takes for it; None where it says nothing of certificates."""
        from docker.tls import TLSConfig

        if not (self.ca or self.cert):
            return None
        ours = (str(self.cert), str(self.key)) if self.cert and self.key else None
        return TLSConfig(client_cert=ours, ca_cert=str(self.ca) if self.ca else None, verify=self.verify)


def chosen() -> str:
    """The name of the context that is chosen; empty where it is the default one."""
    from docker.utils import config

    name = os.environ.get("DOCKER_CONTEXT") or config.load_general_config().get("currentContext") or ""
    return "" if name == "default" else str(name)


def find(name: str) -> DockerContext:
    """A context.

    Raises:
        EngineUnreachable: there is none of this name, or its file is damaged.
    """
    number = hashlib.sha256(name.encode()).hexdigest()
    file = _folder() / "meta" / number / "meta.json"
    try:
        endpoint = json.loads(file.read_bytes())["Endpoints"]["docker"]
        host, skips = endpoint.get("Host") or DEFAULT, bool(endpoint.get("SkipTLSVerify"))
    except FileNotFoundError:
        raise EngineUnreachable(
            f"there is no Docker context `{name}`",
            hint="`docker context ls` lists them; DOCKER_CONTEXT or `docker context use` chooses one.",
        ) from None
    except OSError as error:
        raise EngineUnreachable(f"the Docker context `{name}` cannot be read: {file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineUnreachable(
            f"the Docker context `{name}` is damaged: {file} does not say where its engine listens",
            hint=f"`docker context rm {name}` and `docker context create {name}` make it anew.",
        ) from error
    return DockerContext(str(host), *_certificates(_folder() / "tls" / number / "docker"), verify=not skips)


def _folder() -> Path:
    own = os.environ.get("DOCKER_CONFIG")
    return (Path(own) if own else Path("~").expanduser() / ".docker") / "contexts"


def _certificates(folder: Path) -> tuple[Path | None, Path | None, Path | None]:
    """The files of the authority, of our certificate and of its key, as far as they are there."""
    ca, cert, key = (next(iter(sorted(folder.glob(f"{kind}*"))), None) for kind in ("ca", "cert", "key"))
    return (ca, cert, key) if cert and key else (ca, None, None)
