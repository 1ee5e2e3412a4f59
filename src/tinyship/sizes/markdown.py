"""The sizes of an image as Markdown, for a pull request or the summary of a job.

Names are escaped for GitHub's Markdown: inside a ``<code>`` element, with everything that Markdown, its tables, its
links or its mentions could read as an entity. Source: the GitHub Flavored Markdown specification, "Entity and numeric
character references" (they cannot stand for symbols that have a meaning).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tinyship.sizes import explain
from tinyship.sizes.diff import Diff
from tinyship.sizes.report.gains import telling
from tinyship.sizes.report.names import instruction, path, shown
from tinyship.sizes.report.report import Report
from tinyship.units import change, known, size

LONGEST = 60_000
"""Bytes; GitHub takes comments of 65,536 characters, and a caller may want to add something."""

_TOP, _MOST, _ADVICE, _LINES = 5, 20, 3, 20
_NAME = 120
_PLAIN = frozenset("-+/.,:;=?%()' ")


def summary(report: Report, *, against: str = "") -> str:
    """The summary, at most ``LONGEST`` bytes: what matters most comes first, what has no room is left out and named.

    Args:
        report: what is told.
        against: what it is compared with, in the headline; the name of the other image where it is left out.
    """
    parts = (
        ("budgets", _budgets(report)),
        ("stages", _stages(report)),
        *(_grown(report.diff) if report.diff else ()),
        ("dead bytes", _dead(report)),
        ("advice", _advice(report)),
        ("notices", _notices(report)),
    )
    text = f"### {_headline(report, against)}\n"
    room = LONGEST - 400
    missing: dict[str, None] = {}
    for name, part in parts:
        if len(f"{text}\n{part}".encode()) > room:
            missing[name] = None
        elif part:
            text += f"\n{part}"
    if missing:
        text += f"\nLeft out, because a comment has an end: {', '.join(missing)}.\n"
    return text


def _headline(report: Report, against: str) -> str:
    text = f"{_code(shown(report.title))} is {size(report.account.unpacked)} unpacked"
    if report.pull is not None:
        estimated = "about " if report.row and report.row.estimated else ""
        text += f", {estimated}{size(report.pull)} to pull"
    if report.change is None:
        return text
    other = against or (report.diff.before if report.diff else "the last release")
    return f"{text}, {change(report.change) if report.change else 'unchanged'} against {_escaped(shown(other))}"


def _budgets(report: Report) -> str:
    """Broken ones first."""
    limits = sorted(report.budgets, key=lambda limit: not limit.broken)
    lines = [
        f"- {'**BROKEN**' if limit.broken else 'ok'}: {_escaped(shown(limit.text, 300))}" for limit in limits[:_LINES]
    ]
    return _list(lines, len(limits))


def _stages(report: Report) -> str:
    if not report.chain:
        return ""
    rows = [
        (
            _escaped(shown(row.stage)),
            _code(shown(row.image, _NAME)),
            size(row.unpacked),
            f"{'about ' if row.estimated else ''}{known(row.pull)}",
            known(row.unique),
            str(row.layers),
            change(row.change),
        )
        for row in report.chain[-_LINES:]
    ]
    return _table(("stage", "image", ">unpacked", ">pull", ">unique", ">layers", ">change"), rows)


def _grown(diff: Diff) -> Iterator[tuple[str, str]]:
    """The largest gains, by instruction, folder, package and file; those beyond the first few are folded away."""
    groups = (
        ("instruction", [(_step(one.instruction), one.before, one.after) for one in diff.layers]),
        ("folder", [(_code(path(one.name, _NAME)), one.before, one.after) for one in telling(diff.folders)]),
        ("package", [(_package(one.name, one.detail), one.before, one.after) for one in diff.packages]),
        ("file", [(_code(path(one.path, _NAME)), one.before, one.after) for one in diff.paths]),
    )
    title = "**What grew most**\n\n"
    for what, rows in groups:
        for part in _gains(what, rows):
            yield f"what grew, by {what}", title + part
            title = ""


def _gains(what: str, rows: Iterable[tuple[str, int | None, int | None]]) -> Iterator[str]:
    gained = [(name, before, after, (after or 0) - (before or 0)) for name, before, after in rows]
    grown = sorted((row for row in gained if row[3] > 0), key=lambda row: -row[3])
    lines = [(name, known(before), known(after), change(more)) for name, before, after, more in grown[:_MOST]]
    columns = (what, ">before", ">after", ">change")
    if lines:
        yield _table(columns, lines[:_TOP])
    if len(lines) > _TOP:
        beyond = f" of {len(grown) - _TOP:,}" if len(grown) > len(lines) else ""
        yield _folded(f"{len(lines) - _TOP}{beyond} more", _table(columns, lines[_TOP:]))


def _dead(report: Report) -> str:
    account = report.account
    dead = account.dead_bytes
    if not dead:
        return "No dead bytes: no layer hides what another one holds.\n"
    layers = account.image.layers

    def step(number: int) -> str:
        return _step(layers[number].instruction, number + 1)

    rows = [
        (_code(path(one.path, _NAME)), step(one.written), f"{one.cause} by {step(one.hidden)}", size(one.size))
        for one in explain.largest_dead(account, _TOP)
    ]
    share = 100 * dead / account.unpacked
    text = f"**Dead bytes**: {size(dead)} ({share:.1f} %) lie in layers, and later layers hide them.\n"
    return f"{text}\n{_folded('the largest', _table(('file', 'written by', 'hidden', '>size'), rows))}"


def _advice(report: Report) -> str:
    every = sorted(report.advice, key=lambda one: -one.saving)
    lines = [f"- {size(one.saving)}: {_prose(shown(one.text, 300))}" for one in every[:_ADVICE]]
    return f"**What would make it smaller**\n\n{_list(lines, len(every))}" if lines else ""


def _notices(report: Report) -> str:
    every = dict.fromkeys((*report.notices, *report.account.notices))
    return _list([f"- note: {_escaped(shown(notice, 300))}" for notice in list(every)[:_LINES]], len(every))


def _step(text: str, number: int = 0) -> str:
    return _code(instruction(text, number, _NAME)) if text.strip() or number else "a layer without a history"


def _package(name: str, detail: str) -> str:
    return f"{_code(shown(name, _NAME))} {_escaped(shown(detail, 60))}".rstrip()


def _list(lines: Sequence[str], whole: int) -> str:
    left = [f"- and {whole - len(lines):,} more"] if whole > len(lines) else []
    return "".join(f"{line}\n" for line in (*lines, *left))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a column whose title begins with ``>`` is flush right."""
    head = (
        tuple(title.removeprefix(">") for title in columns),
        tuple("---:" if title.startswith(">") else "---" for title in columns),
    )
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (*head, *rows))


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n</details>\n"


def _code(text: str) -> str:
    return f"<code>{_escaped(text)}</code>"


def _prose(words: str) -> str:
    """A sentence, in which what stands between backticks is code."""
    parts = words.split("`")
    if len(parts) % 2 == 0:
        return _escaped(words)
    return "".join(_code(part) if at % 2 else _escaped(part) for at, part in enumerate(parts))


def _escaped(text: str) -> str:
    """Text of which Markdown and HTML read nothing but letters."""
    escaped = "".join(
        character if character.isalnum() or character in _PLAIN else f"&#{ord(character)};" for character in text
    )
    return escaped.replace("://", "&#58;//").replace("www.", "www&#46;")
