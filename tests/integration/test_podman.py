"""Podman's own builder, on a real Podman: what it builds, what it says, and where secrets go."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tinyship.context.source import Context
from tinyship.engine import builder, images
from tinyship.engine.connect import Engine
from tinyship.engine.podman import PodmanBuilder
from tinyship.engine.request import BuildRequest, BuildResult, CacheEntry, Secret
from tinyship.errors import BuildFailed, ConfigError
from tinyship.events import Event, Log, Step, Transfer, ignore

pytestmark = [pytest.mark.engine, pytest.mark.needs("podman")]
_VALUE = "hush-5f3a9c1e7b"


def request(root: Path, tag: str, text: str, **more: Any) -> BuildRequest:
    """A build of a Dockerfile with this text."""
    (root / "Dockerfile").write_text(text)
    return BuildRequest(context=Context.open(root, root / "Dockerfile"), tags=(tag,), **more)


def build(engine: Engine, root: Path, tag: str, text: str, **more: Any) -> tuple[BuildResult, list[Event]]:
    """Build it with what `auto` chooses; returns what it made, and what it told."""
    told: list[Event] = []
    made = builder.choose(engine, "auto").build(request(root, tag, text, **more), told.append)
    return made, told


def lines(told: list[Event]) -> list[str]:
    """What the steps wrote."""
    return [event.line for event in told if isinstance(event, Log)]


def steps(told: list[Event]) -> list[tuple[str, str, str]]:
    """The steps that came to their end: id, first word, state."""
    return [
        (event.id, event.name.partition(" ")[0], event.state)
        for event in told
        if isinstance(event, Step) and event.state != "running"
    ]


def everything(engine: Engine, image: str) -> Iterator[tuple[str, bytes]]:
    """Every byte of an image: its config and manifest, and each file in each of its layers, by name."""
    packed = io.BytesIO(b"".join(engine.api.get_image(image)))
    with tarfile.open(fileobj=packed) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if not content:
                continue
            data = content.read()
            yield member.name, data
            if member.name.endswith((".tar", "/layer.tar")):
                with tarfile.open(fileobj=io.BytesIO(data)) as layer:
                    for entry in layer:
                        file = layer.extractfile(entry) if entry.isfile() else None
                        yield f"{member.name}: {entry.name}", file.read() if file else b""


def test_choice(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Podman is detected, and has one builder, its own, whatever the environment says; BuildKit it has none."""
    assert engine.is_podman
    assert engine.version[0].isdigit()
    assert not engine.has_buildkit
    assert builder.choose(engine, "auto").name == "podman"
    assert builder.choose(engine, "classic").name == "podman"
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    assert builder.choose(engine, "auto").name == "podman"
    with pytest.raises(ConfigError, match="this engine is Podman") as caught:
        builder.choose(engine, "buildkit")
    assert "builder: auto" in caught.value.hint


def test_steps_and_lines(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """Steps come with their numbers, what they write with their ids, and nothing of Podman's bookkeeping."""
    word = f"hello-{namespace}"  # nothing of this comes from a cache
    text = (
        f"FROM {busybox} AS a\nRUN echo {namespace}; echo aside >&2\nRUN echo -n no end\n"
        f"FROM {busybox}\nARG WORD\nCOPY --from=a /etc/passwd /p\nRUN echo $WORD\n"
    )
    made, told = build(engine, tmp_path, f"{namespace}/steps:1", text, args={"WORD": word}, labels={"b": "1", "a": "2"})
    assert steps(told)[:3] == [("1.1", "FROM", "done"), ("1.2", "RUN", "done"), ("1.3", "RUN", "done")]
    assert [name for _, name, _ in steps(told)[3:]] == ["FROM", "ARG", "COPY", "RUN", "LABEL", "LABEL"]
    assert sorted(lines(told)) == sorted([namespace, "aside", "no end", word])
    assert {event.source for event in told if isinstance(event, Log) and event.line != word} == {"1.2", "1.3"}
    assert any(isinstance(event, Transfer) and event.id == "context" and event.done for event in told)
    assert not made.cached
    image = images.find(engine, f"{namespace}/steps:1")
    assert image
    assert image.id == made.image_id
    assert image.tags == (f"{namespace}/steps:1",)
    assert image.labels == {"a": "2", "b": "1"}, "and none of Buildah's"
    for _ in range(3):  # labels in another order would spoil the cache
        made, told = build(
            engine, tmp_path, f"{namespace}/steps:1", text, args={"WORD": word}, labels={"a": "2", "b": "1"}
        )
        assert made.cached
        assert made.image_id == image.id
        assert {state for _, name, state in steps(told) if name != "FROM"} == {"cached"}
    made, _ = build(engine, tmp_path, f"{namespace}/steps:1", text, args={"WORD": word}, no_cache=True)
    assert not made.cached


def test_failing_step(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """The step, its exit code and its last lines."""
    with pytest.raises(
        BuildFailed, match="step 2/3 `RUN echo one; echo two >&2; exit 7` failed with exit code 7"
    ) as caught:
        build(
            engine, tmp_path, f"{namespace}/fails:1", f"FROM {busybox}\nRUN echo one; echo two >&2; exit 7\nRUN true\n"
        )
    assert sorted(caught.value.tail) == ["one", "two"]
    assert images.find(engine, f"{namespace}/fails:1") is None


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("COPY none /\n", r'step 2/2 `COPY none /` failed: "/none": no such file', "in the context"),
        ("RUN --mount=type=secret,id=npm,required=true true\n", 'no secret with id "?npm', "id=npm,env=NAME"),
        ("COPY --link Dockerfile /\n", "COPY (only supports|--[a-z]+ is not supported)", "newer Podman"),
        ("COPY --parents Dockerfile /\n", "COPY (only supports|--[a-z]+ is not supported)", "newer Podman"),
        ("NONSENSE\n", "(?i)unknown instruction", "newer Podman"),
    ],
    ids=["copy", "secret", "link", "parents", "unknown"],
)
def test_errors(engine: Engine, tmp_path: Path, namespace: str, busybox: str, text: str, said: str, hint: str) -> None:
    """What fails is said without Podman's own folders, and with a way out."""
    with pytest.raises(BuildFailed, match=said) as caught:
        build(engine, tmp_path, f"{namespace}/fails:1", f"FROM {busybox}\n{text}")
    assert hint in caught.value.hint
    assert "libpod" not in str(caught.value)


