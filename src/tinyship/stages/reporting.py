"""Gathers all that is known of an image's size: for the page of `size.report`, and for a comment in Markdown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

from tinyship.errors import TinyshipError
from tinyship.events import Notice
from tinyship.kept.trend import trends
from tinyship.sizes import budgets
from tinyship.sizes.diff import Diff
from tinyship.sizes.packages import Packages
from tinyship.sizes.report.report import Limit, Package, Point, Report
from tinyship.sizes.table import Row
from tinyship.stages import explaining, history, looking, size
from tinyship.stages.explaining import Explanation
from tinyship.stages.opening import Opened
from tinyship.stages.scope import Scope


def gather(scope: Scope, named: str = "release", *, against: str = "", asks: bool = True) -> Report:
    """All that is known of an image's size.

    Args:
        named: the image, as ``opening.read`` takes it.
        against: an image that it is compared with, named so too; the last release where it is left out.
        asks: whether `syft` and `hadolint` are asked, where they are installed.

    Raises:
        ImageError: there is no such image, or none to compare with.
    """
    found = explaining.explain(scope, named, asks=asks)
    ours = named == "release"
    diff = _diff(scope, found.opened, against, ours=ours)
    if not ours:
        return _report(scope, found, (_row(found.opened, diff),), diff=diff)
    return replace(_report(scope, found, (), table=size.now(scope), diff=diff), trend=_trend(scope))


def of_comparison(scope: Scope, weighed: size.Weighed, against: str) -> Report:
    """What a comment tells of what is in the engine, against another image."""
    found = explaining.explain(scope, f"engine:{weighed.rows[-1].image}")
    diff = weighed.diff
    if diff and diff.before != against:  # a branch stands for the release that it is, or stands on
        diff = replace(diff, before=f"{against} ({diff.before})")
    return _report(scope, found, (), table=weighed, diff=diff)


def _report(
    scope: Scope,
    found: Explanation,
    rows: tuple[Row, ...],
    *,
    table: size.Weighed | None = None,
    diff: Diff | None,
) -> Report:
    """A report of what was explained; ``table`` is that of the project, where the image is its release."""
    opened = found.opened
    return Report(
        title=opened.account.image.name,
        made=_made(scope, opened, ours=table is not None),
        account=opened.account,
        base=opened.base,
        base_name=opened.base_name,
        chain=table.rows if table else rows,
        diff=diff,
        advice=found.advice,
        budgets=_limits(scope, table) if table else (),
        packages=_packages(found.packages),
        notices=(*opened.account.notices, *found.packages.notices, *found.notices),
    )


def _diff(scope: Scope, opened: Opened, against: str, *, ours: bool) -> Diff | None:
    """What differs: from what is named, or from the last release where that can still be looked at."""
    if against:
        return looking.difference(scope, against, opened.account)
    last = history.before(scope) if ours else None
    if not last or last.commit == scope.revision.commit:
        return None
    named = f"git:{last.commit}" if last.commit else last.version
    try:
        found = looking.difference(scope, named, opened.account)
        # A tag that was moved gives two releases one name.
        return replace(found, before=f"{found.before} of {last.commit[:7]}") if found.before == found.after else found
    except TinyshipError as error:
        scope.events(Notice(f"what differs from {last.version} is not known: {error.message}", "warning"))
        return None


def _row(opened: Opened, diff: Diff | None) -> Row:
    """The row of an image that is none of the project's stages."""
    account = opened.account
    return Row(
        stage="image",
        image=account.image.name,
        unpacked=account.unpacked,
        pull=opened.pull,
        unique=opened.unique,
        layers=len(account.held),
        change=diff.gained if diff else None,
        dead=account.dead_bytes,
        estimated=opened.estimated,
    )


def _made(scope: Scope, opened: Opened, *, ours: bool) -> str:
    """When the image's commit was made; of another's image, when it says that it was made."""
    if ours and scope.revision.date:
        return scope.revision.date.astimezone(UTC).isoformat()
    return str(opened.account.image.config.get("created") or "")


def _trend(scope: Scope) -> tuple[Point, ...]:
    entries = history.known(scope)
    dead = {entry.key: sizes.dead for entry in entries for sizes in entry.sizes if sizes.stage == "release"}
    return tuple(
        Point(
            version=point.version,
            date=point.date,
            commit=point.commit,
            unpacked=point.unpacked,
            pull=point.pull,
            dead=dead.get((scope.settings.image, point.version, point.commit)),
        )
        for trend in trends(entries, "release")
        for point in trend.points
        if point.unpacked is not None
    )


def _limits(scope: Scope, table: size.Weighed) -> tuple[Limit, ...]:
    """Every budget: the lines of those that are broken, and what the others say."""
    bad = [one.budget for one in table.broken]
    held = [
        (budget, row)
        for budget in scope.settings.size.budgets
        for row in table.rows
        if row.stage == budget.stage and budget not in bad
    ]
    told = {budgets.describe(budget): budgets.unchecked(budget, row, table.before) for budget, row in held}
    return (
        *(Limit(one.text, True) for one in table.broken),
        *(
            Limit(f"{text} (not known: {', '.join(unknown)})" if unknown else text, False)
            for text, unknown in told.items()
        ),
    )


def _packages(found: Packages) -> tuple[Package, ...]:
    largest = sorted(found.packages, key=lambda one: (-one.size, one.name))
    return tuple(Package(one.name, one.version, one.size) for one in largest if one.size)
