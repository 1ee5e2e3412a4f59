"""Trends: which images there are, in which order their releases come, and what they gained."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.kept.test_history import ENTRY, entry

from tinyship.kept.history import Entry
from tinyship.kept.record import Sizes
from tinyship.kept.trend import trends


def release(version: str, unpacked: int, pull: int | None = None, *, created: str = "", at: int = 0) -> Entry:
    """A release with a size."""
    sizes = (Sizes("release", f"lacion/foo:{version}", unpacked, pull, None, 2),)
    return replace(entry(version, "a", at=at), created=created, sizes=sizes)


def test_changes() -> None:
    """Each is measured against the one before, where both are known."""
    (trend,) = trends([release("1", 10, 5, at=1), release("2", 30, at=2), release("3", 20, 7, at=3)], "release")
    assert (trend.image, trend.stage) == ("lacion/foo", "release")
    assert [point.unpacked_change for point in trend.points] == [None, 20, -10]
    assert [point.pull for point in trend.points] == [5, None, 7]
    assert [point.pull_change for point in trend.points] == [None, None, None]
    (trend,) = trends([release("1", 10, 5, at=1), release("2", 30, 4, at=2)], "release")
    assert trend.points[1].pull_change == -1


def test_order_is_that_of_the_commits() -> None:
    """An old version that is released again stays where it was."""
    old = release("1", 10, created="2026-01-01T00:00:00+02:00", at=9)
    new = release("2", 20, created="2026-01-01T00:00:00+01:00", at=1)
    dirty = release("2-dirty", 25, created="2026-01-01T00:00:00+01:00", at=2)
    undated = release("3", 30, at=3)
    (trend,) = trends([undated, dirty, new, old], "release")
    assert [point.version for point in trend.points] == ["1", "2", "2-dirty", "3"]
    assert trend.points[3].date == undated.recorded


def test_bases_by_name_others_by_image() -> None:
    """Each base has a trend; a release has one whatever its tag."""
    sizes = (Sizes("base", "b:1", 1, None, None, 1), Sizes("base", "b:2", 2, None, None, 1), *ENTRY.sizes)
    entries = [replace(ENTRY, sizes=sizes), replace(ENTRY, image="lacion/bar", sizes=ENTRY.sizes)]
    assert [trend.image for trend in trends(entries, "base")] == ["b:1", "b:2"]
    assert [trend.image for trend in trends(entries, "release")] == ["lacion/foo", "lacion/bar"]
    assert trends(entries, "build") == ()
    assert trends([], "release") == ()


def test_last() -> None:
    """The latest few keep their change against the one that is no longer shown."""
    (trend,) = trends([release(f"{number}", number * number, at=number) for number in range(5)], "release")
    assert [point.unpacked_change for point in trend.last(2).points] == [5, 7]
    assert trend.last(0) == trend.last(5) == trend.last(50) == trend
