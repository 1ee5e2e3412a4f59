"""BuildKit on a real engine, beside the classic builder: the same images, and what only BuildKit does."""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import unavailable
from tinyship.context.source import Context
from tinyship.engine import builder, containers, images
from tinyship.engine.buildkit.pipe import through
from tinyship.engine.buildkit.solve import BuildKitBuilder
from tinyship.engine.classic import ClassicBuilder
from tinyship.engine.connect import Engine
from tinyship.engine.containers import ContainerRequest
from tinyship.engine.request import BuildRequest
from tinyship.errors import BuildFailed, ConfigError, EngineError
from tinyship.events import Event, Log, Step, Transfer, ignore

pytestmark = [pytest.mark.engine, pytest.mark.needs("buildkit", "classic")]
both = pytest.mark.parametrize("kind", [BuildKitBuilder, ClassicBuilder], ids=["buildkit", "classic"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A context with all that a file system has."""
    for name, text in {"a.txt": "a", "sub/b.txt": "b", "sub/skip.log": "log", "ü.txt": "umlaut"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "link").symlink_to("sub/b.txt")
    (tmp_path / "empty").mkdir()
    for path in tmp_path.rglob("*.*"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
    (tmp_path / ".dockerignore").write_text("**/*.log\n!keep.log\nDockerfile\n.dockerignore\n")
    return tmp_path


def request(root: Path, tag: str, text: str, **more: Any) -> BuildRequest:
    """A build of a Dockerfile with this text."""
    (root / "Dockerfile").write_text(text)
    return BuildRequest(context=Context.open(root, root / "Dockerfile"), tags=(tag,), **more)


def files(engine: Engine, image: str) -> dict[str, tuple[int, int, int, int, bytes]]:
    """What is below /all in an image: type, mode, owner, time and content by name."""
    with containers.container(engine, ContainerRequest(image=image, command=("/none",))) as container:
        chunks, _ = engine.api.get_archive(container, "/all")
        packed = io.BytesIO(b"".join(chunks))
    found = {}
    with tarfile.open(fileobj=packed) as tar:
        for member in tar:
            content = tar.extractfile(member)
            text = content.read() if content else member.linkname.encode()
            time_ = int(member.mtime) if member.isfile() else 0
            found[member.name] = (member.type[0], member.mode, member.uid, time_, text)
    return found


def test_both_builders_make_the_same(engine: Engine, folder: Path, namespace: str) -> None:
    """The same files, modes, owners and times come out of both; the ignore file holds for both."""
    (folder / "unique.txt").write_text(namespace)  # nothing of this comes from a cache, which goes by size and time
    os.utime(folder / "unique.txt", (1_500_000_000, int(namespace[-7:], 16)))
    made = []
    for kind in (BuildKitBuilder, ClassicBuilder):
        tag = f"{namespace}/{kind.__name__.lower()}:1"
        kind(engine).build(request(folder, tag, "FROM scratch\nCOPY . /all\n"), ignore)
        made.append(files(engine, tag))
    assert made[0] == made[1]
    assert "all/sub/skip.log" not in made[0]
    assert "all/Dockerfile" not in made[0]
    assert made[0]["all/a.txt"][3:] == (1_500_000_000, b"a")
    assert made[0]["all/run.sh"][1] & 0o777 == 0o755


@pytest.mark.smoke
@both
def test_arguments_labels_target_and_hosts(
    engine: Engine, folder: Path, namespace: str, busybox: str, kind: type[BuildKitBuilder | ClassicBuilder]
) -> None:
    """What a request says is in the image; the target stops there."""
    text = f"FROM {busybox} AS one\nARG A\nRUN echo $A > /a && cat /etc/hosts > /hosts\nFROM one AS two\nRUN exit 1\n"
    tag = f"{namespace}/args:1"
    made = request(
        folder, tag, text, target="one", args={"A": "b=c d"}, labels={"l": "m=n"}, extra_hosts=("other:10.1.2.3",)
    )
    result = kind(engine).build(made, ignore)
    image = images.find(engine, tag)
    assert image
    assert (image.id, image.labels["l"]) == (result.image_id, "m=n")
    with containers.container(engine, ContainerRequest(image=tag, command=("cat", "/a", "/hosts"))) as container:
        tail = containers.run(engine, container, ignore, source="x").tail
    assert tail[0] == "b=c d"
    assert any("10.1.2.3" in line and "other" in line for line in tail)


@pytest.mark.smoke
@both
def test_second_build_is_cached(
    engine: Engine, folder: Path, namespace: str, busybox: str, kind: type[BuildKitBuilder | ClassicBuilder]
) -> None:
    """Nothing changed: the same image, and it is said to be cached; a changed file is noticed."""
    (folder / "a.txt").write_text(namespace)
    made = request(folder, f"{namespace}/cache:1", f"FROM {busybox}\nCOPY a.txt /\nRUN cat /a.txt\n")
    first = kind(engine).build(made, ignore)
    second = kind(engine).build(made, ignore)
    assert (first.cached, second.cached) == (False, True)
    assert second.image_id == first.image_id
    (folder / "a.txt").write_text("changed")
    assert kind(engine).build(made, ignore).image_id != first.image_id


def test_only_what_changed_is_sent(engine: Engine, folder: Path, namespace: str) -> None:
    """A later build of a context with a large file sends nothing of it.

    Not always the very next one: BuildKit lets go of its copy of the context after it has told of the build's end, and
    until then the copy serves no other build.
    """
    (folder / "large").write_bytes(os.urandom(5_000_000))
    sent: list[int] = []
    end = time.monotonic() + 120
    while len(sent) < 2 or (sent[-1] >= 5_000_000 and time.monotonic() < end):
        moved: list[Event] = []
        text = f"FROM scratch\nCOPY . /all\nLABEL n={len(sent)}\n"
        BuildKitBuilder(engine).build(request(folder, f"{namespace}/delta:1", text), moved.append)
        sent.append(max((event.current for event in moved if isinstance(event, Transfer)), default=0))
    assert sent[0] >= 5_000_000
    assert sent[-1] < 1_000, sent


def test_dockerfile_outside_of_the_context(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """The Dockerfile and its own ignore file may lie elsewhere."""
    (tmp_path / "context").mkdir()
    for name in ("in.txt", "out.txt"):
        (tmp_path / "context" / name).write_text(name)
    (tmp_path / "Dockerfile.x").write_text("FROM scratch\nCOPY . /all\n")
    (tmp_path / "Dockerfile.x.dockerignore").write_text("out.txt\n")
    context = Context.open(tmp_path / "context", tmp_path / "Dockerfile.x")
    tag = f"{namespace}/outside:1"
    BuildKitBuilder(engine).build(BuildRequest(context=context, tags=(tag,)), ignore)
    assert set(files(engine, tag)) == {"all", "all/in.txt"}


@pytest.mark.smoke
def test_cache_mounts_and_unneeded_stages(engine: Engine, folder: Path, namespace: str, busybox: str) -> None:
    """A cache mount is there again in the next build, and a stage that nothing needs is not built."""
    text = (
        f"FROM {busybox} AS unneeded\nRUN exit 1\nFROM {busybox}\nARG N\n"
        f"RUN --mount=type=cache,id={namespace},target=/cache echo $N >> /cache/list; cat /cache/list > /seen\n"
    )
    for number in ("1", "2"):
        BuildKitBuilder(engine).build(request(folder, f"{namespace}/mount:1", text, args={"N": number}), ignore)
    with containers.container(engine, ContainerRequest(image=f"{namespace}/mount:1", command=("cat", "/seen"))) as made:
        assert containers.run(engine, made, ignore, source="x").tail == ("1", "2")


@pytest.mark.smoke
@pytest.mark.needs("heredocs", "copy --link")
def test_heredocs_and_links(engine: Engine, folder: Path, namespace: str, busybox: str) -> None:
    """A script and a file in the Dockerfile itself, and a layer that stands by itself."""
    text = (
        f"FROM {busybox}\nRUN <<EOF\necho one > /seen\necho two >> /seen\nEOF\n"
        "COPY <<EOF /three\nthree\nEOF\nCOPY --link a.txt /linked/\n"
    )
    tag = f"{namespace}/heredoc:1"
    BuildKitBuilder(engine).build(request(folder, tag, text), ignore)
    asked = ContainerRequest(image=tag, command=("cat", "/seen", "/three", "/linked/a.txt"))
    with containers.container(engine, asked) as made:
        assert containers.run(engine, made, ignore, source="x").tail == ("one", "two", "three", "a")


def test_steps_and_lines_come_as_events(engine: Engine, folder: Path, namespace: str, busybox: str) -> None:
    """Each step begins and ends once, its lines are whole, and what is internal is told as such."""
    seen: list[Event] = []
    text = f"FROM {busybox}\nRUN echo one; echo -n two >&2\n"
    BuildKitBuilder(engine).build(request(folder, f"{namespace}/events:1", text, no_cache=True), seen.append)
    steps = [(event.name, event.state) for event in seen if isinstance(event, Step) and "RUN" in event.name]
    assert [state for _, state in steps] == ["running", "done"]
    assert {event.line for event in seen if isinstance(event, Log)} == {"one", "two"}
    internal = {event.name for event in seen if isinstance(event, Step) and event.internal}
    assert {"[internal] load .dockerignore", "exporting to image"} <= internal
    assert not any("RUN" in name or "FROM" in name for name in internal)


@pytest.mark.smoke
def test_failures_name_the_step(engine: Engine, folder: Path, namespace: str, busybox: str) -> None:
    """The step, its exit code and its last lines; a syntax error its line; a file that is not there its name."""
    build = BuildKitBuilder(engine).build
    tag = f"{namespace}/fails:1"
    with pytest.raises(BuildFailed, match="`RUN echo oops; exit 7` failed with exit code 7") as caught:
        build(request(folder, tag, f"FROM {busybox}\nRUN echo oops; exit 7\n"), ignore)
    assert caught.value.tail == ("oops",)
    with pytest.raises(BuildFailed, match=r"(?i)unknown instruction: NONSENSE"):
        build(request(folder, tag, "FROM scratch\nNONSENSE x\n"), ignore)
    with pytest.raises(BuildFailed, match="COPY nothing") as caught:
        build(request(folder, tag, "FROM scratch\nCOPY nothing /\n"), ignore)
    assert ".dockerignore" in caught.value.hint
    with pytest.raises(BuildFailed, match="target"):
        build(request(folder, tag, "FROM scratch\nCOPY a.txt /\n", target="absent"), ignore)
    with pytest.raises(ConfigError, match="network `mine`"):
        build(request(folder, tag, "FROM scratch\nCOPY a.txt /\n", network="mine"), ignore)
    assert images.find(engine, tag) is None


def test_unreadable_file_is_named(engine: Engine, folder: Path, namespace: str) -> None:
    """A file that cannot be sent is our error, not BuildKit's."""
    (folder / "b\udcff").write_text("x")
    with pytest.raises(Exception, match="no UTF-8"):
        BuildKitBuilder(engine).build(request(folder, f"{namespace}/x:1", "FROM scratch\nCOPY . /\n"), ignore)


def test_silence_is_survived(engine: Engine, folder: Path, namespace: str, busybox: str) -> None:
    """A step that says nothing for longer than a missed health check would be allowed ends well."""
    made = request(folder, f"{namespace}/quiet:1", f"FROM {busybox}\nRUN sleep 12\n", no_cache=True)
    BuildKitBuilder(engine).build(made, ignore)


def test_ten_at_once(engine: Engine, folder: Path, namespace: str, busybox: str) -> None:
    """Builds in parallel, of one engine's client, do not disturb each other."""
    failures: list[BaseException] = []
    (folder / "Dockerfile").write_text(f"FROM {busybox}\nARG N\nRUN sleep 0.2; echo $N > /n\n")
    context = Context.open(folder, folder / "Dockerfile")

    def one(number: int) -> None:
        try:
            made = BuildRequest(context=context, tags=(f"{namespace}/many:{number}",), args={"N": str(number)})
            BuildKitBuilder(engine).build(made, ignore)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert all(images.find(engine, f"{namespace}/many:{number}") for number in range(10))


def test_sessions_end_with_the_build(engine: Engine, folder: Path, namespace: str) -> None:
    """No connection and no thread is left of a build, whether it worked or not."""
    before = set(threading.enumerate())  # those of tests that let a connection hang end when they like
    for text in ("FROM scratch\nCOPY a.txt /\n", "FROM scratch\nCOPY nothing /\n"):
        try:
            BuildKitBuilder(engine).build(request(folder, f"{namespace}/end:1", text), ignore)
        except BuildFailed:
            assert "nothing" in text
    end = time.monotonic() + 60
    while left := [one.name for one in set(threading.enumerate()) - before if one.name.startswith("tinyship-")]:
        assert time.monotonic() < end, left
        time.sleep(0.05)


def test_choice(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is BuildKit on an engine that has it, unless the environment says otherwise."""
    if not engine.has_buildkit:
        unavailable("this engine has no BuildKit")
    assert builder.choose(engine, "auto").name == "buildkit"
    assert builder.choose(engine, "classic").name == "classic"
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    assert builder.choose(engine, "auto").name == "classic"
    assert builder.choose(engine, "buildkit").name == "buildkit"


def test_choice_where_the_way_is_barred(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a proxy that lets no upgrade through, `auto` is the classic builder."""

    def barred(path: str) -> None:
        raise EngineError(f"{path}: 403 Forbidden")

    monkeypatch.setattr("tinyship.engine.buildkit.pipe.through", lambda _: barred)
    assert builder.choose(engine, "auto").name == "classic"


def test_pipe_to_nowhere(engine: Engine) -> None:
    """A path that the engine does not upgrade is an error that says what it answered."""
    with pytest.raises(EngineError, match="/nowhere"):
        through(engine)("/nowhere")


def test_credentials_never_show(engine: Engine, folder: Path, namespace: str) -> None:
    """Credentials that BuildKit asked for, in vain, are in no message and no event."""
    from tinyship.credentials import Credential

    asked: list[str] = []

    def find(host: str) -> Credential:
        asked.append(host)
        return Credential("me", "s3cret-word", identity_token=False, source="x")

    seen: list[Event] = []
    with pytest.raises(BuildFailed) as caught:
        BuildKitBuilder(engine).build(
            request(folder, f"{namespace}/auth:1", "FROM 127.0.0.1:1/private:1\n", credentials=find), seen.append
        )
    said = json.dumps([str(event) for event in seen]) + str(caught.value)
    assert "s3cret-word" not in said
    assert base64.b64encode(b"me:s3cret-word").decode() not in said
    assert set(asked) <= {"127.0.0.1:1"}
