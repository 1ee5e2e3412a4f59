"""Errors that a Dockerfile itself is at fault for, in the same words whichever builder found them."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import PurePosixPath

from tinyship.dockerfiles import dockerfile
from tinyship.engine import advice, excerpt
from tinyship.errors import BuildFailed, Excerpt

_TARGET = re.compile(r"target stage \"?(.+?)\"? could not be found|failed to reach build target (\S+) in Dockerfile")
_BAD_LINE = re.compile(r"(?:dockerfile parse error )?(?:on )?line (\d+): ", re.I)
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_BAD_WORD = re.compile(r"failed to process \\?\"(\S+?)\\?\": ")


def unreadable(file: str, text: str, words: str, source: Excerpt | None = None) -> BuildFailed:
    """It cannot be parsed, or does not have the target.

    Args:
        file: its name, as it is shown.
        text: of the whole file.
        words: what the builder said.
        source: what the builder says that it is about; looked for where None.
    """
    if match := _TARGET.search(words):
        return _no_target(file, text, match[1] or match[2])
    line, word = _BAD_LINE.search(words), _BAD_WORD.search(words)
    if source is None and line:
        source = excerpt.of_line(file, text, int(line[1]))
    elif source is None and word:
        source = excerpt.of_word(file, text, word[1])
    return BuildFailed(f"the Dockerfile cannot be built: {_BAD_LINE.sub('', words, count=1)}", source=source)


def no_image(file: str, text: str, reference: str, why: str, source: Excerpt | None = None) -> BuildFailed:
    """An image that a stage is FROM, or that something is copied from, is not to be had.

    Args:
        file: the Dockerfile's name, as it is shown.
        text: of the whole file.
        reference: of the image.
        why: in the builder's words.
        source: what the builder says that it is about; looked for where None.
    """
    reference = short(reference)
    without = short(_DIGEST.sub("", reference))  # the author wrote it so where the lock pins it
    stages = dockerfile.parse(text).stages
    named = next((stage for stage in stages if short(stage.base) in {reference, without}), None)
    pinned = f"tinyship.lock pins {without}: `invoke base.update` moves the pin to what its registry has now."
    hint = advice.for_step("FROM", why)
    if reference != without and reference.rpartition("@")[2] not in text:
        hint = f"{hint} {pinned}".strip()
    if named:
        source = source or excerpt.of_line(file, text, named.line)
        message = f"the base image {reference} is not to be had: {why}"
        return BuildFailed(message, hint=hint, source=source)
    plain = without.removesuffix(":latest")
    source = source or excerpt.of_word(file, text, plain)
    hint = _stages([stage.name for stage in stages]) or hint
    message = f"there is no stage {plain}, and no image of that name is to be had: {why}"
    return BuildFailed(message, hint=hint, source=source)


def short(reference: str) -> str:
    """A reference as people write it, with its tag; without the names of Docker Hub that builders add."""
    left = reference.removeprefix("docker.io/library/").removeprefix("docker.io/")
    name = PurePosixPath(left).name
    return left if ":" in name or "@" in name else f"{left}:latest"


def _no_target(file: str, text: str, target: str) -> BuildFailed:
    names = [stage.name for stage in dockerfile.parse(text).stages if stage.name]
    close = get_close_matches(target, names, n=1)
    hint = f"Did you mean {close[0]}?" if close else _stages(names) or "None of its stages has a name."
    return BuildFailed(f"{file} has no stage {target}, which is the target", hint=hint)


def _stages(names: list[str]) -> str:
    known = [name for name in names if name]
    return f"Its stages are {', '.join(known)}." if known else ""
