"""`clean.registry` on real registries: what goes is gone, what stays is whole, the report is true whatever fails."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests
from faulty_registry import BLOBS, MANIFESTS, Fault, FaultyRegistry, Seen, answered, faulty
from guarded import SECRET, USER, program, running
from outside import Authority
from pushing import Pushing
from ships import Ran, Ship, launch
from test_push_guarded import login
from token_server import Guarded
from uploads import INDEX, OCI, Uploads

from tinyship import Project
from tinyship.cleaning.retention import Cleaned
from tinyship.credentials import Credential
from tinyship.errors import CleanStopped, Refused
from tinyship.registry.client import Repository
from tinyship.registry.transport import Network
from tinyship.stages import withdrawing
from tinyship.stages.tally import reported

pytestmark = pytest.mark.engine

_NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
_NAME = "lacion/foo"
_LAST = {"KEEP": "1", "AGE": "0s", "VERSIONS": "last"}
_LAST_ALONE = {"ask_above": 1.0, "registry": {"keep": 1, "age": "", "versions": "last"}}
_CAPTAIN = Credential(USER, SECRET, identity_token=False, source="a test")
_OLD = "2026-01-01T00:00:00Z"


@dataclass
class Shelf:
    """A project without an engine, and its repository in a registry of the test's own."""

    ship: Ship
    proxy: FaultyRegistry
    backend: str

    @property
    def there(self) -> Uploads:
        """What puts content into it, past the proxy."""
        return Uploads(self.backend, _NAME)

    def image(self, *tags: str, project: str = _NAME, version: str = "", layer: bytes = b"", **more: Any) -> str:
        """Put an image there, and return its digest."""
        version = version or next(iter(tags), "")
        labels = {"org.opencontainers.image.version": version, **({"tinyship.project": project} if project else {})}
        found: dict[str, Any] = {}
        for tag in tags or ("",):
            own = layer or f"layer of {version}".encode()
            found = self.there.image(b"below" * 100, own, tag=tag, labels=labels, created=_OLD, **more)
        return str(found["digest"])

    def invoke(self, *words: str, code: int | None = 0, before: tuple[str, ...] = ()) -> Ran:
        """Run `invoke clean.registry`."""
        return self.ship.invoke(*before, "clean.registry", *words, code=code)

    def clean(self) -> Cleaned:
        """What that does, without a process of its own."""
        return Project.load(self.ship.root).clean_registry()

    def fails(self) -> str:
        """The error of a clean that has to stop."""
        with pytest.raises(CleanStopped) as caught:
            self.clean()
        assert caught.value.cleaned.as_json() == self.report
        return str(caught.value)

    def tags(self) -> set[str]:
        """The tags that name something."""
        listed = requests.get(f"http://{self.backend}/v2/{_NAME}/tags/list", timeout=20)
        names = (listed.json()["tags"] or ()) if listed.status_code == 200 else ()
        return {name for name in names if self.has(name)}

    def has(self, reference: str) -> bool:
        """Whether there is a manifest."""
        with Repository(f"{self.backend}/{_NAME}", credential=None) as repository:
            return repository.exists(reference)

    @property
    def report(self) -> dict[str, Any]:
        """The report of the last clean."""
        found: dict[str, Any] = json.loads((self.ship.root / ".tinyship" / "clean.json").read_text())
        return found

    def removed(self, kind: str = "tag") -> set[str]:
        """What the report says is gone, without its repository."""
        start = f"{self.proxy.host}/{_NAME}"
        names = {one["name"] for one in self.report["removed"] if one["kind"] == kind}
        assert all(name.startswith(start) for name in names)
        return {name.removeprefix(start)[1:] for name in names}


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[str]:
    """A registry that deletes."""
    if not program():
        pytest.skip("no docker-registry on PATH")
    folder = tmp_path / "registry"
    folder.mkdir()
    with running(folder, auth="") as host:
        yield host


@pytest.fixture
def shelf(tmp_path: Path, backend: str) -> Iterator[Shelf]:
    """A project of which nothing is in its registry yet; the last release alone stays for its own sake."""
    root = tmp_path / "project"
    root.mkdir()
    with faulty(backend) as proxy:
        ship = launch(root, _NAME, proxy.host, "unused")
        ship.environment.update(_NO_ENGINE)
        ship.configure(clean=_LAST_ALONE)
        yield Shelf(ship, proxy, backend)


