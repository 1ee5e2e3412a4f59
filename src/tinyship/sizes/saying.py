"""How advice is put into words."""

from __future__ import annotations

from collections.abc import Sequence

from tinyship import units
from tinyship.codes import without_codes
from tinyship.sizes.leftovers import RULES

_LONGEST = 60
_MOST_NAMED = 3
_HERE = {
    "copies": ("files that are there twice", "make them hard links in the same instruction"),
    "copies-of-below": ("files that a layer below has already", "make them symbolic links"),
    "symbols": ("symbols in programs", 'build with `-ldflags="-s -w"` or `-s`, or `strip` in the stage that builds'),
}
_ELSEWHERE = "only a smaller base image, or a stage that copies what is needed from it, goes without"


def text(
    rule: str,
    size: int,
    instruction: str,
    layer: int,
    later: str | None,
    *,
    packages: Sequence[str] = (),
    in_base: bool = False,
) -> str:
    """What to do, in one line.

    Args:
        rule: the name of the advice.
        size: what it saves, in bytes.
        instruction: that made the layer in question.
        layer: its number, from 0.
        later: the instruction that hides it, as ``shown``.
        packages: that the bytes belong to, the largest first, where that matters.
        in_base: whether the layer belongs to the base image.
    """

    amount = units.size(size)
    what, mend = _of(rule)
    if packages:
        more = len(packages) - _MOST_NAMED
        some = ", ".join(f"`{without_codes(name)}`" for name in packages[:_MOST_NAMED])
        what = f"{what} ({some}{f' and {more} more' if more > 0 else ''})"
    copied = instruction.startswith(("COPY ", "ADD "))
    who = shown(instruction, layer)
    if later:
        return _dead(rule, amount, what, mend, who, later, copied=copied, in_base=in_base)
    if in_base:
        return f"in the base image: {amount} of {what}: {_ELSEWHERE}"
    if copied and rule in RULES:
        return f"{who} brings {amount} of {what}: name it in `.dockerignore`, or remove it where it is copied from"
    return f"{who} {'brings' if copied else 'leaves'} {amount} of {what}: {mend}"


def shown(instruction: str, layer: int) -> str:
    """An instruction as it stands in a sentence: in one line, cut where it is long; its layer where it is not known."""
    words = without_codes(" ".join(instruction.replace("`", "'").split()))
    if not words:
        return f"layer {layer + 1}"
    return f"`{words}`" if len(words) <= _LONGEST else f"`{words[:_LONGEST].rstrip()}...`"


def _of(rule: str) -> tuple[str, str]:
    """What it is, and what to do about it."""
    if rule in RULES:
        return RULES[rule].what, RULES[rule].mend
    return _HERE.get(rule, ("", ""))


def _dead(rule: str, amount: str, what: str, mend: str, who: str, later: str, *, copied: bool, in_base: bool) -> str:
    """What to do about bytes that a later layer hides."""
    of_what = f" of {what}" if what else ""
    if in_base:
        did = {
            "metadata": "changes only the owner or mode of",
            "overwritten": "writes again",
            "package-database": "writes again",
        }.get(rule, "removes")
        where = f"in the base image: {amount}{of_what} that {later} {did} are transferred all the same"
        if rule == "metadata":
            return f"{where}, and a second time: leave them as they are"
        return f"{where}: {_ELSEWHERE}"
    if rule == "metadata":
        way = "use `COPY --chown` or `--chmod`" if copied else "change them in the RUN that writes them"
        return f"{later} stores {amount} of {who} a second time, with another owner or mode: {way}"
    if rule == "overwritten":
        return f"{who} writes {amount} that {later} writes again: write them once, in one instruction"
    if rule == "package-database":
        return f"{later} writes {amount} of package databases of {who} again: {mend}"
    if what:
        return f"{who} leaves {amount}{of_what}, which {later} only hides: {mend}"
    if copied:
        return f"{who} brings {amount} that {later} only hides: do not copy them, or do both in an earlier stage"
    return f"{who} writes {amount} that {later} only hides: remove them in the same RUN, or work in an earlier stage"
