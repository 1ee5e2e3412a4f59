"""What the linter `hadolint` says on size, joined to the bytes that its findings cost in the image.

Its rules: the wiki of the hadolint project. A finding that costs no byte is not repeated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tinyship.sizes import programs
from tinyship.sizes.advice import Advice
from tinyship.sizes.image import Image

_SAY = {
    "DL3009": {"apt-lists", "apt-cache"},
    "DL3010": {"archives"},
    "DL3015": {"recommended"},
    "DL3019": {"apk-cache"},
    "DL3032": {"yum-cache", "dnf-cache"},
    "DL3036": {"zypper-cache"},
    "DL3040": {"dnf-cache", "yum-cache"},
    "DL3042": {"pip-cache"},
    "DL3046": {"logs"},
    "DL3059": {"removed", "metadata", "overwritten", "package-database"},
    "DL3060": {"yarn-cache"},
}
"""The rules on size, each with the advice that measures what it costs."""

_CONSECUTIVE = "DL3059"


class Finding(NamedTuple):
    """Something that the linter found.

    Args:
        code: of its rule.
        line: of the Dockerfile, from 1.
    """

    code: str
    line: int


def lint(dockerfile: Path, *, seconds: float = 60) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """What the linter finds on size, and what went wrong, in words; nothing of both where it is not installed.

    Args:
        dockerfile: the file.
        seconds: how long it may take.
    """
    if not programs.installed("hadolint"):
        return (), ()
    words = ["--no-fail", "--no-color", "-f", "json", str(dockerfile.absolute())]
    try:
        found = programs.answer("hadolint", words, seconds=seconds)
        return tuple(Finding(one["code"], int(one["line"])) for one in found if one["code"] in _SAY), ()
    except programs.Failed as error:
        return (), (f"{error}: its findings are left out",)
    except (ValueError, KeyError, TypeError):
        return (), ("`hadolint` answers in a way that is not known here: its findings are left out",)


def join(
    advices: Iterable[Advice], findings: Iterable[Finding], lines: Mapping[int, tuple[int, ...]], image: Image
) -> tuple[Advice, ...]:
    """Advice with the codes of the findings that say the same, and the line of the first of them.

    Args:
        lines: as ``tinyship.sizes.lines.layers`` gives them.
        image: that the advice is about.
    """
    found = sorted(findings)
    return tuple(_joined(one, found, lines, image) for one in advices)


def _joined(one: Advice, findings: list[Finding], lines: Mapping[int, tuple[int, ...]], image: Image) -> Advice:
    fitting = [
        finding
        for finding in findings
        if one.rule in _SAY[finding.code] and _costs(one, finding.code, lines.get(finding.line, ()), image)
    ]
    if not fitting:
        return one
    codes = dict.fromkeys((*one.lint, *(finding.code for finding in fitting)))
    return replace(one, lint=tuple(codes), line=fitting[0].line if one.line is None else one.line)


def _costs(one: Advice, code: str, numbers: tuple[int, ...], image: Image) -> bool:
    """Whether the bytes of an advice come of what a finding is about."""
    if code != _CONSECUTIVE:
        return one.layer in numbers
    if one.hidden is None or one.hidden not in numbers:
        return False
    return all(layer.instruction.startswith("RUN ") for layer in image.layers[one.layer : one.hidden + 1])
