"""From settings to requests: paths, variables and agents of this machine, and what is asked for in which stage."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tinyship.engine.connect import Engine
from tinyship.engine.request import BuildRequest, CacheEntry, Output, Secret
from tinyship.errors import ConfigError
from tinyship.plan import Action
from tinyship.settings.load import Layer, load
from tinyship.stages import base, building, release
from tinyship.stages import build as build_stage
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tests.conftest import Repository


def no_engine() -> Engine:
    """An engine that nothing here may ask for."""
    raise AssertionError("the engine was asked")


def scope_of(root: Path, **values: Any) -> Scope:
    """An image in a folder that has a Dockerfile."""
    if not (root / "Dockerfile").exists():
        (root / "Dockerfile").write_text("FROM scratch\n")
    section = {"image": "lacion/foo", "version": {"literal": "1"}, **values}
    (loaded,) = load([Layer("invoke.yaml", section)], environ={})
    return Scope(root, loaded.settings, origins=loaded.origins, connect=no_engine)


def asked(root: Path, **values: Any) -> BuildRequest:
    """What the release stage of an image with these settings asks for."""
    return building.of_release(scope_of(root, **values), "lacion/foo:local")


def refused(root: Path, **values: Any) -> ConfigError:
    """Why a release with these settings is not asked for."""
    scope = scope_of(root, **values)
    with pytest.raises(ConfigError) as caught:
        release.check(scope)
    assert "\n" not in caught.value.message
    return caught.value


def test_plain(tmp_path: Path) -> None:
    """Without settings nothing is asked for but the image and the labels."""
    request = asked(tmp_path)
    assert request.tags == ("lacion/foo:local",)
    assert request.labels["tinyship.stage"] == "release"
    assert request.context.root == tmp_path
    plain = BuildRequest(context=request.context, tags=request.tags, labels=request.labels, state=tmp_path)
    assert request == BuildRequest(**{**fields_of(plain), "credentials": request.credentials})


def fields_of(request: BuildRequest) -> dict[str, Any]:
    """The fields of a request by their names."""
    return {name: getattr(request, name) for name in BuildRequest.__struct_fields__}


def test_what_is_passed_on(tmp_path: Path) -> None:
    """Settings that need no reading arrive as they are; sizes in bytes."""
    request = asked(
        tmp_path,
        network="none",
        extra_hosts=["a:1.2.3.4"],
        no_cache=True,
        no_cache_filter=["x"],
        pull=True,
        platforms=["linux/amd64", "linux/arm64"],
        shm_size="128MB",
        ulimits=["nofile=1:2"],
        attests=["type=provenance,mode=max", "type=sbom"],
    )
    assert (request.network, request.extra_hosts) == ("none", ("a:1.2.3.4",))
    assert (request.no_cache, request.no_cache_filter, request.pull) == (True, ("x",), True)
    assert request.platforms == ("linux/amd64", "linux/arm64")
    assert (request.shm_size, request.ulimits) == (128_000_000, ("nofile=1:2",))
    assert request.attests == {"provenance": "mode=max", "sbom": ""}


def test_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: Path) -> None:
    """Paths are the project's, or as a shell would have them; an id alone is a variable where there is one."""
    monkeypatch.setenv("SET", "s3cret")
    monkeypatch.delenv("UNSET", raising=False)
    entries = [
        "id=a,env=TOKEN",
        "id=b,src=x/y",
        "id=c,src=~/x",
        "id=d,src=$HOME/y",
        "id=e,src=/z",
        "id=SET",
        "id=UNSET",
    ]
    secrets = asked(tmp_path, secrets=entries).secrets
    assert secrets == {
        "a": Secret(env="TOKEN"),
        "b": Secret(file=tmp_path / "x" / "y"),
        "c": Secret(file=environment / "x"),
        "d": Secret(file=environment / "y"),
        "e": Secret(file=Path("/z")),
        "SET": Secret(env="SET"),
        "UNSET": Secret(file=tmp_path / "UNSET"),
    }
    assert "s3cret" not in repr(secrets)


SSH = "FROM scratch\nRUN --mount=type=ssh x\n"


