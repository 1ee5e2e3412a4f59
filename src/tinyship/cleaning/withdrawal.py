"""Which images of a repository in a registry stay, and which go, with all of their tags: rules over plain facts.

A registry deletes by digest, and all tags of a digest go with it: so an image stays or goes as a whole, and the first
reason to stay that holds for one of its tags is the reason. What no rule protects goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from tinyship import labels
from tinyship.cleaning.retention import Verdict
from tinyship.cleaning.stock import DIRTY, Known, Rules, Stock
from tinyship.tagging import tags

if TYPE_CHECKING:
    from tinyship.registry.contents import Contents

_CHANGED = "it, or a tag of it, changed since the first look"


@dataclass(frozen=True, slots=True)
class Going:
    """A manifest that is to be deleted.

    Args:
        digest: of it.
        tags: that go with it; none for what an index that goes listed.
        held: digests that have to be gone before it.
    """

    digest: str
    tags: tuple[str, ...]
    held: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of a repository.

    Args:
        verdicts: one for each image, those of the highest versions first.
        ours: those of them that are of this project's images.
        rounds: what goes; each round when the one before it is gone, so that nothing is listed that is not there.
    """

    verdicts: tuple[Verdict, ...] = ()
    ours: tuple[Verdict, ...] = ()
    rounds: tuple[tuple[Going, ...], ...] = ()


def judge(
    name: str, contents: Contents, rules: Rules, known: Known, *, only: Iterable[Going] | None = None
) -> Judgement:
    """What stays and what goes.

    Args:
        name: of the repository, with its registry, for the verdicts.
        contents: what it has.
        rules: what stays.
        known: what the project knows.
        only: what was to go at an earlier look; whatever else there is, or has other tags by now, stays.
    """
    stock = Stock(contents, rules, known)
    allowed = None if only is None else {(one.digest, frozenset(one.tags)) for one in only}
    reasons = _reasons(stock, allowed)
    going = [digest for digest in stock.named if not reasons[digest].stays]
    verdicts = {digest: _verdict(name, stock, digest, reasons[digest]) for digest in stock.ordered}
    ours = tuple(one for digest, one in verdicts.items() if digest in stock.owned)
    return Judgement(tuple(verdicts.values()), ours, _rounds(stock, going))


def unneeded(repositories: Iterable[tuple[Contents, Iterable[str]]]) -> int:
    """The bytes that no manifest needs any more when some are gone.

    Args:
        repositories: of one registry, which keeps a blob once for all of them: what each had, and the digests that are
            gone.
    """
    needed: set[str] = set()
    left: dict[str, int] = {}
    for contents, gone in repositories:
        away = set(gone)
        for digest, content in contents.manifests.items():
            if digest in away:
                left.update(content.blobs)
            else:
                needed.update(content.blobs)
    return sum(size for blob, size in left.items() if blob not in needed)


@dataclass(frozen=True, slots=True)
class _Reason:
    stays: bool
    text: str


def _reasons(stock: Stock, allowed: set[tuple[str, frozenset[str]]] | None) -> dict[str, _Reason]:
    own = {digest: _own(stock, digest) for digest in stock.named if not stock.referrer_of(digest)}
    if allowed is not None:
        for digest, text in own.items():
            if not text and (digest, frozenset(stock.named[digest])) not in allowed:
                own[digest] = _CHANGED
    if own and all(digest in stock.owned and not text for digest, text in own.items()):
        own[stock.ordered[0]] = "the last tag of the repository"  # whatever the rules are
    found = {digest: _Reason(bool(text), text) for digest, text in own.items()}
    _protect(stock, found)
    for digest, one in found.items():
        if not one.stays:
            found[digest] = _Reason(False, _goes(stock, digest))
    referrers = [digest for digest in stock.named if stock.referrer_of(digest)]
    staying = -1
    while staying != (staying := sum(one.stays for one in found.values())):
        for digest in referrers:
            found[digest] = _follows(stock, digest, found)
            if allowed is not None and (digest, frozenset(stock.named[digest])) not in allowed:
                found[digest] = _Reason(True, _CHANGED)
        _protect(stock, found)
    return found


def _own(stock: Stock, digest: str) -> str:
    """Why an image stays for its own sake; empty where nothing says so."""
    rules, known = stock.rules, stock.known
    if owner := stock.owner(digest):
        return owner
    if digest in known.recorded:
        return "`.tinyship/release.json` names it"
    if place := stock.last.get(digest):
        return "the last release" if place == 1 else f"one of the last releases: number {place}"
    names = stock.named[digest]
    if moving := next((tag for tag in names if not stock.is_promise(tag)), ""):
        return f"`{moving}` goes from release to release, and names it"
    if text := _of_version(stock, digest):
        return text
    if rules.age:
        made = stock.made(digest)
        if made is None:
            return "nothing says how old it is"
        if rules.now - made < rules.age:
            return f"younger than {_days(rules.age)}: of {made.astimezone(UTC):%Y-%m-%d}"
    if known.cut_off and rules.stay != "last":
        return "git's history is cut off here: which tags there are is not known"
    if stock.unreadable:
        return f"{stock.unreadable} cannot be read, so that it is not known what it lists"
    return ""


