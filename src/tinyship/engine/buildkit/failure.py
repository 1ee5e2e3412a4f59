"""Why a build failed: from the step that did, from BuildKit's message, and from the lines of the Dockerfile.

Source: buildkit, ``solver/errdefs`` and ``util/grpcerrors``: details of a call's status, each a type and its JSON.
Engines before 23 send none.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinyship.engine import advice, excerpt, faulty
from tinyship.errors import BuildFailed, EngineError, Excerpt

if TYPE_CHECKING:
    from tinyship.context.source import Context
    from tinyship.engine.buildkit.channel import RpcError
    from tinyship.events import Step

_UNAVAILABLE = 14
_LONGEST = 100
_METADATA = re.compile(r"\[(?:\S+ )?internal\] load metadata for (.*)|FROM (.*)", re.S)
_CONFIG = re.compile(r"resolve image config for (?:docker-image://)?(.*)", re.S)
_OUTRUN = re.compile(r'image "[^"]+": already exists')
_CODE = re.compile(r"exit code: (\d+)")
_LINE = re.compile(r"^(?:on )?line (\d+): ")
_SYNTAX = re.compile(r"#\s*syntax\s*=\s*(\S+)", re.I)
_AROUND = re.compile(
    r"^(?:failed to solve(?: with frontend [\w.]+)?: |failed to create LLB definition: |rpc error: code = \w+ desc = "
    r"|failed to compute cache key: |failed to load cache key: |failed to calculate checksum of ref \S+: "
    r"|dockerfile parse error |failed to read dockerfile: |failed to do request: "
    r"|(?:\S+: )?failed to resolve source metadata for \S+: )+"
)
_TWICE = re.compile(r"(not found)(?:: not found)+$")
_SOURCE = "errdefs.Source"


@dataclass(frozen=True, slots=True)
class FailedStep:
    """The step that failed: as events have it, BuildKit's name for it, its words, and its last lines."""

    step: Step
    name: str
    error: str
    tail: tuple[str, ...]


def explain(error: RpcError, failed: FailedStep | None, context: Context) -> EngineError:
    """The error to raise.

    Args:
        error: how the call that builds ended.
        failed: the first step that failed; None where none did.
        context: of the build.
    """
    about = _About(error, context)
    if failed is None or about.is_gone:
        return about.no_step()
    if match := _CONFIG.fullmatch(failed.name):
        return about.needed_image(faulty.short(match[1]), in_words(failed.error))
    if not failed.step.total and (match := _METADATA.fullmatch(failed.name)):
        return about.image(match[1] or match[2], in_words(failed.error))
    return about.step(failed)


def was_outrun(message: str) -> bool:
    """Whether an image has no name only because another build gave the name while this one did.

    Source: containerd, ``core/metadata``: it creates a name that it did not find, and updates one that it did.
    """
    return bool(_OUTRUN.search(message))


def in_words(message: str) -> str:
    """What BuildKit says, without what it says around it; for a command that failed its exit code."""
    if code := _CODE.search(message):
        return f"exit code {code[1]}"
    words = " ".join(_AROUND.sub("", message).split())
    return _TWICE.sub(r"\1", _LINE.sub("", words))


def shown_name(context: Context, filename: str) -> str:
    """A file as the user knows it: BuildKit has the Dockerfile's last part only."""
    return context.shown_name if filename in {"", context.dockerfile.name} else filename


class _About:
    """One failure, and the Dockerfile around it."""

    def __init__(self, error: RpcError, context: Context) -> None:
        self._error = error
        self._words = in_words(error.message)
        self._file = context.shown_name
        self._text = context.dockerfile.read_text(errors="replace")
        self._source = next(_sources(error.details, context), None)

    @property
    def is_gone(self) -> bool:
        """Whether it was the connection that ended; BuildKit itself has that code for registries."""
        return self._error.code == _UNAVAILABLE and "BuildKit" in self._error.message

    def no_step(self) -> EngineError:
        """The engine went away, or the Dockerfile is no good."""
        if self.is_gone:
            return EngineError(
                f"the engine went away during the build: {self._error.message}", hint="Is the engine still running?"
            )
        if "context canceled" in self._words:
            return EngineError(
                "the engine ended the build", hint="Was it stopped, or the build canceled from elsewhere?"
            )
        words = _TWICE.sub(r"\1", _AROUND.sub("", self._error.message))
        return faulty.unreadable(self._file, self._text, words, self._source)

    def image(self, reference: str, why: str) -> BuildFailed:
        """An image that a stage is FROM, or that something is copied from."""
        return faulty.no_image(self._file, self._text, reference, why, self._source)

    def needed_image(self, reference: str, why: str) -> BuildFailed:
        """An image that the build itself has to run: a frontend, or a scanner."""
        for number, line in enumerate(self._text.splitlines(), 1):
            match = _SYNTAX.match(line)
            if match and faulty.short(match[1]) == reference:
                return BuildFailed(
                    f"the line `{match[0]}` asks for the frontend image {reference}, which cannot be pulled: {why}",
                    hint="Without the line the engine's own frontend builds it; or name an image that it can pull.",
                    source=excerpt.of_lines(self._file, self._text, [(number, number)]),
                )
        if "scanner" in reference:
            return BuildFailed(
                f"an SBOM attestation needs the scanner image {reference}, which cannot be pulled: {why}",
                hint="Leave the attestation out; or name a scanner that can be pulled, as `generator=<image>`.",
            )
        return BuildFailed(
            f"the build needs the image {reference}, which cannot be pulled: {why}", hint=advice.for_step("FROM", why)
        )

    def step(self, failed: FailedStep) -> BuildFailed:
        """An instruction, or work of the builder's own."""
        step, why = failed.step, in_words(failed.error)
        shown = " ".join(step.name.split())
        shown = shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}..."
        number = f" {step.number}/{step.total}" if step.total else ""
        part = f" of {step.part}" if step.part else ""
        with_code = _CODE.search(failed.error)
        message = f"step{number}{part} `{shown}` {f'failed with {why}' if with_code else f'failed: {why}'}"
        source = self._source or excerpt.of_step(
            self._file, self._text, step.part.rpartition(" ")[2], step.number, step.name
        )
        return BuildFailed(
            message, tail=failed.tail, hint=advice.for_step(step.name, failed.error, failed.tail), source=source
        )


def _sources(details: bytes, context: Context) -> Iterator[Excerpt]:
    """The lines that BuildKit says it is about; it sends the text of the file with them."""
    from google.protobuf.message import DecodeError

    from tinyship.engine.buildkit.proto.errors_pb2 import Status

    try:
        found = [entry.value for entry in Status.FromString(details).details if _SOURCE in entry.type_url]
        for value in found:
            entry: dict[str, Any] = json.loads(value)
            info = entry.get("info") or {}
            name = shown_name(context, info.get("filename") or "")
            text = base64.b64decode(info.get("data") or "").decode(errors="replace")
            if context.pinned is not None and name == context.shown_name:
                text = context.dockerfile.read_text(errors="replace")  # as its author knows it
            ranges = [(_line(one, "start"), _line(one, "end")) for one in entry.get("ranges") or ()]
            made = excerpt.of_lines(name, text, ranges)
            if made:
                yield made
    except (DecodeError, ValueError, AttributeError, TypeError):
        return  # what an error is about is worth less than the error


def _line(place: dict[str, Any], end: str) -> int:
    return int((place.get(end) or {}).get("line") or 0)
