"""What the settings say of the network, for builds and their containers: the way out."""

from __future__ import annotations

from tinyship.stages.scope import Scope

CA = "ca"
"""The id of the secret that ``ca`` is in builds."""


def environment(scope: Scope) -> dict[str, str]:
    """The variables that lead programs to the proxy, in both spellings; empty where there is none.

    They are build arguments that need no declaration, are kept out of images, and change no cached step (Dockerfile
    reference, "Predefined ARGs"). Without the setting they are those of the Docker config, as the docker CLI has them.
    """
    settings = scope.settings
    if not settings.proxy:
        return {str(key): str(value) for key, value in scope.engine.api._proxy_configs.get_environment().items()}
    found = {"http_proxy": settings.proxy, "https_proxy": settings.proxy}
    if settings.no_proxy:
        found["no_proxy"] = ",".join(settings.no_proxy)
    return found | {key.upper(): value for key, value in found.items()}
