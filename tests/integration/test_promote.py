"""`push.promote` on real registries: tags and repositories that come to name an image, without an engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_registry import BLOBS, MANIFESTS, Fault, FaultyRegistry, answered, faulty
from guarded import running
from ships import Ship, launch
from uploads import Uploads

from tinyship import Project
from tinyship.errors import Refused
from tinyship.registry.client import Repository

pytestmark = pytest.mark.engine

_NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


@pytest.fixture
def proxy(registry: str) -> Iterator[FaultyRegistry]:
    """The registry behind a proxy that counts."""
    with faulty(registry) as found:
        yield found


@pytest.fixture
def promoter(tmp_path: Path, namespace: str, registry: str, proxy: FaultyRegistry) -> Ship:
    """A project of which 1.0.0 and 1.1.0 are in the registry, and no engine at all."""
    root = tmp_path / "project"
    root.mkdir()
    ship = launch(root, f"{namespace}/foo", proxy.host, "unused")
    ship.environment.update(_NO_ENGINE)
    there = Uploads(registry, ship.image)
    there.image(b"one", b"below" * 1000, tag="1.0.0")
    there.image(b"two", b"below" * 1000, tag="1.1.0")
    return ship


def digest(registry: str, image: str, tag: str) -> str | None:
    """What a tag names."""
    with Repository(f"{registry}/{image}", credential=None) as repository:
        return repository.digest(tag)


def test_another_tag(promoter: Ship) -> None:
    """A tag that was free, then moved: the result says what it named before."""
    registry = promoter.registry
    one, two = (digest(registry, promoter.image, tag) for tag in ("1.0.0", "1.1.0"))
    ran = promoter.invoke("push.promote", "1.0.0", "stable")
    assert f"{registry}/{promoter.image}@{one}" in ran.out
    assert "nothing sent" in ran.out
    assert digest(registry, promoter.image, "stable") == one
    ran = promoter.invoke("push.promote", "1.1.0", "stable", "--json")
    assert ran.json["promoted"] == [
        {
            "image": promoter.image,
            "source": f"{registry}/{promoter.image}@{two}",
            "digest": two,
            "tags": [{"reference": f"{registry}/{promoter.image}:stable", "before": one}],
            "sent": 0,
            "mounted": 0,
            "present": 0,
        }
    ]
    assert f"{registry}/{promoter.image}:stable named {one}, and moves" in ran.err
    assert digest(registry, promoter.image, "stable") == two
    assert "was there" in promoter.invoke("push.promote", str(two), "stable").out


def test_version_is_not_replaced(promoter: Ship) -> None:
    """Not without --force, and then it is said; none of several tags is given where one is refused."""
    registry = promoter.registry
    one, two = (digest(registry, promoter.image, tag) for tag in ("1.0.0", "1.1.0"))
    ran = promoter.invoke("push.promote", "1.0.0", "stable, 1.1.0", code=1)
    assert f"{registry}/{promoter.image}:1.1.0 is {two}" in ran.err
    assert "--force" in ran.err
    assert digest(registry, promoter.image, "stable") is None
    ran = promoter.invoke("push.promote", "1.0.0", "stable,1.1.0", "--force")
    assert f"1.1.0 named {two}, and is replaced" in ran.err
    assert {digest(registry, promoter.image, tag) for tag in ("stable", "1.1.0")} == {one}


def test_dry(promoter: Ship, proxy: FaultyRegistry) -> None:
    """The registry is asked, nothing is changed, and what would be refused is said."""
    one, two = (digest(promoter.registry, promoter.image, tag) for tag in ("1.0.0", "1.1.0"))
    proxy.heal()
    ran = promoter.invoke(
        "--dry", "push.promote", "1.0.0", f"stable,1.1.0,{promoter.registry}/new/{promoter.image}:1.0.0", "--json"
    )
    (plan,) = ran.json["plans"]
    assert (plan["version"], plan["commit"]) == ("", ""), "HEAD says nothing of what is promoted"
    assert [(action["verb"], action["target"]) for action in plan["actions"]] == [
        ("copy", f"{promoter.registry}/new/{promoter.image}"),
        ("tag", f"{promoter.registry}/{promoter.image}:1.1.0"),
        ("tag", f"{promoter.registry}/new/{promoter.image}:1.0.0"),
        ("tag", f"{promoter.registry}/{promoter.image}:stable"),
    ]
    assert plan["actions"][1]["detail"] == f"as {one}, in place of {two}"
    assert [check["state"] for check in plan["checks"]] == ["ok", "failed", "ok"]
    ran = promoter.invoke("--dry", "push.promote", "1.0.0", "1.1.0", "--force", "--json")
    assert [check["state"] for check in ran.json["plans"][0]["checks"]] == ["note"]
    assert {seen.method for seen in proxy.requests()} == {"GET", "HEAD"}


def test_other_repository_of_the_registry(promoter: Ship, proxy: FaultyRegistry) -> None:
    """No byte of a blob is transferred; a full reference says where from and where to."""
    one = digest(promoter.registry, promoter.image, "1.0.0")
    proxy.heal()
    goal = f"{promoter.registry}/{promoter.image}-live:1.0.0"
    ran = promoter.invoke("push.promote", f"{promoter.registry}/{promoter.image}:1.0.0", goal, "--json")
    (done,) = ran.json["promoted"]
    assert done["tags"] == [{"reference": goal, "before": ""}]
    assert done["mounted"] > 5000
    assert done["sent"] == done["present"] == proxy.uploaded() == len(proxy.requests("GET", BLOBS)) == 0
    assert digest(promoter.registry, f"{promoter.image}-live", "1.0.0") == one


def test_requests_of_a_promotion(promoter: Ship, proxy: FaultyRegistry) -> None:
    """One manifest is read and written; the tag is looked at before and after."""
    promoter.invoke("push.promote", "1.0.0", "stable")
    assert [seen.method for seen in proxy.requests(path=MANIFESTS)] == ["GET", "HEAD", "PUT", "HEAD"]
    assert len(proxy.requests()) == 4


def test_other_registry(promoter: Ship, tmp_path: Path) -> None:
    """What is not there is sent, and the result says how much."""
    folder = tmp_path / "other"
    folder.mkdir()
    with running(folder, auth="") as other:
        ran = promoter.invoke("push.promote", "1.0.0", f"stable,{other}/lacion/foo:1.0.0,{other}/lacion/foo:stable")
        assert " sent" in ran.out
        assert f"{other}/lacion/foo:stable  (is new)" in ran.out
        one = digest(promoter.registry, promoter.image, "1.0.0")
        assert {digest(other, "lacion/foo", tag) for tag in ("1.0.0", "stable")} == {one}
        assert digest(promoter.registry, promoter.image, "stable") == one


def test_nothing_is_tagged_anywhere_before_all_is_there(promoter: Ship, tmp_path: Path) -> None:
    """Of two registries the second is full: the tags of the first are what they were, and the next run completes."""
    folder = tmp_path / "other"
    folder.mkdir()
    with running(folder, auth="") as backend, faulty(backend) as other:
        other.on("PUT", "/blobs/uploads/", answered(507))
        goal = f"stable,{other.host}/lacion/foo:1.0.0"
        ran = promoter.invoke("push.promote", "1.0.0", goal, code=1)
        assert "has no room left" in ran.err
        assert digest(promoter.registry, promoter.image, "stable") is None
        assert digest(backend, "lacion/foo", "1.0.0") is None
        promoter.invoke("push.promote", "1.0.0", goal)
        assert digest(promoter.registry, promoter.image, "stable") == digest(backend, "lacion/foo", "1.0.0") is not None


def test_somebody_was_faster(promoter: Ship, proxy: FaultyRegistry, registry: str) -> None:
    """Another promotion gives the tag between ours and the last question: both digests are named."""
    one, two = (digest(registry, promoter.image, tag) for tag in ("1.0.0", "1.1.0"))

    def meanwhile(_: object) -> None:
        with Repository(f"{registry}/{promoter.image}", credential=None) as repository:
            repository.put(repository.manifest("1.1.0"), "stable")

    proxy.on("PUT", "/manifests/stable", Fault(after=meanwhile))
    ran = promoter.invoke("push.promote", "1.0.0", "stable", code=1)
    assert (
        f"somebody else was faster: {promoter.registry}/{promoter.image}:stable names {two}, and not {one}" in ran.err
    )


def test_what_was_given_is_told(promoter: Ship, proxy: FaultyRegistry, registry: str) -> None:
    """The second of three tags fails: the error says what each of them names, and the next run completes."""
    one, two = (digest(registry, promoter.image, tag) for tag in ("1.0.0", "1.1.0"))
    promoter.invoke("push.promote", "1.1.0", "live")
    proxy.on("PUT", "/manifests/live", answered(403))
    ran = promoter.invoke("push.promote", "1.0.0", "stable,live,edge", code=1)
    name = f"{promoter.registry}/{promoter.image}"
    for line in (f"{name}:stable names it", f"{name}:live names {two}", f"{name}:edge is not there"):
        assert line in ran.err
    promoter.invoke("push.promote", "1.0.0", "stable,live,edge")
    assert {digest(registry, promoter.image, tag) for tag in ("stable", "live", "edge")} == {one}
    proxy.on("PUT", "/manifests/other", answered(403))
    assert "is not there" not in promoter.invoke("push.promote", "1.0.0", "other", code=1).err


def test_promise_that_another_release_makes_between_two_tries(
    promoter: Ship, proxy: FaultyRegistry, registry: str
) -> None:
    """The registry stumbles, and another release has the version by the next try: it keeps it."""
    two = digest(registry, promoter.image, "1.1.0")

    def meanwhile(_: object) -> None:
        with Repository(f"{registry}/{promoter.image}", credential=None) as repository:
            repository.put(repository.manifest("1.1.0"), "2.0.0")

    proxy.on("PUT", "/manifests/2.0.0", Fault(before=meanwhile, status=503))
    ran = promoter.invoke("push.promote", "1.0.0", "2.0.0", code=1)
    assert f"{promoter.image}:2.0.0 is {two}" in ran.err
    assert digest(registry, promoter.image, "2.0.0") == two


def test_promises_are_those_of_the_settings(promoter: Ship, registry: str) -> None:
    """Versions and commits stay as `push.tags` write them; shortened versions and dates move."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    config = json.loads((promoter.root / "invoke.json").read_text())
    config["tinyship"]["push"]["tags"] = ["release-{version}", "{commit}", "{major}.{minor}", "{date}", "latest"]
    (promoter.root / "invoke.json").write_text(json.dumps(config))
    promoter.invoke("push.promote", "1.0.0", f"release-1.0.0,{commit},1.0,20240229,latest")
    for tag in ("release-1.0.0", commit):
        assert "another image has this tag already" in promoter.invoke("push.promote", "1.1.0", tag, code=1).err
    promoter.invoke("push.promote", "1.1.0", "1.0,20240229,latest")
    two = digest(registry, promoter.image, "1.1.0")
    assert {digest(registry, promoter.image, tag) for tag in ("1.0", "20240229", "latest")} == {two}