def test_a_dry_run_ends_with_the_table(shelf: Shelf) -> None:
    """A row and a reason for each; nothing is deleted, written or pulled, and each digest is asked for once."""
    shelf.image("1.0.0", "ab" * 20)
    shelf.image("1.1.0", "latest")
    shelf.image("0.9.0", project="")
    ran = shelf.invoke(before=("--dry",))
    lines = [line.split() for line in ran.out.splitlines()]
    assert [line[0] for line in lines if len(line) > 4 and line[1] == "tag"] == ["goes", "stays", "stays"]
    assert "not the last release" in ran.out
    assert "the last release" in ran.out
    assert "no label `tinyship.project`" in ran.out
    assert f"{shelf.proxy.host}/{_NAME}:1.0.0 (and :abababa…)" in ran.out
    assert "1 of 3 images go; up to" in ran.out
    assert shelf.tags() == {"1.0.0", "ab" * 20, "1.1.0", "latest", "0.9.0"}
    assert not (shelf.ship.root / ".tinyship" / "clean.json").exists()
    assert shelf.proxy.requests("DELETE|PUT|POST") == []
    assert len(shelf.proxy.requests("GET", f"{MANIFESTS}sha256")) == 3
    assert len(shelf.proxy.requests("GET", BLOBS)) == 3, "configs"
    ran = shelf.invoke("--json", before=("--dry",))
    assert [one["stays"] for one in ran.json["verdicts"]] == [True, False, True]
    assert {one["target"] for one in ran.json["plans"][0]["actions"]} == {
        f"{shelf.proxy.host}/{_NAME}:{tag}" for tag in ("1.0.0", "ab" * 20)
    }


def test_what_goes_is_gone(shelf: Shelf) -> None:
    """With all of its tags; what stays is whole; the report and the result say so, and a second run does nothing."""
    old = shelf.image("1.0.0", "ab" * 20)
    new = shelf.image("1.1.0", "latest")
    other = shelf.image("0.9.0", project="other/bar")
    ran = shelf.invoke("--json")
    assert shelf.tags() == {"1.1.0", "latest", "0.9.0"}
    assert not shelf.has(old)
    assert shelf.has(new)
    assert shelf.has(other)
    assert shelf.removed() == {"1.0.0", "ab" * 20}
    assert shelf.removed("manifest") == {old}
    assert ran.json == shelf.report
    assert shelf.report["complete"]
    assert shelf.report["freed"] is None, "the registry's garbage collection frees"
    assert 0 < shelf.report["freeable"] < 2000
    assert {one["name"].rpartition(":")[2] for one in shelf.report["kept"]} == {"1.1.0", "latest", "0.9.0"}
    ran = shelf.invoke()
    assert "nothing goes" in ran.out
    assert shelf.report["removed"] == []


def test_final_versions_and_young_ones_stay_by_default(shelf: Shelf) -> None:
    """Without settings, only what is old and no final version goes, and the last ten releases stay."""
    shelf.ship.configure(clean={"registry": {}})
    for number in range(10):
        shelf.image(f"2.0.{number}")
    shelf.image("1.0.0")
    shelf.image("1.0.0-1-gabcdef0")
    shelf.image("1.0.0-2-gabcdef0", "main", version="1.0.0-2-gabcdef0")
    shelf.clean()
    assert shelf.removed() == {"1.0.0-1-gabcdef0"}
    assert "1.0.0" in shelf.tags()


def test_much_of_everything_wants_to_be_asked_for(shelf: Shelf) -> None:
    """Others' images are not counted; `--yes` does it."""
    shelf.ship.configure(clean={"ask_above": 0.5})
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        shelf.image(version)
    for number in range(4):
        shelf.image(f"0.{number}.0", project="")
    with pytest.raises(Refused, match="2 of 3 images would go"):
        shelf.clean()
    assert len(shelf.tags()) == 7
    assert "`--yes` would be needed: 2 of 3" in shelf.invoke(before=("--dry",)).out
    shelf.invoke("--yes")
    assert shelf.removed() == {"1.0.0", "1.1.0"}


