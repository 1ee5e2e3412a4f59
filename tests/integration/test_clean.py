"""Cleaning on a real engine: each rule, what is shared, races, failures in the middle, and what the report says."""

from __future__ import annotations

import io
import json
import secrets
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ships import Ran, Ship

from tinyship import Project
from tinyship.cleaning.retention import Verdict
from tinyship.engine import containers, images, inventory, removal
from tinyship.engine.connect import Engine
from tinyship.engine.containers import ContainerRequest
from tinyship.errors import CleanStopped, EngineError, Refused
from tinyship.events import ignore
from tinyship.kept import turns
from tinyship.stages import clean, judging
from tinyship.stages.tally import CleanInterrupted

pytestmark = pytest.mark.engine

DATE = "2026-01-{:02}T00:00:00Z"


def rootfs(text: str) -> bytes:
    """A tar with one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        entry.size = len(text.encode())
        tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


@dataclass
class Yard:
    """A project of which releases lie in the engine, made in milliseconds.

    Args:
        root: its folder, with a git repository of one commit.
        engine: that has them.
        image: its name.
    """

    root: Path
    engine: Engine
    image: str

    def configure(self, **settings: Any) -> None:
        """Write the config."""
        config = {"image": self.image, "push": {"to": ["127.0.0.1:9"]}, **settings}
        (self.root / "invoke.json").write_text(json.dumps({"tinyship": config}))

    def git(self, *words: str) -> str:
        """Run git in the project."""
        return subprocess.run(["git", *words], cwd=self.root, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self, message: str = "change") -> str:
        """Commit, and return the commit."""
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def release(
        self,
        *tags: str,
        project: str = "",
        stage: str = "release",
        commit: str = "",
        text: str = "",
        date: str = "",
    ) -> str:
        """An image with these tags, or names where a colon is in them; its id. Later ones are later releases."""
        first, *more = [tag if ":" in tag else f"{self.image}:{tag}" for tag in tags]
        labels = {"tinyship.project": project or self.image, "tinyship.stage": stage}
        labels |= {"org.opencontainers.image.version": tags[0]}
        labels |= {"org.opencontainers.image.revision": commit} if commit else {}
        labels |= {"org.opencontainers.image.created": date} if date else {}
        image_id = images.import_rootfs(
            self.engine,
            iter([rootfs(text or first)]),
            name=first,
            changes=[f"LABEL {key}={value}" for key, value in labels.items()],
            events=ignore,
        )
        for name in more:
            images.tag(self.engine, image_id, name)
        return image_id

    def has(self, tag: str) -> bool:
        """Whether the engine has this tag of the image, or this name."""
        return images.find(self.engine, tag if ":" in tag else f"{self.image}:{tag}") is not None

    @property
    def project(self) -> Project:
        """It, as it is configured now."""
        return Project.load(self.root)

    def judged(self, what: judging.What = "old_releases") -> dict[str, Verdict]:
        """What would become of each thing, by its name without that of the project."""
        with self.project.scopes() as scopes:
            verdicts = judging.judge(scopes, what).verdicts
        return {verdict.name.removeprefix(f"{self.image}:"): verdict for verdict in verdicts}

    def reasons(self, what: judging.What = "old_releases") -> dict[str, str]:
        """Why each thing goes, with a minus before it, or stays."""
        return {name: f"{'' if one.stays else '- '}{one.reason}" for name, one in self.judged(what).items()}

    def invoke(self, *words: str, code: int = 0) -> Ran:
        """Run a task as a user would."""
        (self.root / "tasks.py").write_text('"""Ship it."""\nimport tinyship\nns = tinyship.collection()\n')
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *words], cwd=self.root, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return Ran(done.returncode, done.stdout, done.stderr)

    @property
    def report(self) -> Any:
        """What the last clean wrote."""
        return json.loads((self.root / ".tinyship" / "clean.json").read_text(encoding="utf-8"))


@pytest.fixture
def yards(tmp_path: Path, engine: Engine, namespace: str) -> Callable[[], Yard]:
    """Makes projects of names of their own."""

    def make() -> Yard:
        name = f"yard-{secrets.token_hex(4)}"
        root = tmp_path / name
        root.mkdir()
        yard = Yard(root, engine, f"{namespace}/{name}")
        yard.git("init", "-q", "-b", "main")
        yard.commit("first")
        yard.configure(clean={"keep": 1})
        return yard

    return make


@pytest.fixture
def yard(yards: Callable[[], Yard]) -> Yard:
    """A project without a release."""
    return yards()


@pytest.fixture
def stopped(engine: Engine) -> Iterator[Callable[..., str]]:
    """Makes containers that never ran; they go with the test."""
    made: list[str] = []

    def make(image: str, project: str = "another", *, own: bool = True) -> str:
        request = ContainerRequest(image=image, command=("sh",), labels={"tinyship.project": project})
        name = f"tinyship-{secrets.token_hex(8)}" if own else f"test-{secrets.token_hex(8)}"
        made.append(engine.api.create_container_from_config(containers._config(request), name)["Id"])
        return made[-1]

    yield make
    for container in made:
        containers.remove(engine, container)


def test_the_last_releases_stay(yard: Yard) -> None:
    """By their dates; what is tagged `local` does, too; all names of an image are one row, and go together."""
    yard.release("1.9.0", "local")
    yard.release("1.8.0", "abc")
    yard.release("1.10.0")
    # An import has the moment it is made as its date, so the last one is the last release.
    assert yard.reasons() == {
        "1.10.0": "the last release",
        "1.9.0": "it is tagged `local`",
        "1.8.0": "- not the last release",
    }
    assert yard.judged()["1.8.0"].also == (f"{yard.image}:abc",)
    done = yard.project.clean(releases=True, yes=True)
    assert {one.name for one in done.removed} == {f"{yard.image}:1.8.0", f"{yard.image}:abc"}
    assert [yard.has(tag) for tag in ("1.10.0", "1.9.0", "local", "1.8.0", "abc")] == [True, True, True, False, False]
    assert done.freed is not None
    assert done.freed >= 0


def test_releases_are_ordered_by_their_date(yard: Yard) -> None:
    """And not by that of a builder's cache, which is older, or younger, than the release that comes of it."""
    yard.release("1.1.0", date=DATE.format(2))
    yard.release("1.0.0", date=DATE.format(1))
    assert yard.reasons() == {"1.1.0": "the last release", "1.0.0": "- not the last release"}


