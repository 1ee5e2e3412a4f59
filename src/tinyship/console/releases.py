"""Releases as text: the last one in full, and all that are known as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tinyship.codes import without_codes
from tinyship.console.tables import table
from tinyship.git.revision import SHORT
from tinyship.kept.history import moment
from tinyship.kept.record import Release, Runtime
from tinyship.units import known

if TYPE_CHECKING:
    from tinyship.stages.releases import Known

_COLUMNS = ("version", "date", "commit", "digest", "pull", "unpacked", "known from")
_SIZES = ("", "stage", "image", "unpacked", "pull", "unique", "layers")
_PLACES = {"tag": "git tag", "note": "git note", "here": "here", "registry": "registry"}
_DIGITS = 12


def release(release: Release) -> tuple[str, ...]:
    """What the record says of one image: what it is, where it is, and what it weighs."""
    head = f"{release.image} {release.version}"
    facts = [(f"  {name}", text) for name, text in _facts(release) if text]
    rows = [
        ("", one.stage, one.image, known(one.unpacked), known(one.pull), known(one.unique), str(one.layers))
        for one in release.sizes
    ]
    weights = ("", *table(_SIZES, rows, right=_SIZES[3:])) if rows else ()
    return tuple(without_codes(line) for line in (head, *table(("", ""), facts), *weights))


def known_lines(image: str, releases: Sequence[Known]) -> tuple[str, ...]:
    """What it is the list of, and a row for each release."""
    rows = [_row(one) for one in releases]
    return tuple(without_codes(line) for line in (image, *table(_COLUMNS, rows, right=("pull", "unpacked"))))


def _facts(release: Release) -> Iterator[tuple[str, str]]:
    if release.commit:
        yield "commit", f"{release.commit}{f' on {release.branch}' if release.branch else ''}"
    yield "date", release.created
    yield "source", release.source
    yield "version", "given, not from a git tag" if release.given else ""
    yield "platform", release.platform
    yield "id", release.id
    for tag in release.tags:
        yield "tag", f"{release.image}:{tag}"
    for base in release.bases:
        yield "base", f"{base.name}@{base.digest}" if base.digest else base.name
    if release.run:
        yield from _run(release.run)
    yield "smoke", "" if release.smoke is None else "it works" if release.smoke else "it does not work"
    for reference, tags in _pushed(release):
        yield "pushed", reference
        yield "", f"as {', '.join(tags)}"
    if not release.pushed:
        yield "pushed", "not yet: `invoke push`"


def _pushed(release: Release) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each ``repository@digest``, and the tags that name it there."""
    found: dict[str, list[str]] = {}
    for pushed in release.pushed:
        repository, _, tag = pushed.reference.rpartition(":")
        found.setdefault(f"{repository}@{pushed.digest}", []).append(tag)
    for reference, tags in found.items():
        yield reference, tuple(tags)


def _run(run: Runtime) -> Iterator[tuple[str, str]]:
    yield "user", run.user
    yield "runs", " ".join((*run.entrypoint, *run.command))
    yield "ports", ", ".join(run.exposed_ports)
    yield "health", "checked" if run.has_healthcheck else ""


def _row(one: Known) -> tuple[str, ...]:
    places = ", ".join(_PLACES[place] for place in one.places)
    note = ": no release is known" if one.is_tag_only else ", no git tag" if one.is_untagged else ""
    return (
        one.version,
        moment(one.date).date().isoformat() if one.date else "-",
        one.commit[:SHORT] or "-",
        one.digest.removeprefix("sha256:")[:_DIGITS] or "-",
        known(one.pull),
        known(one.unpacked),
        f"{places}{note}",
    )
