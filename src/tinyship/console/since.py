"""Which images changed since a revision, and why, as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinyship.codes import without_codes
from tinyship.git.revision import SHORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tinyship.stages.changed import Changed, Reason

_MOST = 3


def lines(found: Changed) -> tuple[str, ...]:
    """A line for each image that changed, and one for all that did not."""
    same = [name for name, reasons in found.images.items() if not reasons]
    said = [f"{name}: {_why(found.images[name])}" for name in found.names]
    if same:
        said.append(f"not changed since {found.since[:SHORT]}: {', '.join(same)}")
    return tuple(without_codes(line) for line in said)


def _why(reasons: Sequence[Reason]) -> str:
    more = len(reasons) - _MOST
    told = [str(reason) for reason in reasons[:_MOST]]
    return "; ".join([*told, *([f"and {more} more"] if more > 0 else [])])