def test_git_keeps_releases(yard: Yard) -> None:
    """Tags and the ends of branches by itself; with `all` what lies behind them; with `none` nothing."""
    commits = [yard.commit(), yard.commit(), yard.commit()]
    yard.git("tag", "größe-1", commits[0])
    yard.git("checkout", "-q", "--detach")
    lost = yard.commit("lost")
    yard.git("checkout", "-q", "main")
    for number, commit in enumerate([*commits, lost, commits[2]], 1):
        yard.release(f"1.{number}.0", commit=commit)
    assert yard.reasons() == {
        "1.5.0": "the last release",
        "1.4.0": "- not the last release",
        "1.3.0": "the branch main ends at its commit",
        "1.2.0": "- not the last release",
        "1.1.0": "the tag größe-1 names its commit",
    }
    yard.configure(clean={"keep": 1, "keep_git": "all"})
    assert yard.reasons()["1.2.0"] == "a tag or a branch descends from its commit"
    with yard.project.scopes() as scopes:
        hints = judging.judge(scopes, "old_releases").hints
    assert [hint.partition(", and")[0] for hint in hints] == [
        "with `clean.keep_git: named` up to 1 more image would go",
        "with `clean.keep_git: none` up to 3 more images would go",
    ]
    assert yard.reasons()["1.4.0"] == "- not the last release"
    yard.configure(clean={"keep": 1, "keep_git": "none"})
    assert [reason[:1] for reason in yard.reasons().values()] == ["t", "-", "-", "-", "-"]
    yard.git("tag", "-d", "größe-1")
    yard.configure(clean={"keep": 1})
    assert yard.reasons()["1.1.0"] == "- not the last release"