def test_missing_base(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """A base image that cannot be had is the failure of its FROM."""
    with pytest.raises(BuildFailed, match=r"base image localhost:1/none:1 .*connection refused") as caught:
        build(engine, tmp_path, f"{namespace}/fails:1", "FROM localhost:1/none:1\nRUN true\n")
    assert "invoke base" in caught.value.hint


def test_secret_reaches_only_its_mount(
    engine: Engine, tmp_path: Path, namespace: str, busybox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A RUN reads both kinds of secrets; not one layer, config, event or cached step of any stage has them."""
    monkeypatch.setenv("HUSH", _VALUE)
    (tmp_path / "file").write_text(f"{_VALUE}-file")
    context = tmp_path / "context"
    context.mkdir()
    (context / "a.txt").write_text(namespace)
    known = {"env.1": Secret(env="HUSH"), "PATH": Secret(file=tmp_path / "file")}
    text = (
        f"FROM {busybox} AS first\nCOPY . /first\nADD . /added\n"
        "RUN --mount=type=bind,target=/context /bin/busybox cp -r /context /bound\n"
        "RUN --mount=type=secret,id=env.1 --mount=type=secret,id=PATH,target=/tmp/two "
        "/bin/busybox sha256sum /run/secrets/env.1 /tmp/two\n"
        f"FROM {busybox}\nCOPY --from=first / /all\nCOPY . /\n"
        "RUN --mount=type=secret,id=env.1 /bin/busybox sha256sum /run/secrets/env.1\n"
    )
    tags = (f"{namespace}/first:1", f"{namespace}/secret:1")
    (context / "Dockerfile").write_text(text)
    opened = Context.open(context, context / "Dockerfile")
    told: list[Event] = []
    for tag, target in zip(tags, ("first", ""), strict=True):
        PodmanBuilder(engine).build(
            BuildRequest(context=opened, tags=(tag,), target=target, secrets=known), told.append
        )
    sums = [hashlib.sha256(value.encode()).hexdigest() for value in (_VALUE, f"{_VALUE}-file")]
    assert [line.split()[0] for line in lines(told)[:2]] == sums
    seen = 0
    for tag in tags:
        for name, data in everything(engine, tag):
            assert _VALUE.encode() not in data, name
            seen += 1
    assert seen > 20
    assert not any(_VALUE in str(event) for event in told)
    assert _VALUE not in json.dumps(engine.api.history(tags[1]))
    again = PodmanBuilder(engine).build(BuildRequest(context=opened, tags=(tags[1],), secrets=known), ignore)
    assert again.cached, "a secret's file in the context is none for COPY"


def test_secret_that_cannot_be_read(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """A secret that is not where it is said to be is named, and nothing is sent."""
    for wanted, said in (
        (Secret(env="NO_SUCH"), "NO_SUCH, which is not set"),
        (Secret(file=tmp_path / "none"), "none"),
    ):
        told: list[Event] = []
        asked = request(tmp_path, f"{namespace}/none:1", "FROM scratch\nCOPY Dockerfile /\n", secrets={"npm": wanted})
        with pytest.raises(ConfigError, match=f"the secret `npm` .*{said}"):
            PodmanBuilder(engine).build(asked, told.append)
        assert told == []


def test_options(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """Limits, the size of /dev/shm, hosts and networks arrive."""
    script = (
        "RUN ulimit -n; /bin/busybox df /dev/shm | /bin/busybox tail -n 1 | /bin/busybox tr -s ' ' | "
        "/bin/busybox cut -d ' ' -f 2; /bin/busybox grep ship /etc/hosts; /bin/busybox grep -c : /proc/net/dev\n"
    )
    more = {"shm_size": 2 << 20, "ulimits": ("nofile=100:200",), "extra_hosts": ("ship:10.1.2.3",), "no_cache": True}
    _, told = build(engine, tmp_path, f"{namespace}/options:1", f"FROM {busybox}\n{script}", **more)
    limit, size, host, *_ = lines(told)
    assert (limit, size, host.split()) == ("100", "2048", ["10.1.2.3", "ship"])
    networks = {}
    for network in ("none", "bridge", "host"):
        text = f"FROM {busybox}\nRUN /bin/busybox grep : /proc/net/dev\n"
        _, told = build(engine, tmp_path, f"{namespace}/options:2", text, network=network, no_cache=True)
        networks[network] = {line.partition(":")[0].strip() for line in lines(told)}
    assert networks["none"] == {"lo"}
    assert networks["bridge"] == {"lo", "eth0"}
    assert networks["host"] > {"lo", "eth0"}
    with pytest.raises(BuildFailed, match="nonesuch"):
        build(engine, tmp_path, f"{namespace}/options:3", text, network="nonesuch", no_cache=True)


def test_dates(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """With an epoch, all dates are that one, and building all again makes the same layers."""
    text = f"FROM {busybox}\nRUN echo {namespace} > /made\nCOPY Dockerfile /\n"
    layers = set()
    for _ in range(2):
        build(engine, tmp_path, f"{namespace}/dates:1", text, epoch=1_500_000_000, no_cache=True)
        image = images.find(engine, f"{namespace}/dates:1")
        assert image
        assert image.created
        assert image.created.timestamp() == 1_500_000_000
        layers.add(image.layers)
    assert len(layers) == 1


def test_named_image(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """A named context that is an image stands in for a FROM and a COPY --from."""
    build(engine, tmp_path, f"{namespace}/other:1", f"FROM {busybox}\nRUN echo other > /other\n")
    text = "FROM base\nCOPY --from=more /other /copied\nRUN cat /other /copied\n"
    named = f"docker-image://{namespace}/other:1"
    _, told = build(engine, tmp_path, f"{namespace}/named:1", text, contexts={"base": named, "more": named})
    assert lines(told) == ["other", "other"]


def test_cache_in_a_registry(engine: Engine, tmp_path: Path, namespace: str, busybox: str, registry: str) -> None:
    """Steps go to a repository, and come from there when the engine has them no more."""
    entry = (CacheEntry("registry", {"ref": f"{registry}/{namespace}/cache"}),)
    text = f"FROM {busybox}\nRUN echo {namespace} > /made\nRUN echo more > /more\n"
    build(engine, tmp_path, f"{namespace}/cached:1", text, cache_to=entry)
    engine.api.remove_image(f"{namespace}/cached:1")
    for image in _images_of(engine, namespace):
        engine.api.remove_image(image, force=True)
    assert _images_of(engine, namespace) == []
    made, told = build(engine, tmp_path, f"{namespace}/cached:1", text, cache_from=entry)
    assert made.cached
    assert lines(told) == []


def _images_of(engine: Engine, word: str) -> list[str]:
    """All images, those between steps too, with a word in their history."""
    ids = [image["Id"] for image in engine.api.images(all=True)]
    return [one for one in ids if any(word in str(entry.get("CreatedBy")) for entry in engine.api.history(one))]


def test_leaving_ends_the_build(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """Whoever leaves in the middle leaves no image; Podman ends the step that runs, and begins no other."""
    text = f"FROM {busybox}\nRUN echo begun; sleep 2\nRUN echo {namespace} > /more\n"

    def leave(event: Event) -> None:
        if isinstance(event, Log) and event.line == "begun":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PodmanBuilder(engine).build(request(tmp_path, f"{namespace}/left:1", text, no_cache=True), leave)
    time.sleep(4)
    assert images.find(engine, f"{namespace}/left:1") is None
    assert _images_of(engine, f"{namespace} > /more") == []
