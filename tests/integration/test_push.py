"""Pushes to real registries: one upload, tags that are promises, tags that move, and what stands in the way."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator

import pytest
from faulty_registry import MANIFESTS, UPLOADS, FaultyRegistry, faulty
from guarded import SECRET, USER
from ships import Ship

from tinyship.registry.client import Repository

pytestmark = pytest.mark.engine


@pytest.fixture
def proxy(registry: str) -> Iterator[FaultyRegistry]:
    """The registry behind a proxy that sees each request."""
    with faulty(registry) as found:
        yield found


def _digest(ship: Ship, tag: str, host: str = "") -> str | None:
    with Repository(f"{host or ship.registry}/{ship.image}", credential=None) as repository:
        return repository.digest(tag)


def _change(ship: Ship, text: str, tag: str) -> None:
    (ship.root / "src" / "main.txt").write_text(text)
    ship.commit(text)
    ship.git("tag", tag)


def test_three_tags_are_one_upload(ship: Ship, proxy: FaultyRegistry) -> None:
    """The engine pushes once; the other tags are the same manifest; each blob is sent once, and every tag verified."""
    ship.environment["TINYSHIP_PUSH_TO"] = proxy.host
    done = ship.invoke("release", "push")
    puts = proxy.requests("PUT", MANIFESTS)
    assert [seen.path.rpartition("/")[2] for seen in puts] == [ship.git("rev-parse", "HEAD"), "1.0.0", "latest"]
    sent = [seen.path.rpartition("digest=")[2] for seen in proxy.requests("PUT", UPLOADS)]
    assert len(sent) == len(set(sent))
    assert len({one["digest"] for one in ship.record["pushed"]}) == 1
    assert "already there" in done.out or "sent" in done.out  # Podman does not say how much


def test_nothing_to_push(ship: Ship, proxy: FaultyRegistry) -> None:
    """Again with nothing changed: at most three requests a tag, nothing sent, and no engine is asked."""
    ship.environment["TINYSHIP_PUSH_TO"] = proxy.host
    ship.invoke("release", "push")
    before = ship.record
    proxy.heal()
    done = ship.invoke("push", DOCKER_HOST="unix:///nowhere.sock")
    assert "nothing sent" in done.out
    assert len(proxy.requests()) <= 9
    assert {seen.method for seen in proxy.requests()} <= {"GET", "HEAD"}
    assert ship.record == before


def test_a_version_is_a_promise(ship: Ship) -> None:
    """Another image of a version is refused, with both named; --force replaces it, and says what it replaced."""
    ship.invoke("release", "push")
    first = _digest(ship, "1.0.0")
    assert first
    ship.git("tag", "-d", "v1.0.0")
    _change(ship, "other", "v1.0.0")
    ship.invoke("release")
    refused = ship.invoke("push", code=1).err
    assert f"1.0.0 is {first}" in refused
    assert ship.record["id"] in refused
    assert "--force" in refused
    assert _digest(ship, "1.0.0") == first
    assert _digest(ship, ship.git("rev-parse", "HEAD")) is None, "nothing of it is there"
    assert ship.record["pushed"] == []
    forced = ship.invoke("push", "--force")
    assert f"1.0.0 named {first}, and is replaced" in forced.err
    assert _digest(ship, "1.0.0") == _digest(ship, "latest") != first


def test_the_same_image_is_no_conflict(ship: Ship) -> None:
    """A clone that made the very same image finds it there, whatever its record knows."""
    ship.invoke("release", "push")
    digest = _digest(ship, "1.0.0")
    shutil.rmtree(ship.root / ".tinyship")
    ship.invoke("release")
    done = ship.invoke("push")
    assert "nothing sent" in done.out
    assert {one["digest"] for one in ship.record["pushed"]} == {digest}


def test_moving_tags_follow_the_highest_version(ship: Ship) -> None:
    """An older line gets its own short tags, and leaves those of a higher version; a pre-release moves none."""
    ship.configure(push={"tags": ["{version}", "{major}.{minor}", "{major}", "latest"]})
    _change(ship, "two", "v2.0.0")
    ship.invoke("release", "push")
    newest = _digest(ship, "latest")
    _change(ship, "fix", "v1.4.2")
    done = ship.invoke("release", "push")
    assert "`latest` stays: 2.0.0 is higher than 1.4.2" in done.err
    assert _digest(ship, "latest") == _digest(ship, "2") == newest
    assert _digest(ship, "1.4") == _digest(ship, "1") == _digest(ship, "1.4.2") != newest
    _change(ship, "next", "v3.0.0-rc.1")
    ship.invoke("release", "push")
    assert _digest(ship, "3.0.0-rc.1")
    assert _digest(ship, "3") is None
    assert _digest(ship, "latest") == newest


def test_the_registry_knows_versions_that_git_does_not(ship: Ship) -> None:
    """A clone without the tags of others moves nothing past what the registry has."""
    _change(ship, "two", "v2.0.0")
    ship.invoke("release", "push")
    ship.git("tag", "-d", "v2.0.0")
    _change(ship, "old", "v1.9.0")
    done = ship.invoke("release", "push")
    assert "`latest` stays: 2.0.0 is higher than 1.9.0" in done.err
    assert _digest(ship, "latest") == _digest(ship, "2.0.0")


def test_two_registries(ship: Ship, guarded: str, proxy: FaultyRegistry) -> None:
    """Each gets the image once, and its tags; one that refuses stops the push before anything is sent to any."""
    ship.environment["TINYSHIP_PUSH_TO"] = f"{proxy.host},{guarded}"
    ship.invoke("release")
    refused = ship.invoke("push", code=1).err
    assert f"{guarded} refused" in refused
    assert proxy.requests("PUT|POST|PATCH") == []
    folder = ship.root.parent / "docker"
    folder.mkdir()
    login = {"auths": {guarded: {"auth": base64.b64encode(f"{USER}:{SECRET}".encode()).decode()}}}
    (folder / "config.json").write_text(json.dumps(login))
    ship.environment["DOCKER_CONFIG"] = str(folder)
    done = ship.invoke("push")
    assert [one["reference"].partition("/")[0] for one in ship.record["pushed"]] == [proxy.host] * 3 + [guarded] * 3
    assert done.out.count("latest") == 2


def test_a_tag_that_comes_after_the_release(ship: Ship) -> None:
    """What is pushed was labelled with its version; a tag that came later makes another one."""
    ship.git("tag", "-d", "v1.0.0")
    ship.invoke("release")
    ship.git("tag", "v1.0.0")
    refused = ship.invoke("push", code=1).err
    assert "the version is 1.0.0 now" in refused
    assert "`invoke release` again" in refused


def test_a_version_that_is_given(ship: Ship) -> None:
    """`--version` is what is released, labelled and pushed."""
    ship.invoke("release", "--version", "7.1.0", "push")
    assert (ship.record["version"], ship.record["given"]) == ("7.1.0", True)
    assert _digest(ship, "7.1.0") == _digest(ship, "latest")
    assert _digest(ship, "1.0.0") is None
    commit = _digest(ship, ship.git("rev-parse", "HEAD"))
    done = ship.invoke("release", "--version", "7.1.1+b5", "push")
    assert f"stays: it names {commit}, another release of this commit" in done.err
    assert _digest(ship, ship.git("rev-parse", "HEAD")) == commit == _digest(ship, "7.1.0")
    assert _digest(ship, "7.1.1-b5") == _digest(ship, "latest")
    assert f"{ship.image}:7.2.0\n" in ship.invoke("release.plan", "--version", "7.2.0").out
    dry = ship.invoke("--dry", "release", "--version", "7.3.0", "push").out
    assert f"push   {ship.registry}/{ship.image}:7.3.0\n" in dry
    assert f"{ship.image}:7.1.1" not in dry


def test_the_next_release_is_not_the_given_one(ship: Ship) -> None:
    """After `release --version` a push alone is of that version; a check, and a plan of both, are of what git says."""
    ship.invoke("release", "--version", "7.1.0")
    assert "7.1.0: free" in ship.invoke("--dry", "push").out
    assert f"push of {ship.image} 7.1.0," in ship.invoke("--dry", "push").out
    checked = ship.invoke("release.check").out
    assert "1.0.0: free" in checked
    assert "7.1.0" not in checked
    pushes = [action["target"] for action in ship.invoke("release.plan", "--json").json["plans"][1]["actions"]]
    assert any(one.endswith(":1.0.0") for one in pushes)
    assert not any(one.endswith(":7.1.0") for one in pushes)


def test_a_given_version_that_git_has_elsewhere(ship: Ship) -> None:
    """What is another commit's version in git is not pushed as this one's, not even where no registry has it yet."""
    ship.git("commit", "-q", "--allow-empty", "-m", "another")
    ship.invoke("release", "--version", "1.0.0")
    refused = ship.invoke("push", code=1).err
    assert "version 1.0.0 was given, and the git tag v1.0.0 is on" in refused
    assert "`git checkout v1.0.0`" in refused
    assert _digest(ship, "1.0.0") is None
    ship.invoke("push", "--force")
    assert _digest(ship, "1.0.0") == _digest(ship, "latest") is not None


def test_a_git_tag_that_moved(ship: Ship) -> None:
    """A check finds before anything is built that the version is another commit's image; of the same it cannot know."""
    ship.invoke("release", "push")
    first = ship.git("rev-parse", "HEAD")
    record = ship.root / ".tinyship" / "release.json"
    record.unlink()
    assert f"{_digest(ship, '1.0.0')}, made of commit {first[:7]}" in ship.invoke("release.check").out
    ship.git("commit", "-q", "--allow-empty", "-m", "another")
    ship.git("tag", "-f", "v1.0.0")
    refused = ship.invoke("release", "--push", code=1)
    assert f"1.0.0: is {_digest(ship, '1.0.0')}, made of commit {first[:7]}" in refused.out
    assert "nothing was built, because its push would fail: tags" in refused.err
    assert not record.exists()


