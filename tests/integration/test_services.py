"""What a build asks of us, and what it hands out, on a real engine: secrets, agents, contexts, caches, outputs."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tinyship.context.source import Context
from tinyship.engine import containers, images
from tinyship.engine.buildkit.solve import BuildKitBuilder
from tinyship.engine.connect import Engine
from tinyship.engine.containers import ContainerRequest
from tinyship.engine.request import BuildRequest, CacheEntry, Output, Secret
from tinyship.errors import ArtifactError, BuildFailed, ConfigError
from tinyship.events import Event, Notice, Step, ignore
from tinyship.registry.client import Repository
from tinyship.registry.images import pull_size

pytestmark = [pytest.mark.engine, pytest.mark.needs("buildkit")]


def request(root: Path, tag: str, text: str, **more: Any) -> BuildRequest:
    """A build of a Dockerfile with this text."""
    (root / "Dockerfile").write_text(text)
    return BuildRequest(context=Context.open(root, root / "Dockerfile"), tags=(tag,), **more)


def said(engine: Engine, image: str, *command: str) -> tuple[str, ...]:
    """What a command says in a container of an image."""
    with containers.container(engine, ContainerRequest(image=image, command=command)) as container:
        return containers.run(engine, container, ignore, source="x").tail


def everything(engine: Engine, image: str) -> bytes:
    """All that an image is: its config, its history and its layers, as `docker save` has them."""
    api = engine.api
    saved = b"".join(api.get_image(image))
    return saved + json.dumps([api.inspect_image(image), api.history(image)]).encode()


def test_secrets_reach_the_step_and_nothing_else(
    engine: Engine, tmp_path: Path, namespace: str, busybox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret of a variable and one of a file: both are there in the step, and in no layer, history or event."""
    words = [secrets.token_hex(16), secrets.token_hex(16)]
    monkeypatch.setenv("TEST_WORD", words[0])
    (tmp_path / "elsewhere").write_text(words[1])
    (tmp_path / "context").mkdir()
    text = (
        f"FROM {busybox}\nRUN --mount=type=secret,id=one --mount=type=secret,id=two,target=/two,required=true "
        "cat /run/secrets/one /two | busybox sha256sum > /seen\n"
    )
    seen: list[Event] = []
    asked = request(
        tmp_path / "context",
        f"{namespace}/secret:1",
        text,
        secrets={"one": Secret(env="TEST_WORD"), "two": Secret(file=tmp_path / "elsewhere")},
        no_cache=True,
    )
    BuildKitBuilder(engine).build(asked, seen.append)
    digest = hashlib.sha256("".join(words).encode()).hexdigest()
    assert said(engine, asked.tags[0], "cat", "/seen") == (f"{digest}  -",)
    all_of_it = everything(engine, asked.tags[0]) + str(seen).encode()
    assert not any(word.encode() in all_of_it for word in words)


def test_secret_that_the_config_lacks(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """A required secret that is not known is named in the error; one that is not required is noted."""
    tag = f"{namespace}/secret:1"
    text = f"FROM {busybox}\nRUN --mount=type=secret,id=npm-token,required=true true\n"
    with pytest.raises(BuildFailed) as caught:
        BuildKitBuilder(engine).build(request(tmp_path, tag, text, no_cache=True), ignore)
    assert "npm-token" in caught.value.hint
    assert "`secrets`" in caught.value.hint
    seen: list[Event] = []
    text = text.replace(",required=true", "")
    BuildKitBuilder(engine).build(request(tmp_path, tag, text, no_cache=True), seen.append)
    assert any(isinstance(event, Notice) and "npm-token" in event.text for event in seen)


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (Secret(env="TINYSHIP_TEST_UNSET"), "TINYSHIP_TEST_UNSET, which is not set"),
        (Secret(file=Path("/nowhere/token")), "cannot be read from /nowhere/token: No such file"),
    ],
)
def test_secret_that_is_not_there(
    engine: Engine, tmp_path: Path, namespace: str, busybox: str, secret: Secret, words: str
) -> None:
    """A secret that is not where the config says is a wrong setting, found out when it is asked for."""
    text = f"FROM {busybox}\nRUN --mount=type=secret,id=s true\n"
    asked = request(tmp_path, f"{namespace}/s:1", text, secrets={"s": secret}, no_cache=True)
    with pytest.raises(ConfigError, match="the secret `s`") as caught:
        BuildKitBuilder(engine).build(asked, ignore)
    assert words in caught.value.message