def test_promotion_without_git(promoter: Ship, registry: str) -> None:
    """A tag that git could tell more of is judged by its name alone."""
    promoter.environment["PATH"] = "/nowhere"
    promoter.invoke("push.promote", "1.0.0", "1")
    promoter.invoke("push.promote", "1.1.0", "1")
    assert digest(registry, promoter.image, "1") == digest(registry, promoter.image, "1.1.0")


def test_record_of_what_names_another_image_by_now(promoter: Ship) -> None:
    """Of what was pushed the record loses the tag that an earlier release has got, and nothing else."""
    one, two = (digest(promoter.registry, promoter.image, tag) for tag in ("1.0.0", "1.1.0"))
    entry = {
        **dict.fromkeys(("commit", "tree", "source", "created", "platform", "id"), ""),
        "image": promoter.image,
        "version": "1.1.0",
        "dirty": False,
        "tags": ["1.1.0"],
        "sizes": [],
    }
    name = f"{promoter.registry}/{promoter.image}"
    pushed = [{"reference": f"{name}:{tag}", "digest": two} for tag in ("1.1.0", "latest")]
    folder = promoter.root / ".tinyship"
    folder.mkdir(exist_ok=True)
    (folder / "release.json").write_text(json.dumps({"schema": 1, "images": [{**entry, "pushed": pushed}]}))
    promoter.invoke("push.promote", "1.1.0", "latest")
    assert promoter.record["pushed"] == pushed
    promoter.invoke("push.promote", "1.0.0", f"{name}:latest")
    assert digest(promoter.registry, promoter.image, "latest") == one
    assert promoter.record["pushed"] == pushed[:1]