def test_a_reference_for_scripts(ship: Ship) -> None:
    """Standard output has `repository@digest`, or assignments, and nothing else."""
    ship.invoke("release")
    done = ship.invoke("push", "--image-ref-only")
    assert done.out == f"{ship.registry}/{ship.image}@{_digest(ship, '1.0.0')}\n"
    assert "RELEASE_VERSION=1.0.0\n" in ship.invoke("push", "--format", "env").out
    assert "there are env, bake, skaffold" in ship.invoke("push", "--format", "xml", code=2).err


def test_release_and_push_in_one(ship: Ship) -> None:
    """`--push` looks first: what would be refused is not built; one line of JSON comes at the end."""
    (ship.root / "src" / "main.txt").write_text("changed")
    refused = ship.invoke("release", "--push", code=1)
    assert "nothing was built, because its push would fail: tree" in refused.err
    assert "M src/main.txt" in refused.out
    assert not (ship.root / ".tinyship" / "release.json").exists()
    ship.commit("changed")
    ship.git("tag", "v1.1.0")
    done = ship.invoke("release", "--push", "--json")
    assert [one["digest"] for one in done.json["images"][0]["pushed"]] == [_digest(ship, "1.1.0")] * 3


def test_check(ship: Ship, guarded: str) -> None:
    """A row for each thing that is looked at; exit code 1 where one failed; nothing is made anywhere."""
    found = ship.invoke("release.check", "--json").json
    assert found["ok"] is True
    (image,) = found["images"]
    states = {check["name"]: check["state"] for check in image["checks"]}
    expected = {"tree": "ok", "version": "ok", "order": "ok", "engine": "ok", "budgets": "note"}
    assert states == {**expected, "push": "ok", "tags": "ok"}
    assert not (ship.root / ".tinyship" / "release.json").exists()
    ship.environment["TINYSHIP_PUSH_TO"] = guarded
    refused = ship.invoke("release.check", code=1)
    assert f"{guarded} refused a push" in refused.out
    assert f"docker login {guarded}" in refused.out
    down = ship.invoke("release.check", code=1, DOCKER_HOST="unix:///nowhere.sock")
    assert "no such socket" in down.out


