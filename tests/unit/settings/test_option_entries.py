"""Entries of settings in the form that `docker build` gives them: what they mean, and what is wrong about others."""

from __future__ import annotations

from typing import Any

import pytest

from tinyship.errors import ConfigError
from tinyship.settings import options
from tinyship.settings.load import Layer, load
from tinyship.settings.options import CacheOption, OutputOption, SecretOption
from tinyship.settings.schema import Settings


def settings(**values: Any) -> Settings:
    """The settings of an image with these keys."""
    return load([Layer("invoke.yaml", {"image": "lacion/foo", **values})], environ={})[0].settings


def error(**values: Any) -> str:
    """What the user is told of these keys, in one line, behind the name of the file."""
    with pytest.raises(ConfigError) as caught:
        settings(**values)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("invoke.yaml: `tinyship.")
    return text.removeprefix("invoke.yaml: ")


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("id=npm,env=NPM_TOKEN", SecretOption("npm", env="NPM_TOKEN")),
        ("id=x,src=path", SecretOption("x", file="path")),
        ("type=file,id=x,source=path", SecretOption("x", file="path")),
        ("type=file,id=x", SecretOption("x", file="x")),
        ("type=env,id=x", SecretOption("x", env="x")),
        ("type=env,id=x,src=TOKEN", SecretOption("x", env="TOKEN")),
        ("id=x", SecretOption("x")),
        ('id=x,src="a,b"', SecretOption("x", file="a,b")),
    ],
)
def test_secret(entry: str, meant: SecretOption) -> None:
    """A secret is a variable or a file; with the id alone it is not said which."""
    assert options.secret(entry) == meant
    assert settings(secrets=[entry]).secrets == (entry,)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("s3cret", "a field is not of the form `key=value`"),
        ("czNjcmV0Cg=", "a field is not known; there are id, env, src, source, type"),
        ("id=x,sorce=s3cret", "`sorce` is no field of a secret; the nearest is `source`"),
        ("env=s3cret", "it needs an `id`"),
        ("id=,env=s3cret", "it needs an `id`"),
        ("id=x,type=s3cret", "its `type` is neither `env` nor `file`"),
        ("id=x,env=s3cret,src=s3cret", "`env` and `src` exclude each other"),
        ("id=x,type=file,env=s3cret", "`type=file` and `env` exclude each other"),
        ("", "a field is empty"),
    ],
)
def test_wrong_secret(entry: str, words: str) -> None:
    """What is wrong about a secret is said without its text."""
    text = error(secrets=["id=fine", entry])
    assert text == f"`tinyship.secrets`: entry 2: {words}"
    assert "s3cret" not in text
    assert "czNj" not in text


@pytest.mark.parametrize("spoiled", ["s3cret", ["s3cret"], [["s3cret"]], [{"id": "s3cret"}], {"id": "s3cret"}, [5]])
@pytest.mark.parametrize("key", ["secrets", "cache_from", "cache_to"])
def test_secrets_of_a_wrong_kind_stay_secret(key: str, spoiled: Any) -> None:
    """Neither are values of another type shown, nor what stands in caches, which may hold credentials."""
    if key != "secrets" and spoiled == ["s3cret"]:
        spoiled = ["type=s3,secret_access_key=s3cret"]
    text = error(**{key: spoiled})
    assert key in text
    assert "s3cret" not in text
    assert "`5`" not in text


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("default", ("default", "")),
        ("default=/path/agent.sock", ("default", "/path/agent.sock")),
        ("other=$HOME/x", ("other", "$HOME/x")),
    ],
)
def test_ssh(entry: str, meant: tuple[str, str]) -> None:
    """An agent is that of the environment, or the one at a path."""
    assert options.ssh(entry) == meant
    assert settings(ssh=[entry]).ssh == (entry,)


@pytest.mark.parametrize("entry", ["default=", "=x", ""])
def test_wrong_ssh(entry: str) -> None:
    """An agent needs an id, and a path where it has an equals sign."""
    assert (
        error(ssh=[entry])
        == f"`tinyship.ssh`: entry 1: `{entry}` is neither `default` nor `ID=path of an agent's socket`"
    )


