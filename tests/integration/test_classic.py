"""What the classic builder takes of a request, and what it says to features of BuildKit's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tinyship.context.source import Context
from tinyship.engine import images
from tinyship.engine.classic import ClassicBuilder
from tinyship.engine.connect import Engine
from tinyship.engine.request import BuildRequest, CacheEntry
from tinyship.errors import BuildFailed
from tinyship.events import Event, Log, Notice

pytestmark = [pytest.mark.engine, pytest.mark.needs("classic")]


def build(engine: Engine, root: Path, tag: str, text: str, **more: Any) -> tuple[bool, list[Event]]:
    """Build a Dockerfile with this text; returns whether all was cached, and what was told."""
    (root / "Dockerfile").write_text(text)
    told: list[Event] = []
    request = BuildRequest(context=Context.open(root, root / "Dockerfile"), tags=(tag,), **more)
    return ClassicBuilder(engine).build(request, told.append).cached, told


def lines(told: list[Event]) -> list[str]:
    """What the steps wrote."""
    return [event.line for event in told if isinstance(event, Log)]


def test_options(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """Limits, the size of /dev/shm, hosts, the network, the platform and the fresh start arrive."""
    script = (
        "RUN ulimit -n; ulimit -Hn; /bin/busybox df /dev/shm | /bin/busybox tail -n 1 | /bin/busybox tr -s ' ' | "
        "/bin/busybox cut -d ' ' -f 2; /bin/busybox grep ship /etc/hosts; /bin/busybox grep -c : /proc/net/dev\n"
    )
    architecture = getattr(images.find(engine, busybox), "architecture", "")
    options = {
        "shm_size": 2 << 20,
        "ulimits": ("nofile=100:200", "core=0"),
        "extra_hosts": ("ship:10.1.2.3",),
        "network": "none",
        "no_cache": True,
        "platforms": (f"linux/{architecture}",),
        "epoch": 1,
    }
    for _ in range(2):
        cached, told = build(engine, tmp_path, f"{namespace}/options:1", f"FROM {busybox}\n{script}", **options)
        assert not cached
        soft, hard, size, *host, devices = lines(told)
        assert (soft, hard, size, devices) == ("100", "200", "2048", "1")
        assert [line.split() for line in host] in ([["10.1.2.3", "ship"]], [])  # no network, no file of hosts
    image = images.find(engine, f"{namespace}/options:1")
    assert image
    assert image.created
    assert image.created.year > 1970, "dates are this builder's own"


def test_cache_from_an_image(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """Steps are taken from an image, and from no other once one is named; one that is not there is told of."""
    text = f"FROM {busybox}\nRUN echo {namespace} > /made\n"
    build(engine, tmp_path, f"{namespace}/first:1", text)
    there, missing = ((CacheEntry("registry", {"ref": f"{namespace}/{name}"}),) for name in ("first:1", "none:1"))
    cached, told = build(engine, tmp_path, f"{namespace}/second:1", text, cache_from=there)
    assert cached
    assert not any(isinstance(event, Notice) and "cache_from" in event.text for event in told)
    cached, told = build(engine, tmp_path, f"{namespace}/second:1", text, cache_from=missing)
    notices = [event.text for event in told if isinstance(event, Notice)]
    assert [text for text in notices if not text.startswith("the engine warns")] == [
        f"`cache_from`: {namespace}/none:1 is not in the engine, and the classic builder pulls none"
    ]


def test_pull(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """A base image that the engine has is asked for again, and that fails where its registry has none."""
    reference = f"localhost:1/{namespace}/base:1"
    found = images.find(engine, busybox)
    assert found
    images.tag(engine, found.id, reference)
    build(engine, tmp_path, f"{namespace}/pull:1", f"FROM {reference}\nRUN true\n")
    with pytest.raises(BuildFailed, match=r"connection refused|dial tcp"):
        build(engine, tmp_path, f"{namespace}/pull:1", f"FROM {reference}\nRUN true\n", pull=True)


def test_error_of_buildkits_features(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """What it says itself of a feature that comes late, with an ONBUILD, has the way out."""
    text = f"FROM {busybox}\nONBUILD RUN --mount=type=cache,target=/c true\n"
    build(engine, tmp_path, f"{namespace}/late:1", text)
    with pytest.raises(BuildFailed, match="BuildKit") as caught:
        build(engine, tmp_path, f"{namespace}/late:2", f"FROM {namespace}/late:1\nRUN true\n")
    assert "This needs BuildKit" in caught.value.hint