def test_check_of_what_is_missing(ship: Ship) -> None:
    """A damaged lock, and a Dockerfile that is not there, are found before a release, each in a row of its own."""
    (ship.root / "tinyship.lock").write_text("<<<<<<< HEAD\n")
    ship.git("add", "--all")
    ship.git("commit", "-q", "-m", "a lock that a merge broke")
    assert "failed  build    " in (found := ship.invoke("release.check", code=1).out)
    assert "tinyship.lock is no JSON" in found
    ship.git("rm", "-q", "tinyship.lock", "Dockerfile")
    ship.git("commit", "-q", "-m", "nothing to build")
    checks = ship.invoke("release.check", "--json", code=1).json["images"][0]["checks"]
    assert [check["name"] for check in checks if check["state"] == "failed"] == ["build"]
    assert "Dockerfile is missing" in ship.invoke("release.plan").out


def test_check_of_what_is_there(ship: Ship) -> None:
    """Tags are free, this image's, or another's; a given version that git has elsewhere is refused."""
    assert "1.0.0: free" in ship.invoke("release.check").out
    ship.invoke("release", "push")
    assert "1.0.0: there, and this very image" in ship.invoke("release.check").out
    _change(ship, "two", "v1.1.0")
    given = ship.invoke("release.check", code=1, TINYSHIP_VERSION_LITERAL="1.0.0").out
    assert "the git tag v1.0.0 is on" in given
    assert "not on HEAD" in given


def test_plan(ship: Ship) -> None:
    """`release.plan` is what `--dry release push` prints, and it tells what moves and what stays."""
    ship.invoke("release", "push")
    _change(ship, "old", "v0.9.0")
    dry = ship.invoke("--dry", "release", "push").out
    assert ship.invoke("release.plan").out == dry
    assert f"push   {ship.registry}/{ship.image}:0.9.0" in dry
    assert f"{ship.image}:latest" not in dry
    assert "`latest` stays: 1.0.0 is higher than 0.9.0" in dry
    plans = ship.invoke("release.plan", "--json").json["plans"]
    assert [plan["task"] for plan in plans] == ["release", "push"]
    assert {check["name"] for plan in plans for check in plan["checks"]} >= {"tree", "engine", "release", "tags"}