def test_ssh_with_several_keys() -> None:
    """`docker build` takes several private keys there, and we none."""
    assert "several paths: give the socket of one agent" in error(ssh=["default=a,b"])


@pytest.mark.parametrize(
    ("key", "entry", "meant"),
    [
        ("cache_from", "type=registry,ref=a.example/x:c", CacheOption("registry", {"ref": "a.example/x:c"})),
        ("cache_from", "a.example/x:c", CacheOption("registry", {"ref": "a.example/x:c"})),
        ("cache_from", "type=local,src=dir", CacheOption("local", {"src": "dir"})),
        ("cache_to", "a.example/x", CacheOption("registry", {"ref": "a.example/x"})),
        (
            "cache_to",
            "type=registry,ref=x/y,mode=max,compression=zstd",
            CacheOption("registry", {"ref": "x/y", "mode": "max", "compression": "zstd"}),
        ),
        ("cache_to", "type=local,dest=dir,mode=max", CacheOption("local", {"dest": "dir", "mode": "max"})),
        ("cache_to", "type=inline", CacheOption("inline", {})),
    ],
)
def test_cache(key: str, entry: str, meant: CacheOption) -> None:
    """A cache is in a registry, in a folder, or in the image; a bare reference is one in a registry."""
    assert getattr(options, key)(entry) == meant
    assert getattr(settings(**{key: [entry]}), key) == (entry,)


@pytest.mark.parametrize(
    ("key", "entry", "words"),
    [
        ("cache_from", "type=regstry,ref=x", "`type=regstry` is none of registry, local; the nearest is `registry`"),
        ("cache_from", "type=inline", "`type=inline` is none of registry, local"),
        ("cache_from", "ref=x", "it needs a `type`: registry, local"),
        ("cache_from", "type=local,dest=x", "`type=local` needs `src`"),
        ("cache_to", "type=local,src=x", "`type=local` needs `dest`"),
        ("cache_to", "type=registry", "`type=registry` needs `ref`"),
        ("cache_to", "type=gha,token=s3cret", "`type=gha` is none of registry, local, inline"),
        ("cache_to", "A/b", "`A/b` is no image name (like `lacion/alpine:latest`)"),
        ("cache_to", "type=registry,ref=A/b", "`A/b` is no image name (like `lacion/alpine:latest`)"),
    ],
)
def test_wrong_cache(key: str, entry: str, words: str) -> None:
    """The type is one of those that there are, and what it needs is there."""
    assert error(**{key: [entry]}) == f"`tinyship.{key}`: entry 1: {words}"


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("lib=../lib", ("lib", "../lib")),
        ("lib = a b", ("lib", "a b")),
        ("alpine:3.22=docker-image://alpine:3.21", ("alpine:3.22", "docker-image://alpine:3.21")),
        ("x=docker-image://a@sha256:" + "0" * 64, ("x", "docker-image://a@sha256:" + "0" * 64)),
    ],
)
def test_context(entry: str, meant: tuple[str, str]) -> None:
    """A named context is a folder or an image."""
    assert options.context(entry) == meant
    assert settings(contexts=[entry]).contexts == (entry,)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("lib", "`lib` is not of the form `NAME=folder`"),
        ("=lib", "`=lib` is not of the form `NAME=folder`"),
        ("lib=", "`lib=` is not of the form `NAME=folder`"),
        ("x=docker-image://A", "`A` is no image name"),
        ("x=https://a.example/x.git", "a context is a folder, `docker-image://reference` or `target:IMAGE`"),
        ("x=oci-layout://dir", "a context is a folder, `docker-image://reference` or `target:IMAGE`"),
        ("x=target:", "`x=target:` names no entry of `images`"),
        ("x=target:api", "`x=target:api`: there are no `tinyship.images`"),
    ],
)
def test_wrong_context(entry: str, words: str) -> None:
    """What is neither a folder nor an image is refused."""
    text = error(contexts=[entry])
    assert text.startswith("`tinyship.contexts`: ")
    assert words in text