def test_release_of_the_record(promoter: Ship) -> None:
    """`release` is the digest that was pushed, whatever its tags name by now."""
    one = digest(promoter.registry, promoter.image, "1.0.0")
    ran = promoter.invoke("push.promote", "release", "stable", "--json", code=1)
    assert ran.json["error"]["kind"] == "NothingReleased"
    entry = {
        **dict.fromkeys(("commit", "tree", "source", "created", "platform", "id"), ""),
        "image": promoter.image,
        "version": "1.0.0",
        "dirty": False,
        "tags": ["1.0.0"],
        "sizes": [],
    }
    folder = promoter.root / ".tinyship"
    folder.mkdir(exist_ok=True)
    (folder / "release.json").write_text(json.dumps({"schema": 1, "images": [entry]}))
    assert "is in no registry yet" in promoter.invoke("push.promote", "release", "stable", code=1).err
    pushed = [{"reference": f"{promoter.registry}/{promoter.image}:gone", "digest": one}]
    (folder / "release.json").write_text(json.dumps({"schema": 1, "images": [{**entry, "pushed": pushed}]}))
    promoter.invoke("push.promote", "release", "stable")
    assert digest(promoter.registry, promoter.image, "stable") == one


def test_from_a_release_to_its_users(ship: Ship, registry: str) -> None:
    """What was pushed becomes what users get, while the engine is away; the record stays the release's."""
    ship.invoke("release", "push")
    before = ship.record
    ship.environment.update(_NO_ENGINE)
    goal = f"{registry}/{ship.image}-live:1.0.0"
    ran = ship.invoke("push.promote", "release", f"stable,{goal}", "--json")
    (done,) = ran.json["promoted"]
    assert done["digest"] == before["pushed"][0]["digest"] == digest(registry, ship.image, "stable")
    assert digest(registry, f"{ship.image}-live", "1.0.0") == done["digest"]
    assert (done["sent"], done["mounted"] > 0) == (0, True)
    assert ship.record == before