def test_another_release_came_first(ship: Ship, proxy: FaultyRegistry) -> None:
    """A tag that another release took while the image was on its way: the loser fails, names both, replaces nothing."""
    from faulty_registry import Fault

    ship.invoke("release", "push")
    first = _digest(ship, "1.0.0")
    assert first
    ship.configure(push={"tags": ["{commit}", "{version}"]})
    ship.git("tag", "v2.0.0")
    ship.invoke("release")

    def other(_: object) -> None:
        with Repository(f"{ship.registry}/{ship.image}", credential=None) as repository:
            repository.put(repository.manifest(first), "2.0.0")

    proxy.on("PUT", MANIFESTS, Fault(before=other))
    ship.environment["TINYSHIP_PUSH_TO"] = proxy.host
    lost = ship.invoke("push", code=1).err
    assert f"another release was faster: 2.0.0 names {first}" in lost
    commit = ship.git("rev-parse", "HEAD")
    own = _digest(ship, commit)
    assert own
    assert own in lost
    assert f"{ship.image}:{commit} names it" in lost
    assert _digest(ship, "2.0.0") == first
    assert [one["reference"].rpartition(":")[2] for one in ship.record["pushed"]] == [commit]


def test_no_tag_is_left(ship: Ship) -> None:
    """Where the commit's tag is another release's and there is no other, nothing is pushed, and that is an error."""
    ship.configure(push={"tags": ["{commit}"]})
    ship.git("tag", "v1.0.1")
    ship.invoke("release", "--version", "1.0.1", "push")
    ship.invoke("release", "--version", "1.0.2")
    refused = ship.invoke("push", code=1).err
    assert "no tag is left for this release" in refused
    assert ship.record["pushed"] == []


def test_several_images_are_all_looked_at_first(ship: Ship) -> None:
    """Where the second of two is refused, the first is not pushed either."""
    images = [{"name": "one", "image": f"{ship.image}-one"}, {"name": "two", "image": f"{ship.image}-two"}]
    ship.configure(images=images)
    ship.git("tag", "v2.0.0")
    ship.invoke("release")
    first = f"{ship.registry}/{ship.image}-one"
    second = f"{ship.registry}/{ship.image}-two"
    ship.invoke("push", "--json")
    with Repository(second, credential=None) as repository:
        other = repository.manifest("2.0.0")
        repository.put(other, "2.1.0")
    _change(ship, "more", "v2.1.0")
    ship.invoke("release")
    refused = ship.invoke("push", code=1).err
    assert f"2.1.0 is {other.digest}" in refused
    with Repository(first, credential=None) as repository:
        assert repository.digest("2.1.0") is None


def test_dry_release_and_push_in_one(ship: Ship) -> None:
    """One line of JSON with both plans; the registry is asked, and has nothing new."""
    plans = ship.invoke("--dry", "release", "--push", "--json").json["plans"]
    assert [plan["task"] for plan in plans] == ["release", "push"]
    assert not (ship.root / ".tinyship" / "release.json").exists()


def test_release_and_push_of_a_dirty_tree(ship: Ship) -> None:
    """`--allow-dirty` goes with `--push`: the version with `-dirty` is all that is pushed."""
    assert "goes with `--push`" in ship.invoke("release", "--allow-dirty", code=2).err
    (ship.root / "src" / "main.txt").write_text("changed")
    ship.invoke("release", "--push", "--allow-dirty")
    assert [one["reference"].rpartition(":")[2] for one in ship.record["pushed"]] == ["1.0.0-dirty"]
    with (ship.root / "Dockerfile").open("a") as file:
        file.write("LABEL more=changes\n")
    again = ship.invoke("release", "--push", "--allow-dirty")
    assert "1.0.0-dirty named sha256:" in again.err


def test_a_release_while_a_push_is_on_its_way(ship: Ship, proxy: FaultyRegistry) -> None:
    """The record is the newer release's; the push ends, and says that it is not recorded."""
    from faulty_registry import Fault

    ship.invoke("release")
    older = ship.record["version"]

    def release(_: object) -> None:
        _change(ship, "newer", "v1.5.0")
        ship.invoke("release", TINYSHIP_PUSH_TO=ship.registry)

    proxy.on("PUT", MANIFESTS, Fault(before=release))
    done = ship.invoke("push", TINYSHIP_PUSH_TO=proxy.host)
    assert f"{older} is no longer what is released here" in done.err
    assert (ship.record["version"], ship.record["pushed"]) == ("1.5.0", [])
    assert _digest(ship, older)
