"""Behind a company's proxy, with a CA of its own, on a real engine; what is set once holds for everything."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from forwarder import forwarding
from guarded import program, running
from listeners import listening, to_buildkit
from outside import Authority
from ships import Ran, Ship
from test_pins import Elsewhere, builders, project

from conftest import unavailable
from tinyship.context.source import Context
from tinyship.engine import images
from tinyship.engine.buildkit import door
from tinyship.engine.buildkit.solve import BuildKitBuilder
from tinyship.engine.connect import Engine
from tinyship.engine.request import BuildRequest
from tinyship.events import ignore
from tinyship.kept import lock
from tinyship.kept.lock import Lock, Pin
from tinyship.settings.schema import Settings
from tinyship.stages import network
from tinyship.stages.scope import Scope

pytestmark = pytest.mark.engine

MARK = "proxy.example.com"


@pytest.fixture
def behind_tls(authority: Authority, address: str, tmp_path: Path) -> Iterator[str]:
    """A registry with a certificate of that authority, where nothing is forgiven; engines trust it."""
    if not program():
        pytest.fail("no docker-registry on PATH")
    folder = tmp_path / "behind-tls"
    folder.mkdir()
    issued = authority.issued(address)
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())
    (folder / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    tls = f"tls: {{certificate: {folder / 'cert.pem'}, key: {folder / 'key.pem'}}}"
    with running(folder, auth="", address=address, more=tls) as host, authority.trusted_by_engines(host):
        yield host


def layers(engine: Engine, name: str) -> str:
    """All that an image says of itself: its config and its history."""
    return json.dumps([engine.api.inspect_image(name), engine.api.history(name)])


# --- A CA of one's own -------------------------------------------------------------------------------------------


def test_registry_behind_an_own_ca(
    ship: Ship, engine: Engine, authority: Authority, behind_tls: str, tmp_path: Path, namespace: str, busybox: str
) -> None:
    """With `ca` set once all tasks that ask a registry trust it; without it the error says so."""
    elsewhere = Elsewhere(engine, tmp_path / "elsewhere", f"{behind_tls}/{namespace}/elsewhere:1", busybox)
    digest = elsewhere.publish("one")
    project(ship, f"FROM {elsewhere.name}\nCOPY src/main.txt /\n")
    ship.configure(push={"to": [behind_tls]})
    for words in (["release.check"], ["base.update"], ["base.outdated"], ["size.remote", elsewhere.name]):
        ran = ship.invoke(*words, code=None)
        assert "is not trusted" in ran.out + ran.err, words
    assert "`ca`" in ship.invoke("size.remote", elsewhere.name, code=None).err

    (ship.root / "certs").mkdir()
    (ship.root / "certs/company.pem").write_bytes(authority.file.read_bytes())
    ship.configure(ca="certs/company.pem")
    assert ship.invoke("base.update", "--json").json["moved"][0]["new"]["digest"] == digest
    ship.commit("pin")
    ship.git("tag", "-f", "v1.0.0")
    assert ship.invoke("release.check", "--json").json["ok"]
    # An engine's BuildKit learns of certificates when it starts; what is there need not be asked for.
    images.pull(engine, elsewhere.name, digest, credential=None, events=ignore)
    ship.invoke("release", "push")
    assert {one["reference"].partition("/")[0] for one in ship.record["pushed"]} == {behind_tls}
    assert ship.invoke("base.outdated", "--json").json["bases"][0]["state"] == "current"
    ship.invoke("size.remote", elsewhere.name)
    elsewhere.forget()


@pytest.mark.parametrize("content", [None, b"no certificate\n"])
def test_ca_that_is_none(ship: Ship, content: bytes | None) -> None:
    """A file that is away or holds none is one clear line."""
    if content is not None:
        (ship.root / "company.pem").write_bytes(content)
    ship.configure(ca="company.pem", push={"to": ["registry.example.com"]})
    ran = ship.invoke("size.remote", "registry.example.com/lacion/foo:1", code=None)
    assert ran.code != 0
    assert "company.pem" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("buildkit", marks=pytest.mark.needs("buildkit")),
        pytest.param("auto", marks=pytest.mark.needs("podman")),
    ],
)
def test_ca_in_builds(ship: Ship, engine: Engine, authority: Authority, kind: str) -> None:
    """A Dockerfile that mounts it has it, and no layer; the build container has it where builds do."""
    text = (ship.root / "Dockerfile").read_text()
    mounted = "RUN --mount=type=secret,id=ca cat /run/secrets/ca > /seen\n"
    (ship.root / "Dockerfile").write_text(text + mounted)
    (ship.root / "compile.sh").write_text("mkdir -p bin\ncat /run/secrets/ca > bin/foo\n")
    ship.configure(ca=str(authority.file), builder=kind)
    ship.invoke("release")
    wanted = authority.file.read_bytes()
    assert (ship.root / "bin/foo").read_bytes() == wanted
    container = engine.api.create_container(f"{ship.image}:local", ["/none"])["Id"]
    try:
        assert wanted in b"".join(engine.api.get_archive(container, "/seen")[0])
        assert wanted not in b"".join(engine.api.export(container)).replace(wanted, b"", 2)  # there, and in bin/foo
    finally:
        engine.api.remove_container(container)


@pytest.mark.needs("classic")
def test_ca_with_the_classic_builder(ship: Ship, authority: Authority) -> None:
    """It has no secrets, and says so; a Dockerfile that mounts none builds all the same."""
    ship.configure(ca=str(authority.file), builder="classic")
    ship.invoke("release")
    (ship.root / "Dockerfile").write_text("FROM scratch\nRUN --mount=type=secret,id=ca true\n")
    ship.commit("mount")
    ran = ship.invoke("release", code=None)
    assert ran.code != 0
    assert "the classic builder" in ran.err
    assert "has no `secrets`" in ran.err


# --- Proxies -----------------------------------------------------------------------------------------------------

SEEN = '{ echo "$HTTP_PROXY" "$http_proxy" "$HTTPS_PROXY" "$https_proxy" "$NO_PROXY" "$no_proxy"; }'


@builders
def test_proxy_in_builds(ship: Ship, engine: Engine, kind: str) -> None:
    """Every step and the build container know it in both spellings; no image, output or record does."""
    word = secrets.token_hex(8)
    way = f"http://mate:{word}@{MARK}:3128"
    (ship.root / "Dockerfile").write_text(
        f'FROM {ship.image}-base:latest\nRUN test "$({SEEN})" = "$(cat /etc/wanted)"\nCOPY bin/foo /bin/foo\n'
    )
    wanted = f"{way} {way} {way} {way} .example.com,10.0.0.0/8 .example.com,10.0.0.0/8"
    base = (ship.root / "docker/Dockerfile.base").read_text()
    (ship.root / "docker/Dockerfile.base").write_text(f"{base}COPY wanted /etc/wanted\n")
    (ship.root / "wanted").write_text(wanted)
    (ship.root / ".gitignore").write_text("bin/\nwanted\n")
    (ship.root / "compile.sh").write_text(f"mkdir -p bin\n{SEEN} | cmp - /etc/wanted 2>/dev/null || {SEEN} > bin/foo\n")
    ship.configure(builder=kind, no_proxy=[".example.com", "10.0.0.0/8"])
    ran = ship.invoke("release", TINYSHIP_PROXY=way)
    assert (ship.root / "bin/foo").read_text() == f"{wanted}\n"
    for name in (f"{ship.image}:local", f"{ship.image}:build", f"{ship.image}-base:latest"):
        said = layers(engine, name)
        assert word not in said
        assert MARK not in said
    shown = ship.invoke("config", "--all", TINYSHIP_PROXY=way)
    as_json = ship.invoke("config", "--json", TINYSHIP_PROXY=way)
    assert f"http://***@{MARK}:3128" in shown.out + shown.err
    record = (ship.root / ".tinyship/release.json").read_text()
    for text in (ran.out, ran.err, shown.out, shown.err, as_json.out, as_json.err, record):
        assert word not in text

    ran = ship.invoke("release", TINYSHIP_PROXY="http://other.example.com:3128")
    assert "up to date" in ran.err
    assert (ship.root / "bin/foo").read_text() == f"{wanted}\n"  # it was not compiled anew


@pytest.mark.needs("buildkit")
def test_proxy_of_the_docker_config(ship: Ship, tmp_path: Path) -> None:
    """Where the settings say nothing builds have what the docker CLI would give them."""
    (tmp_path / "docker").mkdir()
    told = {"httpProxy": f"http://{MARK}:1", "httpsProxy": f"http://{MARK}:2", "noProxy": "a.example.com"}
    (tmp_path / "docker/config.json").write_text(json.dumps({"proxies": {"default": told}}))
    (ship.root / "compile.sh").write_text(f"mkdir -p bin\n{SEEN} > bin/foo\n")
    ship.commit("compile")
    ship.invoke("build", DOCKER_CONFIG=str(tmp_path / "docker"))
    said = (ship.root / "bin/foo").read_text().split()
    assert said == [f"http://{MARK}:1"] * 2 + [f"http://{MARK}:2"] * 2 + ["a.example.com"] * 2


@pytest.mark.needs("buildkit")
def test_proxy_with_a_buildkitd_elsewhere(engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """It is told as the engine is, and keeps it out of the image as well."""
    way = f"http://mate:s3cret@{MARK}:3128"
    (tmp_path / "Dockerfile").write_text(f'FROM {busybox}\nRUN test "$HTTPS_PROXY $https_proxy" = "{way} {way}"\n')
    scope = Scope(tmp_path, Settings(image=f"{namespace}/foo", proxy=way), connect=lambda: engine)
    request = BuildRequest(
        context=Context.open(tmp_path, tmp_path / "Dockerfile"),
        tags=(f"{namespace}/foo:1",),
        args=network.environment(scope),
    )
    with listening(to_buildkit(engine)) as port:
        result = BuildKitBuilder(engine, door.of_daemon(f"tcp://127.0.0.1:{port}")).build(request, ignore)
    assert '"Env": ["PATH=/bin"]' in json.dumps(engine.api.inspect_image(result.image_id)["Config"])


def test_registry_by_a_proxy(
    ship: Ship, engine: Engine, authority: Authority, behind_tls: str, tmp_path: Path, namespace: str, busybox: str
) -> None:
    """Registries that are elsewhere are asked by the proxy, and directly where none is needed."""
    elsewhere = Elsewhere(engine, tmp_path / "elsewhere", f"{behind_tls}/{namespace}/elsewhere:1", busybox)
    elsewhere.publish("one")
    with forwarding() as proxy:
        ship.configure(ca=str(authority.file), proxy=f"http://mate:s3cret@{proxy.host}")
        ship.invoke("size.remote", elsewhere.name)
        assert set(proxy.asked) == {("CONNECT", behind_tls)}
        before = len(proxy.asked)
        ship.configure(no_proxy=[behind_tls.partition(":")[0]])
        ship.invoke("size.remote", elsewhere.name)
        assert len(proxy.asked) == before
    ship.configure(no_proxy=[])
    ran = ship.invoke("size.remote", elsewhere.name, code=None)
    assert "the proxy on the way to" in ran.err
    assert "s3cret" not in ran.err


# --- Mirrors -----------------------------------------------------------------------------------------------------


def test_pins_from_a_mirror(ship: Ship, engine: Engine, tmp_path: Path, namespace: str, busybox: str) -> None:
    """Where only the mirror can be reached it says what a base is now, under the base's own name."""
    elsewhere = Elsewhere(engine, tmp_path / "elsewhere", f"{ship.registry}/{namespace}/elsewhere:1", busybox)
    digest = elsewhere.publish("one")
    project(ship, "FROM registry.invalid/elsewhere:1\nCOPY src/main.txt /\n")
    ship.configure(mirrors=[f"registry.invalid={ship.registry}/{namespace}"])
    (moved,) = ship.invoke("base.update", "--json").json["moved"]
    assert (moved["name"], moved["new"]["digest"]) == ("registry.invalid/elsewhere:1", digest)
    ship.invoke("size.remote", "registry.invalid/elsewhere:1")
    ran = ship.invoke("size.remote", "registry.invalid/another:1", code=None)
    assert ran.err.count("does not help") == 1
    assert "registry.invalid is not known" in ran.err