@pytest.mark.parametrize(
    ("source", "target", "code", "words"),
    [
        ("9.9.9", "stable", 1, "does not have"),
        ("1.0.0", "registry.example.com/lacion/foo", 2, "has no tag"),
        ("1.0.0", f"registry.example.com/lacion/foo@sha256:{'0' * 64}", 2, "is a digest"),
        ("1.0.0", "Not A Tag", 2, "names no image in a registry"),
        ("1.0.0", "", 2, "an image's name is empty"),
        ("", "stable", 2, "an image's name is empty"),
    ],
)
def test_what_cannot_be_promoted(promoter: Ship, source: str, target: str, code: int, words: str) -> None:
    """Each is one error, and nothing is changed."""
    ran = promoter.invoke("push.promote", f"--source={source}", f"--target={target}", code=code)
    assert words in ran.err
    assert digest(promoter.registry, promoter.image, "stable") is None


def test_python(promoter: Ship) -> None:
    """Scripts get data, and the same refusals."""
    project = Project.load(promoter.root)
    (done,) = project.promote("1.0.0", "stable")
    assert done.digest == digest(promoter.registry, promoter.image, "stable")
    with pytest.raises(Refused, match="another image has this tag already"):
        project.promote("1.0.0", "1.1.0")
    (done,) = project.promote("1.0.0", "1.1.0", force=True)
    assert done.tags[0].before != done.digest == digest(promoter.registry, promoter.image, "1.1.0")


def test_all_images_of_a_project_or_none(promoter: Ship, registry: str) -> None:
    """Where one of them has the version already, the other one is not promoted either."""
    web = promoter.image.replace("/foo", "/web")
    Uploads(registry, web).image(b"web", tag="1.0.0")
    config = json.loads((promoter.root / "invoke.json").read_text())["tinyship"]
    names = ({"name": "foo", "image": promoter.image}, {"name": "web", "image": web})
    section = {"push": config["push"], "images": names}
    (promoter.root / "invoke.json").write_text(json.dumps({"tinyship": section}))
    with Repository(f"{registry}/{web}", credential=None) as repository:
        Uploads(registry, web).image(b"other", tag="2.0.0")
        promoter.invoke("push.promote", "1.0.0", "2.0.0", code=1)
        assert digest(registry, promoter.image, "2.0.0") is None
        ran = promoter.invoke("push.promote", "1.0.0", "stable", "--json")
        assert [done["image"] for done in ran.json["promoted"]] == [promoter.image, web]
        assert repository.digest("stable") == repository.digest("1.0.0")