IMAGES: list[dict[str, Any]] = [
    {"name": "api", "image": "lacion/api"},
    {"name": "web", "image": "lacion/web", "contexts": ["api=target:api", "lib=../lib"]},
]


@pytest.mark.parametrize("image", ["", "web"])
def test_context_of_another_image(image: str) -> None:
    """`target:IMAGE` is the last release of another entry of `images`, also where that one is not loaded."""
    *_, web = load([Layer("invoke.yaml", {"images": IMAGES})], image=image, environ={})
    assert web.settings.contexts == ("api=docker-image://lacion/api:local", "lib=../lib")
    assert web.origins["contexts"] == "invoke.yaml, images[web]"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("appi", "no entry of `tinyship.images` is named `appi`; the nearest is `api`"),
        ("web", "`target:web` is this image itself"),
    ],
)
def test_context_of_a_wrong_image(name: str, words: str) -> None:
    """The other image has to be there, and to be made before."""
    web = {**IMAGES[1], "contexts": [f"x=target:{name}"]}
    with pytest.raises(ConfigError) as caught:
        load([Layer("invoke.yaml", {"images": [IMAGES[0], web, {"name": "last", "image": "x"}]})], environ={})
    assert str(caught.value) == f"invoke.yaml, images[web]: `tinyship.contexts`: `x=target:{name}`: {words}"


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("type=provenance,mode=max", ("provenance", "mode=max")),
        ("type=provenance", ("provenance", "")),
        ("type=sbom", ("sbom", "")),
        ('type=sbom,generator="a,b"', ("sbom", '"generator=a,b"')),
    ],
)
def test_attest(entry: str, meant: tuple[str, str]) -> None:
    """An attestation has a type, and parameters in the form that BuildKit reads."""
    assert options.attest(entry) == meant
    assert settings(attests=[entry]).attests == (entry,)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("sbom", "`sbom`: a field is not of the form `key=value`"),
        ("mode=max", "`mode=max` needs a `type`: provenance, sbom"),
        ("type=provenence", "its `type` is none of provenance, sbom; the nearest is `provenance`"),
        ("type=provenance,mode=full", "its `mode` is none of min, max; the nearest is"),
    ],
)
def test_wrong_attest(entry: str, words: str) -> None:
    """The type and the mode are those that there are."""
    text = error(attests=[entry])
    assert text.startswith("`tinyship.attests`: ")
    assert words in text


@pytest.mark.parametrize(
    ("entry", "meant"),
    [
        ("out", OutputOption("local", "out", {})),
        ("type=local,dest=out", OutputOption("local", "out", {})),
        ("type=tar,dest=x.tar", OutputOption("tar", "x.tar", {})),
        (
            "type=oci,dest=dist/x.tar,compression=zstd",
            OutputOption("oci", "dist/x.tar", {"compression": "zstd"}),
        ),
        ("type=docker,dest=x.tar", OutputOption("docker", "x.tar", {})),
        ("type=image,name=a.example/x", OutputOption("image", "", {"name": "a.example/x"})),
        (
            "type=image,name=a.example/x:1,push=true,push-by-digest=true",
            OutputOption("image", "", {"name": "a.example/x:1", "push": "true", "push-by-digest": "true"}),
        ),
        ("type=registry,name=a.example/x:1", OutputOption("image", "", {"name": "a.example/x:1", "push": "true"})),
    ],
)
@pytest.mark.parametrize("stage", ["build", "release"])
def test_output(stage: str, entry: str, meant: OutputOption) -> None:
    """An output is files, an archive, or an image that is kept or pushed; a bare path is a folder of files."""
    assert options.output(entry) == meant
    assert getattr(settings(**{stage: {"outputs": [entry]}}), stage).outputs == (entry,)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("type=zip,dest=x", "its `type` is none of local, tar, oci, docker, image, registry; the nearest is"),
        ("dest=x", "`dest=x` needs a `type`"),
        ("type=tar", "`type=tar` needs a `dest`, a path below the project's root"),
        ("type=tar,dest=-", "standard output is no place for it"),
        ("-", "standard output is no place for it"),
        ("../out", "`../out` leaves the project"),
        (".", "`.` leaves the project"),
        ("~/out", "`~/out` leaves the project"),
        ("type=local,dest=/tmp/out", "leaves the project: give a path below its root"),
        ("type=registry", "`type=registry` needs a `name`"),
        ("type=image,push=true", "needs a `name`"),
        ("type=registry,dest=x,name=y", "`type=registry` has no `dest`; it has a `name`"),
        ("type=registry,name=A/b", "`A/b` is no image name"),
        ("type=tar,dest=a,dest=b", "`dest` stands there twice"),
    ],
)
@pytest.mark.parametrize("stage", ["build", "release"])
def test_wrong_output(stage: str, entry: str, words: str) -> None:
    """An output has a type and a place, and the place is the project's own."""
    text = error(**{stage: {"outputs": [entry]}})
    assert text.startswith(f"`tinyship.{stage}.outputs`: ")
    assert words in text