def _of_version(stock: Stock, digest: str) -> str:
    rules, known = stock.rules, stock.known
    if rules.stay == "last":
        return ""
    version = stock.version(digest)
    has_tag = tags.sanitise(version) in stock.cut(stock.named[digest])
    if version and has_tag and rules.stay == "final" and tags.is_final(version, rules.scheme):
        return "a final version, which others may name"
    if has_tag and version in known.versions:
        return f"the git tag {known.versions[version]} has its version"
    commit = stock.label(digest, labels.REVISION)
    if commit in known.commits and not version.endswith(DIRTY):
        return f"the git tag {known.commits[commit]} has its commit"
    return ""


def _protect(stock: Stock, found: dict[str, _Reason]) -> None:
    """Let what stays keep what it lists, and what it is about."""
    left = [digest for digest, one in found.items() if one.stays]
    while left:
        holder = left.pop()
        for digest in _leads_to(stock, holder):
            if digest in found and not found[digest].stays:
                text = "lists it" if digest != stock.content(holder).subject else "belongs to it"
                found[digest] = _Reason(True, f"`{stock.named[holder][0]}` {text}")
                left.append(digest)


def _leads_to(stock: Stock, holder: str) -> Iterator[str]:
    for digest in stock.below([holder]):
        if digest != holder:
            yield digest
        if subject := stock.content(digest).subject:
            yield subject


def _goes(stock: Stock, digest: str) -> str:
    rules = stock.rules
    version = stock.version(digest)
    what = "" if tags.is_final(version, rules.scheme) else "no final version, "
    old = f", and older than {_days(rules.age)}" if rules.age else ""
    late = f"not one of the last {rules.keep} releases" if rules.keep > 1 else "not the last release"
    return f"{what if rules.stay == 'final' else ''}{late}{old}"


def _follows(stock: Stock, digest: str, found: Mapping[str, _Reason]) -> _Reason:
    """What becomes of a signature and the like: it stays and goes with what it belongs to."""
    subject, seen = stock.referrer_of(digest), {digest}
    while subject and subject not in seen and subject in stock.named and stock.referrer_of(subject):
        seen.add(subject)
        subject = stock.referrer_of(subject)
    holders = [one for one in stock.holders.get(subject, ()) if one in found and not stock.referrer_of(one)]
    staying = next((one for one in holders if found[one].stays), "")
    if staying:
        return _Reason(True, f"it belongs to `{stock.named[staying][0]}`, which stays")
    if holders:
        return _Reason(False, f"it belongs to `{stock.named[holders[0]][0]}`, which goes")
    return _Reason(True, "not known to be ours: what it belongs to is not here")


def _verdict(name: str, stock: Stock, digest: str, reason: _Reason) -> Verdict:
    first, *more = (f"{name}:{tag}" for tag in stock.named[digest])
    family = stock.below([digest])
    blobs = {blob: size for one in family for blob, size in stock.content(one).blobs.items()}
    if not reason.stays:
        inside = Counter(blob for one in family for blob in stock.content(one).blobs)
        blobs = {blob: size for blob, size in blobs.items() if inside[blob] == stock.users[blob]}
    return Verdict("tag", first, reason.stays, reason.text, sum(blobs.values()), tuple(more))


def _rounds(stock: Stock, going: Sequence[str]) -> tuple[tuple[Going, ...], ...]:
    """What goes, in its order: indexes before what they list, images before what belongs to them."""
    away = set(going)
    staying = {digest for holder in stock.named if holder not in away for digest in _leads_to(stock, holder)}
    staying |= stock.below(stock.known.recorded)
    untagged = stock.below(going) - staying - set(stock.named)
    every = {*going, *(digest for digest in untagged if not stock.content(digest).fault)}
    before: dict[str, set[str]] = {digest: set() for digest in every}
    for digest in every:
        content = stock.content(digest)
        for below in content.lists:
            if below in every:
                before[below].add(digest)
        if (subject := stock.referrer_of(digest)) in every:
            before[digest].add(subject)
    rounds: list[tuple[Going, ...]] = []
    left = set(every)
    while left:
        ready = sorted(digest for digest in left if not before[digest] & left) or sorted(left)
        rounds.append(
            tuple(Going(digest, stock.named.get(digest, ()), tuple(sorted(before[digest]))) for digest in ready)
        )
        left -= set(ready)
    return tuple(rounds)


def _days(age: timedelta) -> str:
    count = age / timedelta(days=1)
    if count < 2 and age != timedelta(days=1):
        hours = age / timedelta(hours=1)
        return f"{hours:.3g} hour{'' if hours == 1 else 's'}"
    return f"{count:.3g} day{'' if count == 1 else 's'}"