def test_nothing_is_there(shelf: Shelf) -> None:
    """A repository that was never pushed to is no error."""
    assert "no images of this name" in shelf.invoke().out


def test_an_index_goes_before_what_it_lists(shelf: Shelf) -> None:
    """Attestations included; what another index lists stays."""
    labels = {"tinyship.project": _NAME}
    shared = shelf.there.image(b"shared", labels=labels)
    arm = shelf.there.image(b"arm", platform="linux/arm64", labels=labels)
    config, layer = (shelf.there.blob(content, f"application/x.{content.decode()}") for content in (b"c", b"l"))
    prov = shelf.there.manifest({"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": [layer]})
    prov["platform"] = {"os": "unknown", "architecture": "unknown"}
    old = shelf.there.index(shared, arm, prov, tag="1.0.0")
    shelf.there.index(shared, tag="1.1.0")
    shelf.clean()
    deleted = [one.path.rpartition("/")[2] for one in shelf.proxy.requests("DELETE")]
    assert deleted[0] == old["digest"]
    assert set(deleted[1:]) == {arm["digest"], prov["digest"]}
    assert shelf.removed("manifest") == set(deleted)
    assert shelf.tags() == {"1.1.0"}
    assert shelf.has(shared["digest"])


def test_two_registries(shelf: Shelf, tmp_path: Path) -> None:
    """One table, each row with its registry; each is cleaned by what it has."""
    folder = tmp_path / "other"
    folder.mkdir()
    with running(folder, auth="") as other:
        shelf.ship.configure(push={"to": [shelf.proxy.host, other]})
        shelf.image("1.0.0")
        shelf.image("1.1.0")
        there = Shelf(shelf.ship, shelf.proxy, other)
        there.image("1.0.0")
        ran = shelf.invoke()
        assert f"{other}/{_NAME}:1.0.0" in ran.out
        assert shelf.tags() == {"1.1.0"}
        assert there.tags() == {"1.0.0"}, "the last one there"


