"""Which builder is chosen, and what each refuses before anything is sent."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tinyship.context.source import Context
from tinyship.engine import builder
from tinyship.engine.buildkit import door
from tinyship.engine.classic import ClassicBuilder
from tinyship.engine.connect import Engine
from tinyship.engine.podman import PodmanBuilder
from tinyship.engine.request import BuildRequest, CacheEntry, Output, Secret
from tinyship.errors import ConfigError, EngineError
from tinyship.events import ignore

_REFS = ("x/cache", "y/cache")
_EVERYTHING: dict[str, Any] = {
    "secrets": {"npm": Secret(env="NPM")},
    "ssh": {"default": Path("/agent")},
    "contexts": {"more": Path("/more")},
    "cache_to": (CacheEntry("inline", {}),),
    "no_cache_filter": ("build",),
    "attests": {"provenance": "mode=max"},
    "outputs": (Output("image", {"push": "true"}),),
    "platforms": ("linux/amd64", "linux/arm64"),
    "cache_from": (CacheEntry("local", {"src": "/cache"}),),
}


class Untouched:
    """An engine's API that nobody may use."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"something was asked of the engine: {name}")


def an_engine(kind: str = "docker", version: str = "20.10.24", os: str = "linux") -> Engine:
    """An engine that says what it is, and nothing else."""
    engine = Engine(cast(Any, SimpleNamespace(api=Untouched())), "unix:///engine.sock", "the default", "1.41")
    engine.__dict__["_headers"] = {"ostype": os, **({"libpod-api-version": version} if kind == "podman" else {})}
    engine.__dict__["version"] = version
    return engine


def a_request(root: Path, **more: Any) -> BuildRequest:
    """A request for an image."""
    (root / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    return BuildRequest(context=Context.open(root, root / "Dockerfile"), tags=("foo:1",), **more)


@pytest.fixture(autouse=True)
def _no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no way to the BuildKit of any engine."""
    monkeypatch.delenv("DOCKER_BUILDKIT", raising=False)

    def refused(*_: object) -> None:
        raise EngineError("POST /grpc was answered with 403 Forbidden")

    monkeypatch.setattr(door, "of_engine", refused)


def test_classic_names_everything_that_it_lacks(tmp_path: Path) -> None:
    """All settings are named in one error, with the way out, and nothing is sent."""
    with pytest.raises(ConfigError) as caught:
        ClassicBuilder(an_engine()).build(a_request(tmp_path, **_EVERYTHING), ignore)
    for name in _EVERYTHING:
        assert f"`{name}`" in caught.value.message
    assert "builder: buildkit" in caught.value.hint


def test_classic_names_what_a_dockerfile_needs(tmp_path: Path) -> None:
    """What it would pass over in silence is refused with its line, beside the settings."""
    made = a_request(tmp_path, ssh=_EVERYTHING["ssh"])
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY --link . /\nRUN <<EOF\necho\nEOF\n")
    with pytest.raises(ConfigError) as caught:
        ClassicBuilder(an_engine()).build(made, ignore)
    assert caught.value.message == (
        "the classic builder has no `ssh`, `COPY --link` (line 2 of the Dockerfile) and "
        "`RUN <<EOF` (line 3 of the Dockerfile)"
    )


@pytest.mark.parametrize("name", list(_EVERYTHING))
@pytest.mark.parametrize("kind", ["classic", "podman"])
def test_one_by_one(name: str, kind: str, tmp_path: Path) -> None:
    """Each of them is refused by itself, and no other is named; the secrets are what Podman has."""
    made = a_request(tmp_path, **{name: _EVERYTHING[name]})
    chosen = ClassicBuilder(an_engine()) if kind == "classic" else PodmanBuilder(an_engine("podman", "4.3.1"))
    if (kind, name) == ("podman", "secrets"):
        with pytest.raises(ConfigError, match="NPM, which is not set"):
            chosen.build(made, ignore)
        return
    with pytest.raises(ConfigError) as caught:
        chosen.build(made, ignore)
    assert [other for other in _EVERYTHING if f"`{other}`" in caught.value.message] == [name]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"secrets": {"a,src=/etc/shadow": Secret(env="HOME")}}, "`secrets` with an id like `a,src=/etc/shadow`"),
        ({"secrets": {"../../up": Secret(env="HOME")}}, r"`secrets` with an id like `\.\./\.\./up`"),
        ({"cache_from": tuple(CacheEntry("registry", {"ref": ref}) for ref in _REFS)}, "more than one entry"),
        ({"cache_from": (CacheEntry("registry", {"ref": "localhost:5000/cache:main"}),)}, "`cache_from` with a tag"),
        ({"cache_to": (CacheEntry("registry", {"ref": "x/cache", "mode": "min"}),)}, "a mode other than max"),
        ({"cache_to": (CacheEntry("registry", {"ref": "x/cache", "compression": "zstd"}),)}, "with compression"),
        ({"network": "container:web"}, "`network` of another container"),
    ],
)
def test_podman_takes_only_what_it_can_keep(more: dict[str, Any], said: str, tmp_path: Path) -> None:
    """What Podman would take for something else, or for nothing, is refused."""
    with pytest.raises(ConfigError, match=said) as caught:
        PodmanBuilder(an_engine("podman", "4.3.1")).build(a_request(tmp_path, **more), ignore)
    assert "buildkitd" in caught.value.hint


@pytest.mark.parametrize("version", ["", "4.2.9", "3.4.4"])
def test_old_podman(version: str, tmp_path: Path) -> None:
    """One that may not know a parameter is not asked: a secret would stay in the context."""
    with pytest.raises(EngineError, match="too old"):
        PodmanBuilder(an_engine("podman", version)).build(a_request(tmp_path), ignore)


def test_why_the_classic_builder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error says what led to the classic builder: the setting, the variable, the engine, or what is between."""

    def refusal(engine: Engine, wanted: str) -> ConfigError:
        with pytest.raises(ConfigError, match=r"^the classic builder \(") as caught:
            builder.choose(engine, wanted).build(a_request(tmp_path, ssh=_EVERYTHING["ssh"]), ignore)
        return caught.value

    asked = refusal(an_engine(), "classic")
    assert "`builder: classic` asks for it" in asked.message
    assert "builder: auto" in asked.hint
    blocked = refusal(an_engine(), "auto")
    assert "403 Forbidden" in blocked.message
    assert "/grpc" in blocked.hint
    assert "this engine has no BuildKit" in refusal(an_engine(os="windows"), "auto").message
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    variable = refusal(an_engine(), "auto")
    assert "DOCKER_BUILDKIT=0" in variable.message
    assert "Unset DOCKER_BUILDKIT" in variable.hint


def test_buildkit_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for BuildKit by name gets it, or an error: Podman has none, and something may be in its way."""
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    with pytest.raises(ConfigError, match="this engine is Podman"):
        builder.choose(an_engine("podman", "4.3.1"), "buildkit")
    with pytest.raises(EngineError, match="403"):
        builder.choose(an_engine(), "buildkit")
    monkeypatch.setattr(door, "of_engine", lambda _: object())
    assert builder.choose(an_engine(), "buildkit").name == "buildkit"
    monkeypatch.delenv("DOCKER_BUILDKIT")
    assert builder.choose(an_engine(), "auto").name == "buildkit"