def test_containers_hold_their_image(yard: Yard, stopped: Callable[..., str]) -> None:
    """Also such as never ran; one of a release that stays holds nothing else."""
    old, new = yard.release("1.0.0"), yard.release("1.2.0")
    yard.release("1.1.0", "extra")
    yard.release("1.3.0")
    for image in (old, new):
        stopped(image)
    reasons = yard.reasons()
    assert reasons["1.0.0"].endswith(" uses it")
    assert reasons["1.0.0"].startswith("the container ")
    assert reasons["1.1.0"] == "- not the last release"
    yard.project.clean(releases=True, yes=True)
    assert [yard.has(tag) for tag in ("1.0.0", "1.1.0", "extra", "1.2.0", "1.3.0")] == [True, False, False, True, True]


def test_a_container_that_comes_after_the_judgement(yard: Yard, stopped: Callable[..., str]) -> None:
    """The engine refuses, and the names that were taken before are given back."""
    made: list[str] = []
    old = yard.release("1.0.0", "abc", "extra")
    yard.release("1.1.0")
    with yard.project.scopes() as scopes:
        done = clean.clean(scopes, "old_releases", yes=True, show=lambda _: made.append(stopped(old)))
    assert done.removed == ()
    assert [(one.name, one.why) for one in done.refused] == [(f"{yard.image}:1.0.0", "a container uses it")]
    found = images.find(yard.engine, old)
    assert found
    assert set(found.tags) == {f"{yard.image}:{tag}" for tag in ("1.0.0", "abc", "extra")}
    assert yard.report["removed"] == []


def test_what_two_projects_share(yards: Callable[[], Yard]) -> None:
    """An image with the name of another project stays with all of its names, in both."""
    ours, theirs = yards(), yards()
    shared = ours.release("1.0.0")
    images.tag(ours.engine, shared, f"{theirs.image}:copied")
    for number in (1, 2):
        ours.release(f"1.{number}.0")
        theirs.release(f"1.{number}.0")
    assert ours.reasons()["1.0.0"] == f"shared: it is {theirs.image}:copied, too"
    assert ours.reasons("everything")["1.0.0"] == f"shared: it is {theirs.image}:copied, too"
    assert "1.1.0" in theirs.reasons()
    assert not [name for name in theirs.judged() if ours.image in name]
    done = ours.project.clean(everything=True, yes=True)
    assert {one.name for one in done.removed} == {f"{ours.image}:1.1.0", f"{ours.image}:1.2.0"}
    assert [theirs.has(tag) for tag in ("copied", "1.1.0", "1.2.0")] == [True, True, True]
    assert ours.has("1.0.0")


def test_a_base_that_another_project_made_last(yards: Callable[[], Yard]) -> None:
    """It bears the other's label, and stays."""
    ours, theirs = yards(), yards()
    base = f"{ours.image}-base:latest"
    ours.configure(base=[{"name": base, "dockerfile": "Dockerfile"}])
    theirs.release(base, project=theirs.image, stage="base")
    assert ours.reasons("everything") == {base: f"it is {theirs.image}'s, too"}
    assert ours.judged() == {}


def test_a_foreign_image_from_ours(yard: Yard) -> None:
    """It inherits the label, not the name: it is not ours, and not listed."""
    yard.release(f"{yard.image}-of-another:1")
    assert yard.judged("everything") == {}


