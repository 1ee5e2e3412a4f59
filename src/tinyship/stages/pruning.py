"""Build cache: the engine's, and so every project's; what is old goes when it is asked for, and not without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tinyship.cleaning.retention import Cleaned, Verdict
from tinyship.engine import cache
from tinyship.engine.cache import Record
from tinyship.errors import Refused, TinyshipError
from tinyship.kept import turns
from tinyship.plan import Action
from tinyship.running import cancelling
from tinyship.settings.quantity import parse_bytes, parse_duration
from tinyship.stages import tally
from tinyship.stages.scope import Scope
from tinyship.units import seconds, size

TASK = "clean.cache"


@dataclass(frozen=True, slots=True)
class Limits:
    """What stays: what was used within some seconds, and so many bytes in all; 0 where it does not matter."""

    age: int
    bytes: int

    @classmethod
    def of(cls, scopes: Iterable[Scope]) -> Limits:
        """Those of several images: of two, the one that keeps more."""
        every = [scope.settings.clean for scope in scopes]
        return cls(
            max(parse_duration(one.cache_age or "0s") for one in every),
            max(parse_bytes(one.cache_size or "0") for one in every),
        )

    def said(self) -> str:
        """They, in words."""
        age = f"not used for {_age(self.age)}" if self.age else "whatever its age"
        return f"{age}, until {size(self.bytes)} are left" if self.bytes else age


@dataclass(frozen=True, slots=True)
class Found:
    """What is in the cache, and what would become of it, a row for each reason."""

    records: tuple[Record, ...]
    limits: Limits
    verdicts: tuple[Verdict, ...]

    @property
    def goes(self) -> bool:
        """Whether something does."""
        return any(not verdict.stays for verdict in self.verdicts)


def look(scopes: Sequence[Scope]) -> Found:
    """What is in the cache of the engine.

    Raises:
        Refused: the engine is Podman, which has no such cache.
    """
    engine, limits = scopes[0].engine, Limits.of(scopes)
    if engine.is_podman:
        raise Refused(
            "Podman has no build cache that can be cleaned by age: the steps of its builds are images without a name",
            hint="`podman image prune` removes those.",
        )
    records = cache.records(engine)
    return Found(records, limits, judged(records, limits, datetime.now(UTC)))


def actions(found: Found) -> tuple[Action, ...]:
    """What would be removed, for a plan."""
    return tuple(Action("remove", one.name, one.reason) for one in found.verdicts if not one.stays)


def judged(records: Sequence[Record], limits: Limits, now: datetime) -> tuple[Verdict, ...]:
    """A row for each reason, with the number of records and their bytes."""
    groups: dict[tuple[bool, str], list[Record]] = {}
    for record in records:
        groups.setdefault(_reason(record, limits, now), []).append(record)
    total = sum(record.size for record in records)
    verdicts = []
    for (stays, reason), some in groups.items():
        held = sum(record.size for record in some)
        if not stays and total <= limits.bytes:
            verdicts.append(_row(some, held, True, f"all of it is no more than {size(limits.bytes)}"))
        elif not stays and limits.bytes:
            # The builder decides which of them: it weighs how often and how long ago each was used.
            verdicts.append(_row(some, min(held, total - limits.bytes), False, reason, "up to "))
        else:
            verdicts.append(_row(some, held, stays, reason))
    return tuple(verdicts)


def clean(scopes: Sequence[Scope], *, yes: bool = False, show: Callable[[Found], None] = lambda _: None) -> Cleaned:
    """Remove old build cache from the engine.

    Args:
        scopes: the images of a project; their limits count.
        yes: without it nothing is removed, because it is not the project's alone.
        show: gets what was found before anything is removed.

    Raises:
        Refused: ``yes`` is not given, or the engine has no such cache.
        CleanStopped: it failed, and has what was removed until then.
    """
    root, engine = scopes[0].root, scopes[0].engine
    with turns.cleaning(root):
        found = look(scopes)
        show(found)
        if found.goes and not yes:
            raise Refused(
                "the build cache is the engine's, and all projects that are built there use it; nothing was removed",
                hint="If what is old may go all the same, run it again with `--yes`.",
            )
        stayed = [verdict for verdict in found.verdicts if verdict.stays]
        with tally.reported(root, TASK, stayed) as done:
            gone: Sequence[str] | None = None
            try:
                gone = cache.prune(engine, older_than=found.limits.age, keep=found.limits.bytes) if found.goes else ()
            finally:
                with suppress(TinyshipError), cancelling.shielded():
                    after = cache.records(engine)
                    there = {record.id for record in after}
                    for record_id in gone if gone is not None else (one.id for one in found.records):
                        if record_id not in there:
                            done.gone("cache", record_id)
                    before = sum(record.size for record in found.records)
                    done.freed = max(0, before - sum(record.size for record in after))
    return done.cleaned()


def _reason(record: Record, limits: Limits, now: datetime) -> tuple[bool, str]:
    """Whether a record stays, and why."""
    if record.in_use:
        return True, "in use"
    if record.shared:
        return True, "shared with an image"
    if limits.age and record.used and now - record.used < timedelta(seconds=limits.age):
        return True, f"used within {_age(limits.age)}"
    return False, f"not used for {_age(limits.age)}" if limits.age else "everything goes"


def _row(some: Sequence[Record], held: int, stays: bool, reason: str, about: str = "") -> Verdict:
    many = f"{about}{len(some)} record{'s' if len(some) > 1 else ''}"
    return Verdict("cache", many, stays, reason, held)


def _age(count: int) -> str:
    """A time as people say it."""
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if count >= unit and count % unit == 0:
            return f"{count // unit} {name}{'s' if count > unit else ''}"
    return seconds(count)
