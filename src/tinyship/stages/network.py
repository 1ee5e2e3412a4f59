"""What the settings say of the network, for builds and their containers: the way out."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

from tinyship.engine import secret
from tinyship.engine.request import Secret
from tinyship.stages.scope import Scope

CA = "ca"
"""The id of the secret that ``ca`` is in builds."""


def environment(scope: Scope) -> dict[str, str]:
    """The variables that lead programs to the proxy, in both spellings; empty where there is none.

    They are build arguments that need no declaration, are kept out of images, and change no cached step (Dockerfile
    reference, "Predefined ARGs"). What the settings leave out is as the Docker config has it (``proxies``), which the
    docker CLI goes by too.
    """
    settings = scope.settings
    said = scope.engine.api._proxy_configs.get_environment()
    found = {str(key).lower(): str(value) for key, value in said.items() if value}
    if settings.proxy:
        found |= {"http_proxy": settings.proxy, "https_proxy": settings.proxy}
    if settings.no_proxy:
        found["no_proxy"] = ",".join(settings.no_proxy)
    return found | {key.upper(): value for key, value in found.items()}


def certificates(scope: Scope) -> Iterator[bytes]:
    """A tar that puts the setting ``ca`` into a container where builds have it: at ``/run/secrets/ca``.

    Raises:
        ConfigError: the file cannot be read.
    """
    assert scope.ca
    content = secret.value(CA, Secret(file=scope.ca))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(f"run/secrets/{CA}")
        entry.size, entry.mode = len(content), 0o444
        tar.addfile(entry, io.BytesIO(content))
    yield packed.getvalue()