def test_secret_that_is_too_large(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """BuildKit takes 500 kB at most, and more is said to be too much."""
    (tmp_path / "large").write_bytes(b"x" * 600_000)
    text = f"FROM {busybox}\nRUN --mount=type=secret,id=s true\n"
    secret = {"s": Secret(file=tmp_path / "large")}
    with pytest.raises(ConfigError, match="600000 bytes"):
        BuildKitBuilder(engine).build(
            request(tmp_path, f"{namespace}/s:1", text, secrets=secret, no_cache=True), ignore
        )


@pytest.fixture
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a real SSH agent that has a fresh key."""
    folder = tmp_path_factory.mktemp("agent")
    path = folder / "agent.sock"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not path.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
        subprocess.run(["ssh-add", "-q", folder / "key"], env={**os.environ, "SSH_AUTH_SOCK": str(path)}, check=True)
        yield path
    finally:
        process.terminate()
        process.wait()


def with_libraries(program: str, root: Path) -> None:
    """Copy a program of this machine, and the libraries that it needs, to the same places below a folder."""
    found = shutil.which(program)
    assert found
    listed = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
    for path in [found, *(word for word in listed.split() if word.startswith("/"))]:
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def test_ssh_agent_is_forwarded(engine: Engine, tmp_path: Path, namespace: str, busybox: str, agent: Path) -> None:
    """A step asks our agent for its keys, by the default id and by a name."""
    with_libraries("ssh-add", tmp_path / "root")
    text = (
        f"FROM {busybox}\nENV PATH=/bin:/usr/bin\nCOPY root /\nRUN --mount=type=ssh ssh-add -L > /default\n"
        "RUN --mount=type=ssh,id=other,required=true ssh-add -L > /other\n"
    )
    asked = request(tmp_path, f"{namespace}/ssh:1", text, ssh={"default": agent, "other": agent}, no_cache=True)
    BuildKitBuilder(engine).build(asked, ignore)
    key = (agent.parent / "key.pub").read_text().strip()
    assert said(engine, asked.tags[0], "cat", "/default", "/other") == (key, key)


def test_ssh_agent_that_is_not_there(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """An agent that does not answer is a wrong setting; one that the config lacks is named."""
    text = f"FROM {busybox}\nRUN --mount=type=ssh,required=true true\n"
    nobody = {"default": tmp_path / "none.sock"}
    with pytest.raises(ConfigError, match="no SSH agent answers"):
        BuildKitBuilder(engine).build(request(tmp_path, f"{namespace}/s:1", text, ssh=nobody, no_cache=True), ignore)
    with pytest.raises(BuildFailed) as caught:
        BuildKitBuilder(engine).build(request(tmp_path, f"{namespace}/s:1", text, no_cache=True), ignore)
    assert "`default`" in caught.value.hint
    assert "`ssh`" in caught.value.hint


@pytest.mark.needs("buildkit of 23")
def test_named_contexts(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """A folder and an image under names of their own; the folder's ignore file holds."""
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "in.txt").write_text("in")
    (assets / "out.txt").write_text("out")
    (assets / ".dockerignore").write_text("out.txt\n")
    (tmp_path / "context").mkdir()
    asked = request(
        tmp_path / "context",
        f"{namespace}/named:1",
        "FROM base\nCOPY --from=assets . /all/\n",
        contexts={"assets": assets, "base": f"docker-image://{busybox}"},
    )
    BuildKitBuilder(engine).build(asked, ignore)
    assert said(engine, asked.tags[0], "ls", "/all") == ("in.txt",)