@pytest.mark.parametrize("entry", ["nofile=1024:2048", "nofile=1024", "core=-1", "memlock=1:-1"])
def test_ulimit(entry: str) -> None:
    """A limit has a soft value and may have a hard one; -1 is none."""
    assert settings(ulimits=[entry]).ulimits == (entry,)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("nofile", "`nofile` is no limit (like `nofile=1024:2048`)"),
        ("nofile=many", "`nofile=many` is no limit"),
        ("nofiles=1", "`nofiles` is no limit; the nearest is `nofile`"),
        ("nofile=2:1", "the soft limit, which comes first, is above the hard one"),
        ("nofile=-1:1", "the soft limit, which comes first, is above the hard one"),
    ],
)
def test_wrong_ulimit(entry: str, words: str) -> None:
    """The limit is one of the kernel's, and its values can be."""
    text = error(ulimits=[entry])
    assert text.startswith("`tinyship.ulimits`: ")
    assert words in text


@pytest.mark.parametrize("entry", ["linux/amd64", "linux/arm/v7", "windows/amd64"])
def test_platform(entry: str) -> None:
    """A platform is a system and an architecture, of the release and of a base that is built."""
    assert settings(platforms=[entry]).platforms == (entry,)
    base = {"name": "x", "dockerfile": "D", "platforms": [entry]}
    assert settings(base=[base]).base[0].platforms == (entry,)


def test_wrong_platform() -> None:
    """The form is shown; the build stage has none, and a base only where it is built."""
    assert error(platforms=["arm64"]) == "`tinyship.platforms`: entry 1: `arm64` is no platform, like `linux/arm64`"
    assert error(platforms=["Linux/arm64"]) == (
        "`tinyship.platforms`: entry 1: `Linux/arm64` is no platform (like `linux/arm64`)"
    )
    assert error(platforms=["linux/arm64"] * 2) == "`tinyship.platforms`: two entries are for `linux/arm64`"
    assert "`tinyship.build.platforms` is no setting" in error(build={"platforms": ["linux/arm64"]})
    base = {"name": "x", "rootfs": {"tar": "x.tar"}, "platforms": ["linux/arm64"]}
    assert error(base=[base]) == "`tinyship.base[0].platforms`: it goes with `dockerfile`"
    assert error(base=[{**base, "platforms": [], "cache_to": ["x"]}]) == (
        "`tinyship.base[0].cache_to`: it goes with `dockerfile`"
    )


@pytest.mark.parametrize("stage", ["build", "base"])
def test_cache_of_a_stage(stage: str) -> None:
    """A base and the build stage have caches of their own to put to."""
    right, wrong = "type=local,dest=x", "type=local"
    values: Any = {"cache_to": [right], "dockerfile": "D"}
    section = {"base": [{"name": "x", **values}]} if stage == "base" else {"build": values}
    made = settings(**section)
    assert (made.base[0] if stage == "base" else made.build).cache_to == (right,)  # type: ignore[union-attr]
    values["cache_to"] = [wrong]
    section = {"base": [{"name": "x", **values}]} if stage == "base" else {"build": values}
    assert error(**section).endswith(".cache_to`: entry 1: `type=local` needs `dest`")


