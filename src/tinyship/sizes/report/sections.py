"""The parts of a page, from top to bottom; each is HTML, or empty where there is nothing to tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tinyship import units
from tinyship.sizes import explain
from tinyship.sizes.report.markup import Column, bar, change, code, prose, size, text
from tinyship.sizes.report.markup import table as _table
from tinyship.sizes.report.names import instruction, path, shown
from tinyship.sizes.report.report import Report

_MOST = 100


def headline(report: Report) -> str:
    """The numbers that matter, each with its name and what it means."""
    account = report.account
    dead = account.dead_bytes
    share = (
        f"{100 * dead / account.unpacked:.1f} % of unpacked; hidden by later layers" if dead else "nothing is hidden"
    )
    estimated = "estimated; " if report.row and report.row.estimated else ""
    against = f"against {shown(report.diff.before, 80)}" if report.diff else "against the last release"
    above = f"above {shown(report.base_name, 80)}" if report.base_name else "above the base image"
    tiles = [
        ("unpacked", size(account.unpacked), "files on disk, all layers"),
        ("pull", size(report.pull), f"{estimated}compressed, as a pull transfers it"),
        ("unique", size(report.unique), above),
        ("dead", size(dead), share),
        ("layers", str(len(account.held)), f"{report.base} of the base image" if report.base else "no base is known"),
        ("change", change(report.change), against),
    ]
    return "".join(
        f'<div class="{"warn" if name == "dead" and dead else ""}"><dt>{name}</dt>'
        f"<dd>{value}</dd><dd class=muted>{text(note)}</dd></div>"
        for name, value, note in tiles
    ).join(('<dl class="headline">', "</dl>"))


def budgets(report: Report) -> str:
    """The limits, and whether they hold."""
    return "".join(
        f'<li class="{"broken" if limit.broken else "ok"}"><b>{"BROKEN" if limit.broken else "ok"}</b> '
        f"{text(shown(limit.text, 400))}</li>"
        for limit in report.budgets
    ).join(('<ul class="budgets">', "</ul>"))


def chain(report: Report) -> str:
    """The stages, drawn to scale: what is of the base, what is of their own, and what of it is dead."""
    widest = max((row.unpacked for row in report.chain), default=0)
    rows = []
    for row in report.chain:
        dead = row.dead or 0
        own = row.unpacked if row.unique is None else row.unique
        drawn = bar(widest, ("base", row.unpacked - own), ("own", max(0, own - dead)), ("dead", min(dead, own)))
        name = f"<b>{text(shown(row.stage))}</b> {code(shown(row.image))}"
        if row.note:
            name += f' <span class="muted">{text(shown(row.note, 300))}</span>'
        pull = f"{'about ' if row.estimated else ''}{size(row.pull)}"
        rows.append((name, drawn, size(row.unpacked), pull, size(row.unique), str(row.layers), change(row.change)))
    columns = (
        Column("stage", "name"),
        Column("to scale", "bar"),
        Column("unpacked"),
        Column("pull"),
        Column("unique"),
        Column("layers"),
        Column("change"),
    )
    return _table("The stages, from the base to the release", columns, rows, every=True)


def trend(report: Report) -> str:
    """The releases, the last one first."""
    before = [None, *(point.unpacked for point in report.trend)]
    rows = [
        (
            f"<b>{text(shown(point.version, 80))}</b>",
            f"{text(shown(point.date[:10]))} {code(shown(point.commit[:7]))}",
            size(point.unpacked),
            size(point.pull),
            size(point.dead),
            change(None if last is None else point.unpacked - last),
        )
        for point, last in zip(report.trend, before, strict=False)
    ]
    columns = (
        Column("version", "name"),
        Column("commit", "text"),
        Column("unpacked"),
        Column("pull"),
        Column("dead"),
        Column("change"),
    )
    return _table("The releases, the last one first", columns, rows[::-1])


def advice(report: Report) -> str:
    """What would make the image smaller, and by how much."""
    every = sorted(report.advice, key=lambda one: -one.saving)
    widest = max((one.saving for one in every), default=0)
    rows = (
        (
            prose(shown(one.text, 600))
            + (f"<br>{code(instruction(one.instruction, 0, 240))}" if one.instruction.strip() else ""),
            bar(widest, ("less", one.saving)),
            size(one.saving),
        )
        for one in every
    )
    return _table("What would make it smaller", (Column("advice", "name"), Column("", "bar"), Column("saves")), rows)


def layers(report: Report) -> str:
    """The layers in their order, with the instruction that made each."""
    steps = explain.steps(report.account, base=report.base)
    widest = max((step.held for step in steps), default=0)
    rows = (
        (
            f'<span class="number-of">{step.number}</span> {code(instruction(step.instruction, step.number, 240))}'
            + (' <span class="tag">base</span>' if step.base else ""),
            bar(widest, ("base" if step.base else "own", step.live), ("dead", step.dead)),
            size(step.held),
            size(step.dead) if step.dead else "",
            size(step.hid) if step.hid else "",
            size(step.stored),
        )
        for step in steps
    )
    columns = (
        Column("instruction", "name"),
        Column("to scale", "bar"),
        Column("holds"),
        Column("of it dead"),
        Column("hides below"),
        Column("stored"),
    )
    return _table("Layers, in their order", columns, rows, every=True)


def folders(report: Report) -> str:
    """The folders that tell the most: the twin of the boxes."""
    found = explain.largest_folders(explain.folders(report.account), _MOST)
    whole = report.account.unpacked
    rows = (
        (
            code(path(folder.path)),
            bar(whole, ("own", folder.live), ("dead", folder.dead)),
            size(folder.held),
            size(folder.dead) if folder.dead else "",
            f"{folder.files:,}",
        )
        for folder in found
    )
    columns = (
        Column("folder", "name"),
        Column("of the image", "bar"),
        Column("holds"),
        Column("of it dead"),
        Column("files"),
    )
    return _table("Largest folders, each with all that is below it", columns, rows)


def files(report: Report) -> str:
    """The largest files that the final filesystem shows."""
    rows = (
        (code(path(file.path)), _layer(report, file.layer), size(file.size))
        for file in explain.largest_files(report.account, _MOST)
    )
    return _table("Largest files", (Column("file", "name"), Column("written by", "text"), Column("size")), rows)


def dead(report: Report) -> str:
    """The largest files that are hidden, who wrote them and who hid them."""
    rows = (
        (
            code(path(one.path)),
            _layer(report, one.written),
            f"{one.cause} by {_layer(report, one.hidden)}",
            size(one.size),
        )
        for one in explain.largest_dead(report.account, _MOST)
    )
    columns = (Column("file", "name"), Column("written by", "text"), Column("hidden", "text"), Column("size"))
    return _table("Largest dead files", columns, rows)


def packages(report: Report) -> str:
    """The packages, largest first."""
    every = sorted(report.packages, key=lambda package: (-package.size, package.name))
    rows = ((code(shown(one.name)), code(shown(one.version, 60)), size(one.size)) for one in every)
    return _table("Packages", (Column("package", "name"), Column("version", "text"), Column("size")), rows)


def notices(report: Report) -> str:
    """What has to be known to read the numbers."""
    every = (*report.notices, *(one for one in report.account.notices if one not in report.notices))
    return "".join(f"<li>{text(shown(notice, 600))}</li>" for notice in every).join(("<ul>", "</ul>")) if every else ""


def summary(report: Report) -> str:
    """What the boxes show, in a sentence, for those who do not see them."""
    live = report.account.unpacked - report.account.dead_bytes
    return f"{units.size(live)} live and {units.size(report.account.dead_bytes)} dead, by instruction, folder and file."


def legend(items: Iterable[tuple[str, str]]) -> str:
    """What colours and patterns mean: a class and a word each."""
    return "".join(f'<span><i class="{name}"></i>{word}</span>' for name, word in items).join(
        ('<p class="legend">', "</p>")
    )


def _layer(report: Report, number: int) -> str:
    return code(instruction(report.account.image.layers[number].instruction, number + 1, 60))


def contents(parts: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """The sections that have something to tell, each below its heading: an id, a heading, and HTML."""
    for name, heading, body in parts:
        if body:
            yield f'<section id="{name}"><h2>{heading}</h2>\n{body}</section>\n'
