"""What is taken out of registries, as lines: what would go, what went, what is still there, and what that frees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tinyship.codes import without_codes
from tinyship.units import size

if TYPE_CHECKING:
    from tinyship.cleaning.retention import Cleaned, Verdict


def outlook(verdicts: Sequence[Verdict], freeable: int) -> Iterator[str]:
    """The lines below the table.

    Args:
        verdicts: of everything that was looked at.
        freeable: bytes that nothing needs any more when all is gone that goes.
    """
    going = sum(not one.stays for one in verdicts)
    if not verdicts:
        yield "the registries have no images of this name"
    elif not going:
        yield "nothing goes"
    else:
        yield f"{going} of {len(verdicts)} images go; {_freeable(freeable)}"


def done(cleaned: Cleaned) -> Iterator[str]:
    """The lines of what was done."""
    for one in cleaned.refused:
        yield f"kept {one.name}: {without_codes(one.why)}"
    tags = sum(one.kind == "tag" for one in cleaned.removed)
    manifests = sum(one.kind == "manifest" for one in cleaned.removed)
    if not cleaned.removed:
        yield "nothing was deleted"
    else:
        count = f"{_count(manifests, 'manifest')} and {_count(tags, 'tag')} deleted"
        yield f"{count}; {_freeable(cleaned.freeable or 0)}; see .tinyship/clean.json"


def _freeable(count: int) -> str:
    if not count:
        return "that frees nothing: what stays has the same layers"
    return f"up to {size(count)} are freed when the registry collects its garbage"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