@pytest.mark.needs("classic")
def test_what_others_stand_on(yard: Yard, tmp_path: Path) -> None:
    """A release stays for an image of anybody's that was made from it, until that goes."""
    old = yard.release("1.0.0", text=yard.image * 5000)
    yard.release("1.1.0")
    (tmp_path / "Dockerfile").write_text(f"FROM {yard.image}:1.0.0\nCOPY file2 /\n")
    (tmp_path / "file2").write_text(yard.image)
    child = f"{yard.image}-child:1"
    yard.engine.client.images.build(path=str(tmp_path), tag=child, labels={"tinyship.project": "another"}, rm=True)
    assert yard.reasons()["1.0.0"] == f"{child} stands on it"
    assert (yard.judged()["1.0.0"].bytes or 0) < 50_000, "its layer is shared, and not claimed"
    images.untag(yard.engine, child)
    assert yard.reasons()["1.0.0"] == "- not the last release"
    assert images.find(yard.engine, old)


def test_equal_layers_hold_nothing(yard: Yard) -> None:
    """Releases of one content share every layer, but none stands on another: the old ones go, and claim no bytes."""
    for number in range(3):
        yard.release(f"1.{number}.0", text="the same in each" * 5000)
    judged = yard.judged()
    assert [judged[f"1.{number}.0"].stays for number in range(3)] == [False, False, True]
    assert all((judged[f"1.{number}.0"].bytes or 0) < 50_000 for number in range(3))


def test_everything_goes_from_top_to_bottom(yard: Yard) -> None:
    """All images and containers of the project; a report has them all."""
    base = f"{yard.image}-base:latest"
    yard.configure(base=[{"name": base, "dockerfile": "Dockerfile"}], build={"artifacts": ["bin/foo"]})
    (yard.root / "bin").mkdir()
    (yard.root / "bin" / "foo").write_text("12345")
    yard.release(base, stage="base")
    yard.release("build", stage="build")
    yard.release("1.0.0", "local")
    with pytest.raises(Refused, match="3 of 3 images would go, which is more than 50%") as raised:
        yard.project.clean(everything=True)
    assert "--yes" in raised.value.hint
    assert (yard.root / "bin" / "foo").exists()
    assert yard.has("local")
    yard.project.clean(everything=True, yes=True)
    assert not images.listing(yard.engine, project=yard.image)
    assert {one["name"] for one in yard.report["removed"]} == {
        "bin/foo",
        base,
        *(f"{yard.image}:{tag}" for tag in ("build", "1.0.0", "local")),
    }
    assert yard.report["complete"]


def test_leftovers(yard: Yard, stopped: Callable[..., str], busybox: str) -> None:
    """Containers of the stages that ended, images without a name; what has a name is not even listed.

    Whoever runs a release has a container that inherited the project's label, and keeps it.
    """
    unnamed = yard.release("1.0.0", text="first")
    yard.release("1.0.0", text="second")
    ended = stopped(busybox, project=yard.image)
    foreign = stopped(busybox, project="another")
    users = stopped(f"{yard.image}:1.0.0", project=yard.image, own=False)
    done = yard.project.clean()
    assert [one.kind for one in done.removed] == ["container", "image"]
    assert images.find(yard.engine, unnamed) is None
    assert yard.has("1.0.0")
    there = {one.id for one in inventory.containers(yard.engine)}
    assert ended not in there
    assert {foreign, users} <= there
    yard.project.clean(everything=True, yes=True)
    assert users in {one.id for one in inventory.containers(yard.engine)}
    assert yard.has("1.0.0")


def test_a_running_container_is_somebodys(yard: Yard, busybox: str) -> None:
    """It may be a release's from another clone: `clean` leaves it, `clean.all` does not."""
    request = ContainerRequest(image=busybox, command=("sleep", "300"), labels={"tinyship.project": yard.image})
    with containers.container(yard.engine, request) as container:
        containers.start(yard.engine, container)
        (verdict,) = yard.judged("work").values()
        assert verdict.stays
        assert verdict.reason.startswith("it runs")
        assert yard.project.clean().removed == ()
        yard.project.clean(everything=True)
        assert container not in {one.id for one in inventory.containers(yard.engine)}


