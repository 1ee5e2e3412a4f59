"""What a live display shows in a window of some size: what runs comes first, what is done where there is room."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rich.cells import cell_len
from rich.text import Text

from tinyship.codes import without_codes
from tinyship.events import Step, Transfer
from tinyship.units import size

_T = TypeVar("_T")
_TAIL = 6
_TRANSFERS = 6
_WIDEST = 110
_BAR = 24
_SOON = 0.3
_QUICK = 1.0
_SMALL = 1_000_000
_MOST_IN_FULL = 2
"""Images of which more than a line is shown."""
_SPINNER, _PLAIN_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\"
_STYLES = {"failed": "red", "cached": "dim", "canceled": "yellow", "done": "", "running": "cyan"}


@dataclass
class Running:
    """A step since it began, in seconds of the monotonic clock."""

    step: Step
    began: float
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))
    transfers: dict[str, Transfer] = field(default_factory=dict)

    @property
    def moved(self) -> int:
        """The bytes that it transferred."""
        return sum(transfer.current for transfer in self.transfers.values())

    def is_shown_running(self, now: float) -> bool:
        """Whether it runs, and is not of the builder's quick ones."""
        return self.step.state == "running" and (not self.step.internal or now - self.began >= _SOON)

    def is_shown_ended(self) -> bool:
        """Whether it ended, and is worth a line."""
        step = self.step
        if step.state == "running":
            return False
        return not step.internal or step.state == "failed" or step.seconds >= _QUICK or self.moved >= _SMALL


@dataclass
class Work:
    """An image that is worked on, since ``began`` of the monotonic clock."""

    stage: str
    image: str
    action: str
    began: float
    steps: dict[str, Running] = field(default_factory=dict)
    transfers: dict[str, Transfer] = field(default_factory=dict)


def lines(works: Sequence[Work], width: int, height: int, now: float, *, ascii_only: bool = False) -> list[Text]:
    """The lines to be seen: of one image or two, all that goes on; of more, a line for each.

    Args:
        works: all that is going on.
        width: of the window, in columns.
        height: the most lines that there may be.
        now: of the monotonic clock.
        ascii_only: the terminal has no other letters.
    """
    if len(works) > _MOST_IN_FULL:
        brief = [_brief(work, now, min(width, _WIDEST), ascii_only=ascii_only) for work in works]
        return [_cut(line, width) for line in brief[: max(0, height)]]
    room = _Room(height - len(works))
    running = {id(one) for work in works for one in room.last(_shown_running(work, now))}
    moving = {id(work): room.last(_moving(work.transfers), _TRANSFERS) for work in works}
    active = [one for work in works for one in work.steps.values() if id(one) in running]
    parts = {id(one): room.last(_moving(one.transfers), _TRANSFERS) for one in active}
    tails = {id(one): list(one.tail) for one in active if one.tail}
    each = min(_TAIL, room.left // len(tails)) if tails else 0
    tails = {key: room.last(tail, each) for key, tail in tails.items()}
    ended = {id(one) for work in reversed(works) for one in room.last(_shown_ended(work))}
    shown: list[Text] = []
    for work in works:
        shown.append(_head(work, now, min(width, _WIDEST), ascii_only=ascii_only))
        for one in work.steps.values():
            if id(one) in running or id(one) in ended:
                shown.append(step_line(one, now, min(width, _WIDEST)))
            shown += [_transfer_line(transfer) for transfer in parts.get(id(one), ())]
            shown += [Text(f"      {line}", style="dim") for line in tails.get(id(one), ())]
        shown += [_transfer_line(transfer) for transfer in moving[id(work)]]
    return [_cut(line, width) for line in shown[: max(0, height)]]


def step_line(one: Running, now: float, width: int = 0) -> Text:
    """A step: its place, its name, and its time, which stands at the right edge where the width is given."""
    step = one.step
    place = " ".join(part for part in (step.part, f"{step.number}/{step.total}" if step.total else "") if part)
    word = {"cached": "CACHED ", "canceled": "CANCELED "}.get(step.state, "")
    name = " ".join(without_codes(step.name).split()).removeprefix("[internal] ")
    left = Text(f"    {word}{f'[{place}] ' if place else ''}{name}", style=_STYLES[step.state])
    took = f"{now - one.began if step.state == 'running' else step.seconds:.1f}s"
    moved = f"{size(one.moved)}  " if one.moved >= _SMALL and step.state != "running" else ""
    return _spread(left, "" if step.state == "cached" else f"{moved}{took}", width)


class _Room:
    """Lines that are left to be given away."""

    def __init__(self, left: int) -> None:
        self.left = max(0, left)

    def last(self, wanted: Sequence[_T], most: int | None = None) -> list[_T]:
        """As many of the last of these as there is room for, and not more than so many."""
        count = min(len(wanted), self.left, len(wanted) if most is None else most)
        self.left -= count
        return list(wanted[len(wanted) - count :])


def _shown_running(work: Work, now: float) -> list[Running]:
    return [one for one in work.steps.values() if one.is_shown_running(now)]


def _shown_ended(work: Work) -> list[Running]:
    return [one for one in work.steps.values() if one.is_shown_ended()]


def _moving(transfers: dict[str, Transfer]) -> list[Transfer]:
    return [transfer for transfer in transfers.values() if not transfer.done]


def _brief(work: Work, now: float, width: int, *, ascii_only: bool) -> Text:
    """An image, and what it is at."""
    running = [one for one in work.steps.values() if one.is_shown_running(now)]
    doing = step_line(running[-1], now).plain.strip().rpartition("  ")[0] if running else work.action
    return _head(replace(work, action=doing), now, width, ascii_only=ascii_only)


def _head(work: Work, now: float, width: int, *, ascii_only: bool) -> Text:
    turning = _PLAIN_SPINNER if ascii_only else _SPINNER
    took = now - work.began
    left = Text.assemble(
        (turning[int(took * 10) % len(turning)], "cyan"),
        " ",
        (work.stage, "bold"),
        f" {work.image} ",
        (work.action, "dim"),
    )
    return _spread(left, f"{took:.1f}s", width)


def _transfer_line(transfer: Transfer) -> Text:
    line = Text(f"      {transfer.action} {transfer.id}".rstrip(), style="dim")
    if transfer.total:
        full = min(_BAR, _BAR * transfer.current // transfer.total)
        line.append("  ").append("━" * full, "cyan").append("━" * (_BAR - full), "dim")
    if transfer.current:
        line.append(f"  {size(transfer.current)}{f' of {size(transfer.total)}' if transfer.total else ''}")
    return line


def _spread(left: Text, right: str, width: int) -> Text:
    """Both at their edges of a line; next to each other where there is no width."""
    if not right:
        return left
    if width:
        left = _cut(left, max(1, width - len(right) - 2))
        left.append(" " * max(2, width - cell_len(left.plain) - len(right)))
    else:
        left.append("  ")
    return left.append(right)


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line