def test_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent is a socket: that of the environment, or one at a path with variables in it."""
    (tmp_path / "Dockerfile").write_text(SSH)
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind("agent.sock")  # relative: the whole path may be too long for a socket's name
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent.sock"))
        monkeypatch.setenv("WHERE", str(tmp_path))
        found = asked(tmp_path, ssh=["default", "other=$WHERE/agent.sock", "third=agent.sock"]).ssh
    assert found == dict.fromkeys(["default", "other", "third"], tmp_path / "agent.sock")


def test_ssh_without_an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Dockerfile that mounts no agent needs none; one that does says what is missing, and names `ssh-add`."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert asked(tmp_path, ssh=["default"]).ssh == {}
    (tmp_path / "Dockerfile").write_text(SSH)
    unset = refused(tmp_path, ssh=["default"])
    assert unset.message == "invoke.yaml: `tinyship.ssh`: `default` is the agent of SSH_AUTH_SOCK, which is not set"
    assert "`ssh-add`" in unset.hint
    missing = refused(tmp_path, ssh=["default=absent"])
    assert missing.message.startswith(f"invoke.yaml: `tinyship.ssh`: there is no agent at {tmp_path}/absent")
    (tmp_path / "id_ed25519").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\ns3cret\n")
    key = refused(tmp_path, ssh=["work=id_ed25519"])
    assert key.message == f"invoke.yaml: `tinyship.ssh`: {tmp_path}/id_ed25519 is no agent's socket"
    assert key.hint == f"Give a private key to an agent, `ssh-add {tmp_path}/id_ed25519`, and let `ssh` be `[work]`."


def test_contexts(tmp_path: Path) -> None:
    """Folders are the project's, images stay what they are."""
    contexts = asked(tmp_path, contexts=["lib=../lib", "base=docker-image://alpine:3.22"]).contexts
    assert contexts == {"lib": tmp_path / "../lib", "base": "docker-image://alpine:3.22"}


def test_context_that_is_not_there(tmp_path: Path) -> None:
    """A folder is missed only when the build comes, since an earlier stage may make it, and only where it is used."""
    scope = scope_of(tmp_path, contexts=["lib=absent"])
    release.check(scope)
    with pytest.raises(AssertionError, match="the engine was asked"):
        building.build(scope, building.of_release(scope, "x:local"))
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY --from=lib x /\n")
    release.check(scope)
    with pytest.raises(ConfigError) as caught:
        building.build(scope, building.of_release(scope, "x:local"))
    assert caught.value.message == f"invoke.yaml: `tinyship.contexts`: there is no folder {tmp_path}/absent"


def test_caches(tmp_path: Path, environment: Path) -> None:
    """Folders of caches are absolute; each stage puts to its own place, and takes from all."""
    scope = scope_of(
        tmp_path,
        cache_from=["a.example/x:c", "type=local,src=cache"],
        cache_to=["type=local,dest=~/cache,mode=max"],
        base=[{"name": "b", "dockerfile": "Dockerfile", "cache_to": ["type=inline"]}],
        build={"dockerfile": "Dockerfile", "cache_to": ["a.example/x:build"]},
    )
    assert scope.settings.build
    made = (
        building.of_base(scope, scope.settings.base[0]),
        building.of_build(scope, scope.settings.build),
        building.of_release(scope, "x:local"),
    )
    taken = (CacheEntry("registry", {"ref": "a.example/x:c"}), CacheEntry("local", {"src": str(tmp_path / "cache")}))
    assert [request.cache_from for request in made] == [taken] * 3
    assert [request.cache_to for request in made] == [
        (CacheEntry("inline", {}),),
        (CacheEntry("registry", {"ref": "a.example/x:build"}),),
        (CacheEntry("local", {"dest": str(environment / "cache"), "mode": "max"}),),
    ]


def test_outputs(tmp_path: Path) -> None:
    """Outputs lie below the project's folder; those of the build stage are its own."""
    scope = scope_of(
        tmp_path,
        release={"outputs": ["out", "type=registry,name=a.example/x:1"]},
        build={"dockerfile": "Dockerfile", "outputs": ["type=tar,dest=x.tar"]},
    )
    assert scope.settings.build
    assert building.of_release(scope, "x").outputs == (
        Output("local", {}, tmp_path / "out"),
        Output("image", {"name": "a.example/x:1", "push": "true"}),
    )
    assert building.of_build(scope, scope.settings.build).outputs == (Output("tar", {}, tmp_path / "x.tar"),)