def test_artifacts(yard: Yard, tmp_path: Path) -> None:
    """Files and folders go; links go without what they lead to; what git tracks or lies elsewhere stays."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for file in (elsewhere / "kept", elsewhere / "foo"):
        file.write_text("not the project's")
    for folder in ("bin", "dist/größe", "src/out"):
        (yard.root / folder).mkdir(parents=True)
    (yard.root / "bin" / "foo").write_text("12345")
    (yard.root / "dist" / "größe" / "a").write_text("12345")
    (yard.root / "dist" / "link").symlink_to(elsewhere)
    (yard.root / "link").symlink_to(elsewhere)
    (yard.root / "out").symlink_to(elsewhere)
    (yard.root / "src" / "main.c").write_text("main")
    (yard.root / "src" / "out" / "[x].txt").write_text("tracked")
    yard.git("add", "src")
    yard.commit("sources")
    names = ["bin/foo", "dist", "link", "out/foo", "src/main.c", "src/out", "missing"]
    yard.configure(build={"artifacts": names})
    assert yard.reasons("work") == {
        "bin/foo": "- the build makes it again",
        "dist": "- the build makes it again",
        "link": "- the build makes it again",
        "out/foo": "out is a link, and what it leads to is not the project's to remove",
        "src/main.c": "git tracks it",
        "src/out": "git tracks src/out/[x].txt in it",
    }
    (tmp_path / "way").symlink_to(tmp_path)  # the way to the project may be a link, as it is on macOS
    done = Project.load(tmp_path / "way" / yard.root.name).clean()
    assert [one.name for one in done.removed] == ["bin/foo", "dist", "link"]
    assert done.freed == 10 + 2 * len(str(elsewhere))
    assert sorted(path.name for path in elsewhere.iterdir()) == ["foo", "kept"]
    assert (yard.root / "src" / "out" / "[x].txt").exists()
    assert not (yard.root / "dist").exists()


def test_the_table_comes_first_and_dry_ends_there(yard: Yard) -> None:
    """As a user sees it: a row each with one reason; what --yes would be needed for is said; nothing is changed."""
    for number in range(3):
        yard.release(f"1.{number}.0")
    dry = yard.invoke("--dry", "clean.images")
    rows = [line.split() for line in dry.out.splitlines()]
    assert rows[0] == ["what", "name", "bytes", "why"]
    assert [row[:3] for row in rows[1:4]] == [
        ["goes", "image", f"{yard.image}:1.1.0"],
        ["goes", "image", f"{yard.image}:1.0.0"],
        ["stays", "image", f"{yard.image}:1.2.0"],
    ]
    assert "`--yes` would be needed: 2 of 3 images would go" in dry.out
    assert not (yard.root / ".tinyship").exists()
    refused = yard.invoke("clean.images", code=1)
    assert "goes   image" in refused.out
    assert "run it again with `--yes`" in refused.err
    assert all(yard.has(f"1.{number}.0") for number in range(3))
    done = yard.invoke("clean.images", "--yes", "--json").json
    assert [yard.has(f"1.{number}.0") for number in range(3)] == [False, False, True]
    assert (len(done["removed"]), done["complete"], done["task"]) == (2, True, "clean.images")
    assert done == yard.report


def test_dry_as_data(yard: Yard) -> None:
    """With --json a dry run has the verdicts and the plan; the engine and the folder are as they were."""
    for number in range(2):
        yard.release(f"1.{number}.0")
    data = yard.invoke("--dry", "clean.images", "--json").json
    assert {one["name"]: one["stays"] for one in data["verdicts"]} == {
        f"{yard.image}:1.0.0": False,
        f"{yard.image}:1.1.0": True,
    }
    assert [action["target"] for action in data["plans"][0]["actions"]] == [f"{yard.image}:1.0.0"]
    assert yard.has("1.0.0")


def test_a_small_share_is_not_asked_for(yard: Yard) -> None:
    """Up to `clean.ask_above` it goes without."""
    for number in range(4):
        yard.release(f"1.{number}.0")
    yard.configure(clean={"keep": 2})
    assert len(yard.project.clean(releases=True).removed) == 2
    yard.configure(clean={"keep": 1, "ask_above": 0.49})
    with pytest.raises(Refused, match="1 of 2 images would go, which is more than 49%"):
        yard.project.clean(releases=True)


def test_several_images_are_one_table(yards: Callable[[], Yard]) -> None:
    """Each has its own last releases; names of the other images of the project are no foreign ones."""
    yard, other = yards(), yards()
    yard.configure(
        clean={"keep": 1},
        images=[{"name": "api", "image": f"{yard.image}"}, {"name": "web", "image": f"{other.image}"}],
    )
    for one in (yard, other):
        one.release("1.0.0")
        one.release("1.1.0")
    judged = yard.judged()
    assert sorted((name.rpartition("/")[2], one.stays) for name, one in judged.items()) == sorted(
        [("1.0.0", False), ("1.1.0", True)]
        + [(f"{other.image.rpartition('/')[2]}:{tag}", stays) for tag, stays in (("1.0.0", False), ("1.1.0", True))]
    )
    yard.project.clean(releases=True)
    assert {one["name"] for one in yard.report["removed"]} == {f"{yard.image}:1.0.0", f"{other.image}:1.0.0"}


@pytest.mark.parametrize("more", [(), ("extra",)])
def test_a_name_that_moved_is_not_taken(yard: Yard, more: tuple[str, ...]) -> None:
    """What another clone released between judgement and removal stays; the report says what went, by its id or name."""
    old = yard.release("1.0.0", *more)
    yard.release("1.1.0")
    fresh: list[str] = []
    with yard.project.scopes() as scopes:
        done = clean.clean(
            scopes, "old_releases", yes=True, show=lambda _: fresh.append(yard.release("1.0.0", text="anew"))
        )
    found = images.find(yard.engine, f"{yard.image}:1.0.0")
    assert found
    assert found.id == fresh[0] != old
    assert f"{yard.image}:1.0.0" not in {one.name for one in done.removed}
    left = images.find(yard.engine, old)
    assert bool(done.removed) == (left is None)


def test_a_name_that_came_is_not_taken(yard: Yard) -> None:
    """An image that got one more name is not what was judged."""
    old = yard.release("1.0.0")
    yard.release("1.1.0")
    with yard.project.scopes() as scopes:
        done = clean.clean(
            scopes,
            "old_releases",
            yes=True,
            show=lambda _: images.tag(yard.engine, old, f"{yard.image}:2.0.0"),
        )
    assert done.removed == ()
    assert [one.why for one in done.refused] == [f"it is {yard.image}:2.0.0 by now"]
    assert yard.has("1.0.0")
    assert yard.has("2.0.0")


def test_a_release_goes_first(ship: Ship, engine: Engine) -> None:
    """While one runs here nothing is cleaned; one that comes ends a clean before its next removal."""
    with turns.releasing(ship.root), pytest.raises(Refused, match="releasing or cleaning"):
        Project.load(ship.root).clean()
    release = release_while_cleaning(ship)
    _, said = release.communicate(timeout=120)
    assert release.returncode == 0, said
    assert images.find(engine, f"{ship.image}:1.0.0")


def test_an_engine_that_fails_in_the_middle(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report has what was deleted, and nothing else; a second run takes the rest."""
    for number in range(12):
        yard.release(f"1.{number}.0")
    real, count = removal.remove, []

    def failing(engine: Engine, image_id: str, names: Any, told: Any) -> str:
        count.append(image_id)
        if len(count) > 4:
            raise EngineError("the engine is gone")
        return real(engine, image_id, names, told)

    monkeypatch.setattr(removal, "remove", failing)
    with pytest.raises(CleanStopped, match="the engine is gone") as raised:
        yard.project.clean(releases=True, yes=True)
    monkeypatch.undo()
    gone = {f"{yard.image}:1.{number}.0" for number in range(12) if not yard.has(f"1.{number}.0")}
    assert 0 < len(gone) < 11
    assert {one["name"] for one in yard.report["removed"]} == gone
    assert {one.name for one in raised.value.cleaned.removed} == gone
    assert (yard.report["complete"], yard.report["error"]) == (False, "the engine is gone")
    yard.project.clean(releases=True, yes=True)
    assert {one["name"] for one in yard.report["removed"]} == {f"{yard.image}:1.{n}.0" for n in range(11)} - gone


