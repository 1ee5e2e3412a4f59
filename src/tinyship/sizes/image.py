"""An image as its config says it, and the layers that it is made of, wherever they came from.

Sources: the OCI image specification, "Image Configuration" (rootfs.diff_ids, history), and Docker's
before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinyship.errors import ImageError
from tinyship.sizes.layer import Contents

_NOP = re.compile(r"^(?:/bin/sh -c )?#\(nop\)\s*")
_ARGUMENTS = re.compile(r"\|(\d+) ")
_SHELL = re.compile(r"(?:^|(?<= ))/\S*(?:ba|da|a|z|k)?sh(?: (?!-c )\S+){0,4}? -c ")
"""A shell and its options: `SHELL ["/bin/bash", "-o", "pipefail", "-c"]`."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, and the instruction that made it.

    Args:
        diff_id: the digest of its tar, ``sha256:...``; what layers are told apart by.
        instruction: as a Dockerfile has it; empty where the history does not say.
        contents: what it holds.
        stored: bytes of its blob where it came from; None where it has none of its own (an archive of plain tars).
        compression: of that blob: ``gzip``, ``zstd``, or empty.
    """

    diff_id: str
    instruction: str
    contents: Contents
    stored: int | None = None
    compression: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that was read, layer by layer.

    Args:
        name: what it was asked for by.
        id: the digest of its config.
        platform: ``os/architecture[/variant]``.
        config: the whole config, parsed.
        layers: the base's first.
        config_size: bytes of the config, which a pull transfers too; 0 where that is not known.
        notices: what is missing or odd, in words; every number stands, apart from what they name.
    """

    name: str
    id: str
    platform: str
    config: Mapping[str, Any]
    layers: tuple[Layer, ...]
    config_size: int = 0
    notices: tuple[str, ...] = field(default=())

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of its config."""
        run = self.config.get("config")
        found = run.get("Labels") if isinstance(run, dict) else None
        return found if isinstance(found, dict) else {}


def instructions(config: Mapping[str, Any], count: int) -> tuple[tuple[str, ...], str]:
    """The instruction of each layer, and what is wrong with the history, in words.

    Args:
        config: the image's config.
        count: of its layers.
    """
    history = config.get("history")
    steps = [step for step in history if isinstance(step, dict)] if isinstance(history, list) else []
    made = [instruction(str(step.get("created_by") or step.get("comment") or "")) for step in _with_layer(steps)]
    if len(made) == count:
        return tuple(made), ""
    why = f"its history names {len(made)} of {count} layers" if steps else "it has no history"
    return ("",) * count, f"{why}: instructions are not known"


def instruction(created_by: str) -> str:
    """What a history entry says, as a Dockerfile has it: without the shell, build arguments, and BuildKit's mark."""
    text = created_by.strip().removesuffix("# buildkit").rstrip()
    if _NOP.match(text):
        return _NOP.sub("", text)
    run = text.startswith("RUN ")
    command = text[4:] if run else text
    arguments = _ARGUMENTS.match(command)
    if arguments:
        command = _without_arguments(command[arguments.end() :], int(arguments[1]))
    shell = _SHELL.match(command)
    if shell:
        command = command[shell.end() :]
    return f"RUN {command}" if run or arguments or shell else text


def _without_arguments(text: str, count: int) -> str:
    """What stands behind that many ``NAME=value``, whose values may be secrets, and may have spaces in them."""
    shell = _SHELL.search(text)
    if shell:
        return text[shell.start() :]
    return " ".join(text.split(" ")[count:])


def platform(config: Mapping[str, Any]) -> str:
    """``os/architecture[/variant]`` of a config."""
    return "/".join(str(config[key]) for key in ("os", "architecture", "variant") if config.get(key))


def diff_ids(config: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The digests of the layers that a config names.

    Raises:
        ImageError: it names none in the way of an image's config.
    """
    found = (config.get("rootfs") or {}).get("diff_ids") if isinstance(config.get("rootfs"), dict) else None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise ImageError(
            f"{name} has no list of layers in its config", hint="Is it an image, and not another artifact?"
        )
    return tuple(found)


def _with_layer(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [step for step in steps if not step.get("empty_layer")]
