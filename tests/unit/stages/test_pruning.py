"""Build cache: what would go and why, and what an engine is asked for; by a fake, because a real cache is shared."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tinyship.cleaning.retention import Verdict
from tinyship.engine.cache import Record
from tinyship.errors import CleanStopped, EngineError, Refused
from tinyship.settings.removal import Clean
from tinyship.stages import pruning
from tinyship.stages.pruning import Limits
from tinyship.stages.tally import CleanInterrupted

NOW = datetime(2026, 5, 1, tzinfo=UTC)
WEEK = 7 * 86400


def record(name: str, days: float, size: int = 1000, **more: bool) -> Record:
    """A record that was last used so many days ago."""
    used = NOW - timedelta(days=days)
    return Record(name, size, more.get("in_use", False), more.get("shared", False), used)


def test_each_reason_is_a_row() -> None:
    """By age; what is in use or shared stays however old it is."""
    records = [
        record("old", 8),
        record("older", 80),
        record("new", 1),
        record("busy", 80, in_use=True),
        record("image", 80, shared=True),
        Record("undated", 1000, False, False, None),
    ]
    assert pruning.judged(records, Limits(WEEK, 0), NOW) == (
        Verdict("cache", "3 records", False, "not used for 7 days", 3000),
        Verdict("cache", "1 record", True, "used within 7 days", 1000),
        Verdict("cache", "1 record", True, "in use", 1000),
        Verdict("cache", "1 record", True, "shared with an image", 1000),
    )


def test_a_size() -> None:
    """Only so much goes that the size is left; nothing where it is not reached."""
    records = [record("old", 8, 3000), record("older", 9, 3000), record("new", 1, 2000)]
    assert pruning.judged(records, Limits(WEEK, 5000), NOW)[0] == Verdict(
        "cache", "up to 2 records", False, "not used for 7 days", 3000
    )
    assert all(one.stays for one in pruning.judged(records, Limits(WEEK, 8000), NOW))
    assert pruning.judged(records, Limits(0, 0), NOW) == (
        Verdict("cache", "3 records", False, "everything goes", 8000),
    )


class Fake:
    """An engine with a build cache; answers as the API does, and keeps what it was asked."""

    def __init__(self, *, api_version: str = "1.41", podman: bool = False) -> None:
        self.api = self
        self.api_version = api_version
        self.is_podman = podman
        self.records = {name: {"ID": name, "Size": 10, "LastUsedAt": "2020-01-01T00:00:00.123456789Z"} for name in "ab"}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.fails: BaseException | None = None

    def _url(self, path: str) -> str:
        return path

    def get(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        self.asked.append((path, params))
        return {"BuildCache": list(self.records.values())}

    def _post(self, url: str, params: dict[str, Any], timeout: float | None) -> dict[str, Any]:
        self.asked.append((url, params))
        del self.records["a"]
        if self.fails:
            raise self.fails
        return {"CachesDeleted": ["a"], "SpaceReclaimed": 10}

    def _result(self, answer: dict[str, Any], json: bool) -> dict[str, Any]:
        return answer


def scopes(root: Path, engine: Fake, **settings: Any) -> Any:
    """The one image of a project."""
    return [SimpleNamespace(root=root, engine=engine, settings=SimpleNamespace(clean=Clean(**settings)))]


def test_what_is_asked_for(tmp_path: Path) -> None:
    """The time in seconds, the size in bytes; the report has what the engine says is gone."""
    engine = Fake()
    done = pruning.clean(scopes(tmp_path, engine, cache_age="36h", cache_size="5"), yes=True)
    (prune,) = [params for url, params in engine.asked if url == "/build/prune"]
    assert (json.loads(prune["filters"]), prune["keep-storage"]) == ({"until": ["129600s"]}, 5)
    assert "all" not in prune
    assert [one.name for one in done.removed] == ["a"]
    assert done.freed == 10
    assert json.loads((tmp_path / ".tinyship" / "clean.json").read_text())["task"] == "clean.cache"


def test_neither_age_nor_size(tmp_path: Path) -> None:
    """No filter at all."""
    engine = Fake(api_version="1.44")
    pruning.clean(scopes(tmp_path, engine, cache_age=""), yes=True)
    assert ("/build/prune", {}) in engine.asked
    assert ("/system/df", {"type": "build-cache"}) in engine.asked


def test_without_yes_nothing_goes(tmp_path: Path) -> None:
    """It is everybody's."""
    engine = Fake()
    with pytest.raises(Refused, match="all projects") as raised:
        pruning.clean(scopes(tmp_path, engine))
    assert "--yes" in raised.value.hint
    assert len(engine.records) == 2


def test_nothing_to_do_needs_no_yes(tmp_path: Path) -> None:
    """And asks for nothing."""
    engine = Fake()
    done = pruning.clean(scopes(tmp_path, engine, cache_size="1GB"))
    assert done.removed == ()
    assert "/build/prune" not in [url for url, _ in engine.asked]


@pytest.mark.parametrize(
    ("fault", "raised"), [(EngineError("gone"), CleanStopped), (KeyboardInterrupt(), CleanInterrupted)]
)
def test_a_failure_in_the_middle(tmp_path: Path, fault: BaseException, raised: type[BaseException]) -> None:
    """What went before it is told."""
    engine = Fake()
    engine.fails = fault
    with pytest.raises(raised) as caught:
        pruning.clean(scopes(tmp_path, engine), yes=True)
    assert [one.name for one in caught.value.cleaned.removed] == ["a"]  # type: ignore[attr-defined]


def test_podman(tmp_path: Path) -> None:
    """Clear words."""
    with pytest.raises(Refused, match="Podman has no build cache") as raised:
        pruning.look(scopes(tmp_path, Fake(podman=True)))
    assert "podman image prune" in raised.value.hint