def test_an_interrupt(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends what has begun, begins nothing more, and leaves a true report."""
    for number in range(12):
        yard.release(f"1.{number}.0")
    real = removal.remove

    def removing(engine: Engine, image_id: str, names: Any, told: Any) -> str:
        if not interrupted:
            interrupted.append(True)
            signal.raise_signal(signal.SIGINT)
        return real(engine, image_id, names, told)

    interrupted: list[bool] = []
    monkeypatch.setattr(removal, "remove", removing)
    with pytest.raises(CleanInterrupted) as raised:
        yard.project.clean(releases=True, yes=True)
    gone = {f"{yard.image}:1.{number}.0" for number in range(12) if not yard.has(f"1.{number}.0")}
    assert {one["name"] for one in yard.report["removed"]} == gone
    assert yard.report == raised.value.cleaned.as_json()
    assert (yard.report["complete"], yard.report["error"]) == (False, "interrupted")


def test_an_interrupted_task(yard: Yard) -> None:
    """As a user: exit code 130, and with --json the same report on standard output."""
    yard.configure(clean={"keep": 1}, build={"artifacts": ["bin"]})
    (yard.root / "bin").mkdir()
    (yard.root / "tasks.py").write_text(
        "import signal, tinyship\nfrom tinyship.stages import clean\n"
        "real = clean._remove_artifact\n"
        "def interrupted(*words):\n    real(*words)\n    signal.raise_signal(signal.SIGINT)\n"
        "clean._remove_artifact = interrupted\nns = tinyship.collection()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "clean", "--json"], cwd=yard.root, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 130, done.stderr
    told = json.loads(done.stdout)["error"]["cleaned"]
    assert told == yard.report
    assert (told["removed"], told["complete"]) == ([{"kind": "artifact", "name": "bin"}], False)


@pytest.mark.slow
def test_a_clean_and_a_release_at_once(ship: Ship, engine: Engine, tmp_path: Path) -> None:
    """From the same folder and from another clone, again and again: each release ends well, and has its image."""
    ship.configure(clean={"keep": 1, "ask_above": 1})
    clone = tmp_path / "clone"
    for number in range(4):
        ship.commit(f"change {number}")
        ship.git("tag", f"v2.{number}.0")
        shutil.rmtree(clone, ignore_errors=True)
        subprocess.run(["git", "clone", "-q", str(ship.root), str(clone)], check=True)
        command = [sys.executable, "-m", "invoke"]
        options: dict[str, Any] = {"env": ship.environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        release = subprocess.Popen([*command, "release"], cwd=ship.root, **options)
        cleans = [subprocess.Popen([*command, "clean.images"], cwd=root, **options) for root in (ship.root, clone)]
        told, _ = release.communicate(timeout=120)
        for one in cleans:
            said, _ = one.communicate(timeout=120)
            assert one.returncode == 0 or b"releas" in said, said
        assert release.returncode == 0, told
        assert Project.load(ship.root).clean().complete
        assert ship.record["version"] == f"2.{number}.0"
        found = images.find(engine, f"{ship.image}:2.{number}.0")
        assert found
        assert found.id == ship.record["id"]


def release_while_cleaning(ship: Ship) -> subprocess.Popen[bytes]:
    """Start a release while a clean is between two removals; the clean hears of it, and ends."""
    with turns.cleaning(ship.root) as ask:
        release = subprocess.Popen(
            [sys.executable, "-m", "invoke", "release"], cwd=ship.root, env=ship.environment, stderr=subprocess.PIPE
        )
        given_up = time.monotonic() + 60
        try:
            while time.monotonic() < given_up:
                ask()
                time.sleep(0.01)
        except Refused:
            return release
    release.kill()
    pytest.fail("the clean never heard of the release")