# --- Without a network -------------------------------------------------------------------------------------------


def offline(ship: Ship, *words: str, code: int | None = 0) -> tuple[Ran, float]:
    """Run `invoke` where there is no network at all, not even loopback; and the seconds that it took."""
    command = ["unshare", "-n", sys.executable, "-m", "invoke", *words]
    begun = time.monotonic()
    done = subprocess.run(
        command,
        cwd=ship.root,
        env=ship.environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    ran = Ran(done.returncode, done.stdout, done.stderr)
    if code is not None:
        assert ran.code == code, f"exit code {ran.code}\n{ran.out}\n{ran.err}"
    return ran, time.monotonic() - begun


@pytest.fixture
def cut_off(engine: Engine) -> None:
    """The means to run something without a network, with an engine that is reached without one."""
    if not engine.address.startswith("unix://") or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        unavailable("no right to cut a program off from the network, or no engine on a unix socket")


@builders
def test_release_without_a_network(
    cut_off: None, ship: Ship, engine: Engine, tmp_path: Path, namespace: str, busybox: str, kind: str
) -> None:
    """What the engine has is built with, as the lock pins it; what must be asked of a registry fails at once."""
    (tmp_path / "gone").mkdir()
    with running(tmp_path / "gone", auth="") as host:
        elsewhere = Elsewhere(engine, tmp_path / "elsewhere", f"{host}/{namespace}/elsewhere:1", busybox)
        digest = elsewhere.publish("one")
        images.pull(engine, elsewhere.name, digest, credential=None, events=ignore)
    base = f"FROM {elsewhere.name}\nRUN echo base > /etc/base\n"
    (ship.root / "docker/Dockerfile.base").write_text(base)
    lock.write(ship.root, Lock({elsewhere.name: Pin(digest)}))
    ship.configure(builder=kind)
    ship.git("tag", "-f", "v1.0.0")

    _, seconds = offline(ship, "release")
    assert seconds < 60
    before = (ship.root / ".tinyship/release.json").read_bytes()
    offline(ship, "size.history")
    ran, seconds = offline(ship, "release.check", "--json", code=1)
    assert seconds < 60
    (checks,) = (one["checks"] for one in ran.json["images"])
    failed = [check for check in checks if check["state"] == "failed"]
    assert [check["name"] for check in failed] == ["push"]
    assert "there is no way to" in json.dumps(failed[0])
    assert {check["name"] for check in checks if check["state"] == "ok"} >= {"tree", "version", "engine"}

    ran, seconds = offline(ship, "push", code=None)
    assert ran.code != 0
    assert seconds < 60
    assert "there is no way to" in ran.err
    assert "trying again" not in ran.err
    assert (ship.root / ".tinyship/release.json").read_bytes() == before

    pins = (ship.root / "tinyship.lock").read_bytes()
    ran, seconds = offline(ship, "base.update", code=None)
    assert ran.code != 0
    assert seconds < 60
    assert "there is no way to" in ran.out + ran.err
    assert (ship.root / "tinyship.lock").read_bytes() == pins
    ran, seconds = offline(ship, "base.outdated", "--json")
    assert seconds < 60
    assert [one["state"] for one in ran.json["bases"]] == ["not known"]
    ran, seconds = offline(ship, "size.remote", "registry.example.com/lacion/foo:1", code=None)
    assert seconds < 60
    assert "the host registry.example.com cannot be looked up" in ran.err
    elsewhere.forget()