@pytest.mark.needs("buildkit of 20.10")
def test_what_an_old_engine_does_not_know(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """What its BuildKit would leave out in silence is an error that names the setting."""
    asked: dict[str, Any]
    for asked in (
        {"contexts": {"a": tmp_path}},
        {"ulimits": ("nofile=1",)},
        {"shm_size": 1},
        {"attests": {"sbom": ""}},
    ):
        with pytest.raises(ConfigError, match=f"does not know `{next(iter(asked))}`"):
            BuildKitBuilder(engine).build(request(tmp_path, f"{namespace}/x:1", "FROM scratch\n", **asked), ignore)


@pytest.mark.needs("buildkit of 23")
def test_limits_of_steps(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """The size of /dev/shm and ulimits hold in RUN."""
    text = f"FROM {busybox}\nRUN cat /proc/self/limits > /limits; cat /proc/mounts > /mounts\n"
    asked = request(tmp_path, f"{namespace}/l:1", text, shm_size=33_554_432, ulimits=("nofile=123:456",), no_cache=True)
    BuildKitBuilder(engine).build(asked, ignore)
    with containers.container(
        engine, ContainerRequest(image=asked.tags[0], command=("cat", "/limits", "/mounts"))
    ) as c:
        seen: list[Event] = []
        containers.run(engine, c, seen.append, source="x")
    text = str(seen)
    assert "size=32768k" in text
    assert any(" ".join(line.split()).endswith("123 456 files") for line in text.replace("'", "\n").splitlines())


def test_no_cache_for_one_stage(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """Only the steps of the named stage are built again."""
    text = f"FROM {busybox} AS one\nRUN echo {namespace} > /one\nFROM one AS two\nRUN echo {namespace} > /two\n"
    tag = f"{namespace}/filter:1"
    BuildKitBuilder(engine).build(request(tmp_path, tag, text), ignore)
    seen: list[Event] = []
    BuildKitBuilder(engine).build(request(tmp_path, tag, text, no_cache_filter=("two",)), seen.append)
    states = {event.id: event.state for event in seen if isinstance(event, Step) and "RUN" in event.name}
    assert set(states.values()) == {"cached", "done"}


def test_pull_asks_the_registry(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """With `pull` an image that is only here is not to be had."""
    api = engine.api
    api.tag(busybox, f"127.0.0.1:1/{namespace}/base", "1")
    text = f"FROM 127.0.0.1:1/{namespace}/base:1\n"
    BuildKitBuilder(engine).build(request(tmp_path, f"{namespace}/pull:1", text), ignore)
    with pytest.raises(BuildFailed, match="not to be had"):
        BuildKitBuilder(engine).build(request(tmp_path, f"{namespace}/pull:1", text, pull=True), ignore)


@pytest.mark.needs("buildkit of 24")
def test_dates_are_the_epoch(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """The image's date is the one that is asked for, where the engine's BuildKit knows how."""
    asked = request(tmp_path, f"{namespace}/epoch:1", "FROM scratch\nCOPY Dockerfile /\n", epoch=1_500_000_000)
    BuildKitBuilder(engine).build(asked, ignore)
    found = images.find(engine, asked.tags[0])
    assert found
    assert found.created
    assert found.created.timestamp() == 1_500_000_000


def test_files_into_a_folder(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """The files of the image lie in the folder, beside what was there; owners are ours, links are kept."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").write_text("tool")
    (tmp_path / "bin" / "tool").chmod(0o750)
    (tmp_path / "bin" / "link").symlink_to("/bin/tool")
    dest = tmp_path / "out"
    (dest / "bin").mkdir(parents=True)
    (dest / "bin" / "mine").write_text("mine")
    (dest / "bin" / "tool").write_text("old")
    output = Output("local", dest=dest)
    asked = request(tmp_path, f"{namespace}/out:1", "FROM scratch\nCOPY bin /bin\n", outputs=(output,))
    BuildKitBuilder(engine).build(asked, ignore)
    assert sorted(path.name for path in (dest / "bin").iterdir()) == ["link", "mine", "tool"]
    assert (dest / "bin" / "tool").read_text() == "tool"
    assert (dest / "bin" / "tool").stat().st_mode & 0o777 == 0o750
    assert (dest / "bin" / "link").readlink() == Path("/bin/tool")
    assert images.find(engine, asked.tags[0])
    assert not list(tmp_path.glob(".tinyship-*"))


def test_whole_file_system_into_a_folder(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """A base image's links, devices and modes come out, or stay out, without harm."""
    asked = request(tmp_path, f"{namespace}/out:2", f"FROM {busybox}\nRUN chmod 4755 /bin/busybox\n")
    dest = tmp_path / "deep" / "out"
    BuildKitBuilder(engine).build(
        request(tmp_path, asked.tags[0], f"FROM {busybox}\n", outputs=(Output("local", dest=dest),)), ignore
    )
    assert (dest / "bin" / "sh").is_symlink()
    assert (dest / "bin" / "busybox").stat().st_uid == os.getuid()


def test_folder_that_cannot_be_written(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """What stands in the way is named, and stays."""
    (tmp_path / "file").write_text("x")
    for dest in (tmp_path / "file" / "out", tmp_path / "file"):
        asked = request(
            tmp_path, f"{namespace}/out:3", "FROM scratch\nCOPY file /\n", outputs=(Output("local", dest=dest),)
        )
        with pytest.raises(ArtifactError, match="cannot be written"):
            BuildKitBuilder(engine).build(asked, ignore)
    assert (tmp_path / "file").read_text() == "x"


def test_files_into_a_tar(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """A tar of the files, which replaces an older one."""
    dest = tmp_path / "out" / "files.tar"
    for word in ("one", "two"):
        (tmp_path / "file").write_text(word)
        asked = request(
            tmp_path, f"{namespace}/tar:1", "FROM scratch\nCOPY file /\n", outputs=(Output("tar", dest=dest),)
        )
        BuildKitBuilder(engine).build(asked, ignore)
        with tarfile.open(dest) as tar:
            content = tar.extractfile("file")
            assert content
            assert content.read() == word.encode()
    assert [path.name for path in dest.parent.iterdir()] == ["files.tar"]


@pytest.mark.needs("containerd")
def test_archives_of_the_image(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """OCI and docker archives, beside the image in the engine; several outputs of one build."""
    outputs = (
        Output("oci", {}, tmp_path / "oci.tar"),
        Output("docker", {"name": "x/y:1"}, tmp_path / "docker.tar"),
        Output("local", {}, tmp_path / "files"),
    )
    asked = request(tmp_path, f"{namespace}/many:1", "FROM scratch\nCOPY Dockerfile /\n", outputs=outputs)
    result = BuildKitBuilder(engine).build(asked, ignore)
    with tarfile.open(tmp_path / "oci.tar") as tar:
        assert {"oci-layout", "index.json"} <= set(tar.getnames())
    with tarfile.open(tmp_path / "docker.tar") as tar:
        manifest = tar.extractfile("manifest.json")
        assert manifest
        assert json.load(manifest)[0]["RepoTags"] == ["x/y:1"]
    assert (tmp_path / "files" / "Dockerfile").is_file()
    assert len(result.responses) == 4


@pytest.mark.needs("graph-driver")
def test_archive_that_the_engine_cannot_make(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """A graph-driver engine makes no OCI archive, and the error names the setting."""
    asked = request(
        tmp_path, f"{namespace}/x:1", "FROM scratch\nCOPY . /\n", outputs=(Output("oci", {}, tmp_path / "x.tar"),)
    )
    with pytest.raises(ConfigError, match="`outputs` of type oci"):
        BuildKitBuilder(engine).build(asked, ignore)


@pytest.mark.needs("containerd")
def test_push_from_the_builder(engine: Engine, tmp_path: Path, namespace: str, registry: str) -> None:
    """The builder pushes by itself, under a name or by digest alone, and tells the digest."""
    name = f"{registry}/{namespace}/direct"
    (tmp_path / "unique").write_text(namespace)
    outputs = (
        Output("image", {"name": f"{name}:1", "push": "true", "registry.insecure": "true"}),
        Output("image", {"name": name, "push": "true", "push-by-digest": "true", "registry.insecure": "true"}),
    )
    asked = request(tmp_path, f"{namespace}/direct:1", "FROM scratch\nCOPY unique /\n", outputs=outputs)
    result = BuildKitBuilder(engine).build(asked, ignore)
    digest = result.responses[1]["containerimage.digest"]
    with Repository(name, credential=None) as repository:
        assert pull_size(repository, digest) > 0
    assert result.responses[2]["containerimage.digest"] == digest


def cached_runs(engine: Engine, asked: BuildRequest) -> list[str]:
    """How the RUN steps of a build ended."""
    seen: list[Event] = []
    BuildKitBuilder(engine).build(asked, seen.append)
    last = {event.id: event.state for event in seen if isinstance(event, Step) and "RUN" in event.name}
    return list(last.values())


def prune(engine: Engine, asked: BuildRequest, mark: str) -> None:
    """Let the engine forget an image, and what it cached of steps that this is in; other tests' caches stay."""
    engine.api.remove_image(asked.tags[0], force=True)
    url = engine.api._url("/build/prune")
    end = time.monotonic() + 60
    while left := [it["ID"] for it in engine.api.df()["BuildCache"] or () if mark in it["Description"]]:
        assert time.monotonic() < end, "BuildKit does not let go of what it cached"
        for one in left:
            engine.api._raise_for_status(
                engine.api._post(url, params={"all": "1", "filters": json.dumps({"id": [one]})})
            )


@pytest.mark.needs("containerd")
@pytest.mark.parametrize("kind", ["local", "registry"])
def test_cache_comes_back(
    engine: Engine, tmp_path: Path, namespace: str, busybox: str, registry: str, kind: str
) -> None:
    """Steps are taken from a folder, or a registry, that an earlier build put them into."""
    reference = f"{registry}/{namespace}/cache:1"
    folder = tmp_path / "übrig"
    to = {"local": {"dest": str(folder)}, "registry": {"ref": reference, "registry.insecure": "true"}}[kind]
    source = {"local": {"src": str(folder)}, "registry": {"ref": reference, "registry.insecure": "true"}}[kind]
    (tmp_path / "context").mkdir()
    text = f"FROM {busybox}\nRUN echo {namespace}-{kind} > /x\nRUN echo {namespace} more >> /x\n"
    tag = f"{namespace}/cached:1"
    first = request(
        tmp_path / "context",
        tag,
        text,
        cache_to=(CacheEntry(kind, {**to, "mode": "max"}),),
        cache_from=(CacheEntry(kind, source),),
    )
    assert cached_runs(engine, first) == ["done", "done"]
    prune(engine, first, namespace)
    again = request(tmp_path / "context", tag, text, cache_from=(CacheEntry(kind, source),))
    assert cached_runs(engine, again) == ["cached", "cached"]
    if kind == "local":
        assert json.loads((folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
        assert not list(folder.glob(".incoming-*"))


def test_cache_in_the_image(engine: Engine, tmp_path: Path, namespace: str, busybox: str, registry: str) -> None:
    """An inline cache goes with the image, on every image store, and is taken from the registry."""
    tag = f"{registry}/{namespace}/inline:1"
    text = f"FROM {busybox}\nRUN echo {namespace} > /x\n"
    asked = request(tmp_path, tag, text, cache_to=(CacheEntry("inline", {}),))
    assert cached_runs(engine, asked) == ["done"]
    engine.client.images.push(f"{registry}/{namespace}/inline", tag="1")
    prune(engine, asked, namespace)
    again = request(tmp_path, tag, text, cache_from=(CacheEntry("registry", {"ref": tag}),))
    assert cached_runs(engine, again) == ["cached"]


@pytest.mark.needs("containerd")
def test_several_platforms(engine: Engine, tmp_path: Path, namespace: str, registry: str) -> None:
    """Two platforms in one solve, under one index in the engine."""
    text = "FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /$TARGETARCH\n"
    asked = request(
        tmp_path,
        f"{namespace}/multi:1",
        text,
        platforms=("linux/amd64", "linux/arm64"),
        outputs=(Output("local", {}, tmp_path / "files"),),
    )
    BuildKitBuilder(engine).build(asked, ignore)
    found = sorted(str(path.relative_to(tmp_path / "files")) for path in (tmp_path / "files").rglob("*"))
    assert found == ["linux_amd64", "linux_amd64/amd64", "linux_arm64", "linux_arm64/arm64"]


@pytest.mark.needs("containerd")
def test_provenance(engine: Engine, tmp_path: Path, namespace: str) -> None:
    """An attestation lies beside the image, where the image store can hold it."""
    asked = request(
        tmp_path,
        f"{namespace}/attest:1",
        "FROM scratch\nCOPY Dockerfile /\n",
        attests={"provenance": "mode=min"},
        outputs=(Output("oci", {}, tmp_path / "oci.tar"),),
    )
    BuildKitBuilder(engine).build(asked, ignore)
    with tarfile.open(tmp_path / "oci.tar") as tar:
        blobs = [member.name for member in tar if member.isfile()]
        contents = [tar.extractfile(name) for name in blobs]
        assert any(b"attestation-manifest" in content.read() for content in contents if content)