@pytest.mark.parametrize(
    "builder",
    ["auto", "buildkit", "classic", "tcp://build.example:1234", "tcp://[::1]:1234", "unix:///run/buildkitd.sock"],
)
def test_builder(builder: str) -> None:
    """A builder is the engine's, or a buildkitd anywhere."""
    assert settings(builder=builder).builder == builder


@pytest.mark.parametrize(
    ("builder", "words"),
    [
        ("kit", "`kit` is none of auto, buildkit, classic, tcp://host:port, unix:///path; the nearest is `buildkit`"),
        ("ssh://host", "`ssh://host` is none of auto, buildkit, classic, tcp://host:port, unix:///path"),
        ("tcp://host", "`tcp://host` is no address (like `tcp://host:1234`)"),
        ("tcp://host:port", "`tcp://host:port` is no address (like `tcp://host:1234`)"),
        ("tcp://:1234", "`tcp://:1234` is no address (like `tcp://host:1234`)"),
        ("tcp://host:1/x", "`tcp://host:1/x` is no address (like `tcp://host:1234`)"),
        ("tcp://me:s3cret@host:1", "an address has no user in it"),
        ("unix://run/x", "`unix://run/x` is no path of a socket (like `unix:///run/buildkit/buildkitd.sock`)"),
        ("unix:///", "`unix:///` is no path of a socket (like `unix:///run/buildkit/buildkitd.sock`)"),
    ],
)
def test_wrong_builder(builder: str, words: str) -> None:
    """What is no builder is told with those that there are, and never with a password."""
    assert error(builder=builder) == f"`tinyship.builder`: {words}"


def test_builder_tls() -> None:
    """Certificates are paths; the client's come in pairs."""
    tls = settings(builder="tcp://x:1", builder_tls={"ca": "ca.pem", "cert": "c", "key": "k", "server_name": "y"})
    assert tls.builder_tls
    assert (tls.builder_tls.ca, tls.builder_tls.server_name) == ("ca.pem", "y")
    assert settings().builder_tls is None
    assert error(builder_tls={"cert": "x"}) == "`tinyship.builder_tls`: `cert` and `key` go together"
    assert error(builder_tls={"sever_name": "x"}) == (
        "`tinyship.builder_tls.sever_name` is no setting; the nearest is `server_name`"
    )


@pytest.mark.parametrize("key", ["no_cache", "pull"])
def test_switches(key: str) -> None:
    """`no_cache` and `pull` are yes or no."""
    assert getattr(settings(**{key: True}), key) is True
    assert error(**{key: "maybe"}) == f'`tinyship.{key}` is `"maybe"`, but yes or no is expected'


def test_no_cache_filter() -> None:
    """The filter is a list of names of stages."""
    assert settings(no_cache_filter=["build-stage"]).no_cache_filter == ("build-stage",)
    assert error(no_cache_filter="x") == '`tinyship.no_cache_filter` is `"x"`, but a list is expected'


def test_shm_size() -> None:
    """The size of /dev/shm is a size as budgets have it."""
    assert settings(shm_size="128MB").shm_size == "128MB"
    assert error(shm_size="big") == "`tinyship.shm_size`: `big` is no size (like 40MB or 40MiB)"
    assert error(shm_size=128) == "`tinyship.shm_size` is `128`, but text is expected: quote it"


@pytest.mark.parametrize(
    ("key", "entries", "name"),
    [
        ("secrets", ["id=x", "id=x,env=Y"], "x"),
        ("ssh", ["default", "default=/x"], "default"),
        ("contexts", ["a=b", "a=c"], "a"),
        ("attests", ["type=sbom", "type=sbom"], "sbom"),
    ],
)
def test_no_two_for_the_same(key: str, entries: list[str], name: str) -> None:
    """Of two entries for one name, nobody could tell which is meant."""
    assert error(**{key: entries}) == f"`tinyship.{key}`: two entries are for `{name}`"