def test_deleting_is_turned_off(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One error, with the way out, and nothing in the report."""
    monkeypatch.setenv("REGISTRY_STORAGE_DELETE_ENABLED", "false")
    folder = tmp_path / "other"
    folder.mkdir()
    with running(folder, auth="") as other:
        shelf.ship.configure(push={"to": [other]})
        fixed = Shelf(shelf.ship, shelf.proxy, other)
        fixed.image("1.0.0")
        fixed.image("1.1.0")
        said = fixed.fails()
        assert f"{other} does not delete (status 405)" in said
        assert "REGISTRY_STORAGE_DELETE_ENABLED=true" in said
        assert fixed.tags() == {"1.0.0", "1.1.0"}
        assert fixed.report["removed"] == []
        assert not fixed.report["complete"]


def test_no_leave_to_delete(shelf: Shelf) -> None:
    """Said so, and not tried again."""
    shelf.image("1.0.0")
    shelf.image("1.1.0")
    shelf.proxy.on("DELETE", MANIFESTS, answered(403, "DENIED"), times=0)
    said = shelf.fails()
    assert "refused the deletion of" in said
    assert "may they delete here?" in said
    assert len(shelf.proxy.requests("DELETE")) == 1
    assert shelf.report["removed"] == []


def test_a_failure_in_the_middle(shelf: Shelf) -> None:
    """The report holds what is gone, and nothing else; the next run does the rest."""
    for number in range(6):
        shelf.image(f"1.{number}.0")
    before = shelf.tags()
    shelf.proxy.on("DELETE", MANIFESTS, answered(400, "UNKNOWN", "out of order"), first=3, times=0)
    ran = shelf.invoke("--json", code=1)
    gone = before - shelf.tags()
    assert len(gone) == 2
    assert shelf.removed() == gone
    assert ran.json["error"]["cleaned"] == shelf.report
    assert "out of order" in shelf.report["error"]
    shelf.proxy.heal()
    shelf.clean()
    assert shelf.tags() == {"1.5.0"}
    assert shelf.removed() == before - gone - {"1.5.0"}


def test_a_release_goes_first(shelf: Shelf) -> None:
    """It is asked before each deletion whether one has begun; what is not deleted yet stays."""
    for number in range(6):
        shelf.image(f"1.{number}.0")
    before = shelf.tags()
    calls = count(1)

    def ask() -> None:
        if next(calls) > 2:
            raise Refused("a release has begun")

    root = shelf.ship.root
    with (
        Project.load(root).scopes() as scopes,
        withdrawing.looked(scopes) as shelves,
        pytest.raises(CleanStopped, match="a release has begun"),
        reported(root, withdrawing.TASK, ()) as done,
    ):
        shelves[0].withdraw(done, ask)
    assert shelf.removed() == before - shelf.tags()
    assert len(shelf.removed()) == 2


def test_an_answer_is_lost(shelf: Shelf) -> None:
    """The registry is asked again: what is gone is gone."""
    shelf.image("1.0.0")
    shelf.image("1.1.0")
    shelf.proxy.on("DELETE", MANIFESTS, Fault(lost=True))
    shelf.clean()
    assert shelf.tags() == {"1.1.0"}
    assert shelf.removed() == {"1.0.0"}


def test_a_registry_that_does_not_do_what_it_says(shelf: Shelf) -> None:
    """It is asked again after the deletion, and what it still has is not in the report."""
    shelf.image("1.0.0")
    shelf.image("1.1.0")
    shelf.proxy.on("DELETE", MANIFESTS, Fault(status=202, body=b""))
    assert "has it still" in shelf.fails()
    assert shelf.report["removed"] == []


def test_a_registry_that_wants_tags_deleted_first(shelf: Shelf) -> None:
    """Then they are, and the digest after them."""
    old = shelf.image("1.0.0")
    shelf.image("1.1.0")
    shelf.proxy.on("DELETE", f"{MANIFESTS}sha256", answered(400, "UNKNOWN", "a tag names it"))
    shelf.proxy.on("DELETE", f"{MANIFESTS}1.0.0", Fault(status=202, body=b""))
    shelf.clean()
    assert [one.path.rpartition("/")[2] for one in shelf.proxy.requests("DELETE")] == [old, "1.0.0", old]
    assert shelf.removed() == {"1.0.0"}
    assert shelf.removed("manifest") == {old}


def test_a_registry_that_deletes_tags_alone(shelf: Shelf) -> None:
    """What it did of that is told, where the digest does not go after all."""
    shelf.image("1.0.0", "ab" * 20, version="1.0.0")
    shelf.image("1.1.0")
    shelf.proxy.on("DELETE", f"{MANIFESTS}sha256", answered(400, "UNKNOWN", "a tag names it"), times=0)
    shelf.proxy.on("DELETE", f"{MANIFESTS}1.0.0", Fault(status=202, body=b""))
    assert "a tag names it" in shelf.fails()
    assert shelf.removed() == {"1.0.0"}
    assert shelf.removed("manifest") == set()


def test_a_tag_that_moves_in_the_last_moment(shelf: Shelf) -> None:
    """It is looked at right before the deletion: what it names now stays, and what it named, too."""
    old = shelf.image("1.0.0")
    shelf.image("1.1.0")

    def push(_: Seen) -> None:
        shelf.image("1.0.0", layer=b"made anew")

    # Each tag is asked for at both looks, and right before its image is deleted.
    shelf.proxy.on("HEAD", f"{MANIFESTS}1.0.0", Fault(before=push), first=3)
    (refused,) = shelf.clean().refused
    assert refused.name == f"{shelf.proxy.host}/{_NAME}:1.0.0"
    assert refused.why == "`1.0.0` is gone, or names something else by now"
    assert shelf.proxy.requests("DELETE") == []
    assert shelf.has(old)
    assert shelf.report["removed"] == []


def test_a_tag_that_is_given_after_the_first_look(shelf: Shelf) -> None:
    """A roll-back, for one: the second look sees it, and the image stays."""
    old = shelf.image("1.0.0")
    gone = shelf.image("1.1.0")
    shelf.image("1.2.0")

    def roll_back(_: Seen) -> None:
        shelf.image("stable", version="1.0.0")

    shelf.proxy.on("GET", "/tags/list", Fault(before=roll_back), first=2)
    refused = shelf.clean().refused
    assert {one.name.rpartition(":")[2] for one in refused} == {"1.0.0"}
    assert shelf.has(old)
    assert not shelf.has(gone)
    assert shelf.tags() == {"1.0.0", "stable", "1.2.0"}
    assert shelf.removed() == {"1.1.0"}


@pytest.mark.parametrize("granted", [("pull", "delete"), ("pull",)], ids=["may", "may not"])
def test_with_tokens(tokened: Guarded, authority: Authority, tmp_path: Path, granted: tuple[str, ...]) -> None:
    """Leave to delete is asked for together with leave to read, so that few tokens are."""
    root = tmp_path / "project"
    root.mkdir()
    host = tokened.proxy.host
    ship = launch(root, _NAME, host, "unused")
    ship.configure(ca=str(authority.file), clean=_LAST_ALONE)
    ship.environment.update(_NO_ENGINE)
    login(Pushing(ship, tokened.proxy, tokened.backend), tmp_path / "docker")
    there = Uploads(tokened.backend, _NAME, tokened.tokens.bearer(f"repository:{_NAME}:pull,push"))
    for number in range(12):
        labels = {"tinyship.project": _NAME, "org.opencontainers.image.version": f"1.{number}.0"}
        there.image(b"%d" % number, tag=f"1.{number}.0", labels=labels)
    tokened.tokens.granted = granted
    ran = ship.invoke("clean.registry", code=None)
    with Repository(f"{host}/{_NAME}", credential=_CAPTAIN, network=Network(ca=str(authority.file))) as repository:
        left = set(repository.tags())
    if "delete" in granted:
        assert ran.code == 0, ran.err
        assert left == {"1.11.0"}
        assert len(tokened.tokens.asked) <= 12, (
            "one to read, one to delete, and what threads asked for at the same time"
        )
    else:
        assert ran.code == 1
        assert "may they delete here?" in ran.err
        assert len(left) == 12


def test_an_index_that_cannot_be_read(shelf: Shelf) -> None:
    """It may list anything: nothing goes."""
    shelf.image("1.0.0")
    shelf.image("1.1.0")
    riddle = shelf.there.index(tag="riddle")
    shelf.proxy.on(
        "GET",
        riddle["digest"],
        Fault(body=b'{"mediaType": "application/x.riddle"}', headers={"Content-Type": INDEX}),
        times=0,
    )
    reasons = {one.name.rpartition(":")[2]: one.reason for one in shelf.clean().stayed}
    assert reasons["1.0.0"] == "`riddle` cannot be read, so that it is not known what it lists"
    assert shelf.proxy.requests("DELETE") == []


def test_what_garbage_collection_frees(shelf: Shelf, tmp_path: Path) -> None:
    """Just what was said, where no other repository has the same."""
    shelf.image("1.0.0", "ab" * 20, version="1.0.0")
    shelf.image("1.1.0")
    data = tmp_path / "registry" / "data"
    before = sum(file.stat().st_size for file in data.rglob("blobs/**/data"))
    done = shelf.clean()
    command = [program() or "", "garbage-collect", str(tmp_path / "registry" / "config.yml")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert done.freeable == before - sum(file.stat().st_size for file in data.rglob("blobs/**/data")) > 0


def test_what_an_engine_pushed(pushing: Pushing) -> None:
    """Releases as engines push them bear the labels that are looked for, in any image store."""
    pushing.push()
    pushing.ship.commit("another")
    pushing.ship.git("tag", "v1.1.0")
    pushing.ship.invoke("release", "--only")
    pushing.push()
    first, second = pushing.tags()["1.0.0"], pushing.tags()["1.1.0"]
    assert first != second
    pushing.ship.environment |= {f"TINYSHIP_CLEAN_REGISTRY_{key}": value for key, value in _LAST.items()}
    pushing.ship.invoke("clean.registry", TINYSHIP_PUSH_TO=pushing.proxy.host)
    assert set(pushing.tags().values()) == {second}
    assert "1.0.0" not in pushing.tags()
    pushing.config(second)
