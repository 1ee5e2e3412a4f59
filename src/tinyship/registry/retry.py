"""Trying again what is temporary: with a doubling pause, as long as a registry asks for, and not for ever.

Source: RFC 9110, section 10.2.3 (Retry-After); what go-containerregistry and BuildKit's resolver try again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from msgspec import Struct

from tinyship.errors import RegistryError
from tinyship.events import Events, Notice
from tinyship.running import cancelling

TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
"""Answers after which the same may work a little later."""

T = TypeVar("T")


class Patience(Struct, frozen=True):
    """How often and for how long something is tried.

    Args:
        tries: at most, the first one included.
        pause: seconds before the second try; doubled before each further one, and up to a quarter longer by chance.
        longest: seconds that one pause may take, at most; where a registry asks for more, it is given up.
        total: seconds after which no new try begins; of what takes long by itself the pauses alone are counted.
    """

    tries: int = 5
    pause: float = 0.5
    longest: float = 30.0
    total: float = 60.0


def trying(
    act: Callable[[], T],
    *,
    events: Events,
    patience: Patience,
    long: bool = False,
    sleep: Callable[[float], None] = cancelling.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """What ``act`` returns, at one of several tries.

    Args:
        act: is called for each try.
        events: gets each new try.
        patience: how often, and for how long.
        long: whether one try may well take longer than the total of the patience, as an upload does.
        sleep: waits for seconds.
        clock: seconds that have passed.

    Raises:
        RegistryError: it failed in a way that lasts, or too often; says how often it was tried.
    """
    begun = clock()
    waited = 0.0
    tries = 1
    while True:
        try:
            return act()
        except RegistryError as error:
            wait = max(pause(patience, tries), error.wait)
            late = (waited if long else clock() - begun) + wait > patience.total
            if not error.temporary or tries >= patience.tries or wait > patience.longest or late:
                counted(error, tries)
                raise
            tries += 1
            waited += wait
            events(Notice(f"{error.message}; trying again in {wait:.1f} s ({tries} of {patience.tries})", "warning"))
            sleep(wait)


def pause(patience: Patience, tries: int) -> float:
    """The seconds before the next try, after so many that failed."""
    return patience.pause * 2.0 ** (tries - 1) * random.uniform(1.0, 1.25)  # noqa: S311


def counted(error: RegistryError, tries: int) -> None:
    """Let the error of the last try say how many there were, where there were several for it."""
    if error.temporary and tries > 1:
        error.message = f"{error.message}; it was tried {tries} times"


def asked_wait(header: str, now: datetime | None = None) -> float:
    """The seconds that ``Retry-After`` asks for, as a number or as a date; 0.0 where it says nothing of use."""
    text = header.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
