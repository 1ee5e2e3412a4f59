"""What to do about a step that failed, for what is often behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TOKEN = re.compile(r'failed to fetch \w+ token: .*?"https?://([^/"?]+)')
_KILLED = re.compile(r"exit code:? 137\b")


def for_step(instruction: str, words: str, wrote: Sequence[str] = ()) -> str:
    """A line of advice; empty where there is none.

    Args:
        instruction: of the Dockerfile.
        words: what the builder said.
        wrote: the last lines of the step.
    """
    keyword = instruction.upper().partition(" ")[0]
    if keyword == "FROM":
        if trust := of_certificates(words, "HOST"):
            return trust
        return "Base images of this project are made by `invoke base`; others need a registry that can be reached."
    said = "\n".join((words, *wrote))
    if "no space left on device" in said:
        return "The engine's disk is full: `invoke clean` and `docker system df` help."
    if "exec format error" in said:
        return "That program is for another architecture than the engine's, which has no emulation for it."
    if keyword in {"COPY", "ADD"} and _is_missing(words):
        if "--from=" in instruction:
            return "Is the file there, in the image or stage that it is copied from?"
        return "Is the file in the context, and not ignored by .dockerignore?"
    if keyword == "RUN" and "secret " in words and "not found" in words:
        return "The setting `secrets` gives secrets to a build, each by its id."
    if keyword == "RUN" and _KILLED.search(words):
        return "137 means that the process was killed: because memory ran out, or the engine was stopped."
    return ""


def of_certificates(words: str, host: str) -> str:
    """What to do where an engine does not trust a registry; empty where that is not what its words say.

    Args:
        words: the engine's.
        host: of the registry.
    """
    if "x509: " in words and token_service(words):
        return (
            "An engine with the containerd image store asks token services with the certificates of its machine alone, "
            "not with those in /etc/docker/certs.d: put the CA among the former (`update-ca-certificates` on Debian), "
            "and restart the engine."
        )
    if "x509: " in words:
        return (
            f"The engine trusts what /etc/docker/certs.d/{host}/ca.crt on its machine says, BuildKit after a restart."
        )
    if "server gave HTTP response to HTTPS client" in words:
        return f'The engine speaks plain HTTP with what its daemon.json names: `"insecure-registries": ["{host}"]`.'
    return ""


def token_service(words: str) -> str:
    """Host and port of the token service that an engine could not get a token from; empty where it was another thing.

    Args:
        words: the engine's.
    """
    found = _TOKEN.search(words)
    return found[1] if found else ""


def _is_missing(words: str) -> bool:
    said = words.lower()
    return any(phrase in said for phrase in ("not found", "does not exist", "no source files", "no such file"))