def test_output_through_a_link(tmp_path: Path) -> None:
    """A link that leads out of the project is no way out of it."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "link").symlink_to(tmp_path)
    error = refused(tmp_path / "project", release={"outputs": ["link/out"]})
    assert error.message == ("invoke.yaml: `tinyship.release.outputs`: `link/out` leads out of the project by a link")


def test_platforms_and_attestations_are_the_release_s(tmp_path: Path, repository: Repository) -> None:
    """A base has platforms of its own, the build stage none; dates and attestations are those of the release."""
    repository.commit()
    scope = scope_of(
        repository.root,
        platforms=["linux/arm64"],
        attests=["type=sbom"],
        base=[{"name": "b", "dockerfile": "Dockerfile", "platforms": ["linux/amd64"]}],
        build={"dockerfile": "Dockerfile"},
    )
    assert scope.settings.build
    made = (
        building.of_base(scope, scope.settings.base[0]),
        building.of_build(scope, scope.settings.build),
        building.of_release(scope, "x:local"),
    )
    assert [request.platforms for request in made] == [("linux/amd64",), (), ("linux/arm64",)]
    assert [bool(request.attests) for request in made] == [False, False, True]
    assert [request.epoch for request in made] == [None, None, int(repository.git("log", "-1", "--format=%ct"))]


@pytest.mark.parametrize(
    ("text", "pulls"),
    [
        ("FROM alpine:3.22", True),
        ("FROM lacion/base", False),
        ("FROM lacion/base:latest", False),
        ("FROM lacion/base:other", True),
        ("FROM lacion/foo:build AS x\nFROM scratch", False),
        ("FROM api", False),
        ("FROM remote", True),
        ("FROM alpine:3.22 AS a\nFROM lacion/pulled:1", True),
    ],
)
def test_pull_spares_what_is_made_here(tmp_path: Path, text: str, pulls: bool) -> None:
    """A registry is never asked for an image that the project makes itself."""
    (tmp_path / "Dockerfile").write_text(text)
    request = asked(
        tmp_path,
        pull=True,
        base=[
            {"name": "lacion/base:latest", "dockerfile": "Dockerfile"},
            {"name": "lacion/pulled:1", "pull": "sha256:" + "0" * 64},
        ],
        build={"dockerfile": "Dockerfile"},
        contexts=["api=docker-image://lacion/api:local", "remote=docker-image://alpine:3.22"],
    )
    assert request.pull is pulls


def test_certificates_have_to_be_there(tmp_path: Path) -> None:
    """A certificate that is no file is named before anything is made."""
    error = refused(tmp_path, builder="tcp://127.0.0.1:1", builder_tls={"ca": "absent.pem"})
    assert error.message == f"invoke.yaml: `tinyship.builder_tls.ca`: there is no file {tmp_path}/absent.pem"
    (tmp_path / "ca.pem").write_text("x")
    release.check(scope_of(tmp_path, builder="tcp://127.0.0.1:1", builder_tls={"ca": "ca.pem"}))


def test_engine_is_asked_only_where_it_matters(tmp_path: Path) -> None:
    """One platform, caches in the image, files as outputs: any engine can do that, and so can any builder elsewhere."""
    release.check(
        scope_of(
            tmp_path,
            platforms=["linux/amd64"],
            cache_to=["type=inline"],
            release={"outputs": ["out", "type=tar,dest=x.tar"]},
        )
    )
    elsewhere = {"builder": "unix:///absent.sock", "cache_to": ["a.example/x"], "attests": ["type=sbom"]}
    release.check(scope_of(tmp_path, **elsewhere))
    with pytest.raises(AssertionError, match="the engine was asked"):
        release.check(scope_of(tmp_path, cache_to=["a.example/x"]))


def test_plans_say_it(tmp_path: Path) -> None:
    """A dry run names platforms, and each output and cache as an action; the engine is not asked."""
    scope = scope_of(
        tmp_path,
        platforms=["linux/amd64", "linux/arm64"],
        cache_to=["a.example/x:c", "type=inline"],
        attests=["type=provenance,mode=max"],
        release={
            "outputs": [
                "out",
                "type=oci,dest=x.tar",
                "type=registry,name=a.example/x:1",
                "type=image,name=a.example/x:2",
            ]
        },
        base=[{"name": "b", "dockerfile": "Dockerfile", "platforms": ["linux/arm64"], "cache_to": ["type=inline"]}],
        build={"dockerfile": "Dockerfile", "outputs": ["type=tar,dest=y.tar"], "cache_to": ["type=local,dest=c"]},
    )
    first, *rest = release.plan(scope)
    assert first.detail == "from Dockerfile, context ., for linux/amd64 and linux/arm64, attested by provenance"
    assert rest[:6] == [
        Action("write", "out", "the files of the image"),
        Action("write", "x.tar", "the image, as an OCI archive"),
        Action("push", "a.example/x:1", "from the builder"),
        Action("keep", "a.example/x:2", "in the builder"),
        Action("put", "a.example/x:c", "the cache, mode min"),
        Action("put", "the image", "the cache"),
    ]
    assert base.plan(scope) == (
        Action("build", "b", "from Dockerfile, context ., for linux/arm64"),
        Action("put", "the image", "the cache"),
    )
    assert build_stage.plan(scope)[1:] == (
        Action("write", "y.tar", "the files of the image, as a tar"),
        Action("put", "c", "the cache, mode min"),
    )
