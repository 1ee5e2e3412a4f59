"""What to do about a step that failed, for what is often behind it."""

from __future__ import annotations


def for_step(instruction: str, words: str) -> str:
    """A line of advice; empty where there is none.

    Args:
        instruction: of the Dockerfile.
        words: what the builder said.
    """
    keyword = instruction.upper().partition(" ")[0]
    if keyword == "FROM":
        return "Base images of this project are made by `invoke base`; others need a registry that can be reached."
    if "no space left on device" in words:
        return "The engine's disk is full: `invoke clean` and `docker system df` help."
    if keyword in {"COPY", "ADD"}:
        return "Is the file in the context, and not ignored by .dockerignore?"
    return ""
