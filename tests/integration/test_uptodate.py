"""What was made of the same before is not made again; whatever may differ is made."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import contents
import pytest
from ships import Ran, Ship

from tinyship import Project
from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.errors import BudgetExceeded, BuildFailed
from tinyship.events import Event, Notice, Reason, StageEnded, Step
from tinyship.kept import memory
from tinyship.stages.uptodate import FIRST

pytestmark = pytest.mark.engine

LEAN = "FROM {busybox}\nARG WHO\nLABEL who=$WHO\nCOPY src /src\nRUN cat /src/main.txt > /made\n"


class Lean:
    """A project whose release stands on nothing of its own, and what happened when it was released last.

    Args:
        ship: the project.
        engine: where it is released.
    """

    def __init__(self, ship: Ship, engine: Engine) -> None:
        self.ship = ship
        self.engine = engine
        self.root = ship.root
        self.seen: list[Event] = []
        self.listener: Callable[[Event], None] = lambda event: None

    def set(self, **changes: Any) -> None:
        """Lay keys over the config."""
        file = self.root / "invoke.json"
        config = json.loads(file.read_text())
        config["tinyship"] |= changes
        file.write_text(json.dumps(config))

    def release(self, **how: Any) -> list[str]:
        """Release, and return why it was built; nothing where it was not."""
        self.seen = []
        Project.load(self.root, events=self.event).release(**how)
        return self.reasons

    def event(self, event: Event) -> None:
        """Take note of an event, and pass it on."""
        self.seen.append(event)
        self.listener(event)

    @property
    def reasons(self) -> list[str]:
        """Why the release image was built."""
        return [one.text for one in self.seen if isinstance(one, Reason) and one.works]

    @property
    def local(self) -> str:
        """The release image's name in the engine."""
        return f"{self.ship.image}:local"

    @property
    def id(self) -> str:
        """The release image's id."""
        found = images.find(self.engine, self.local)
        assert found
        return found.id

    def made(self) -> str:
        """What a RUN made of the source."""
        return contents.text(self.engine, self.local, "made")

    def settle(self) -> None:
        """Release until there is nothing to do, which takes two times at most."""
        self.release()
        assert self.release() == []


@pytest.fixture
def lean(ship: Ship, engine: Engine, busybox: str) -> Lean:
    """A project of one stage, which was not released yet."""
    (ship.root / "Dockerfile").write_text(LEAN.format(busybox=busybox))
    (ship.root / "src" / "link").symlink_to("main.txt")
    (ship.root / "src" / "sub").mkdir()
    (ship.root / "src" / "sub" / "file").write_text("file")
    found = Lean(ship, engine)
    file = ship.root / "invoke.json"
    config = json.loads(file.read_text())["tinyship"]
    file.write_text(json.dumps({"tinyship": {"image": config["image"], "version": {"literal": "1"}}}))
    return found


@pytest.mark.smoke
def test_nothing_to_do(ship: Ship, engine: Engine) -> None:
    """No builder is asked for anything; the record, the tags and the table are what a build leaves."""
    first = ship.invoke("release", "--explain")
    assert first.err.count("it is made here for the first time") == 4
    record = ship.record
    built = [images.find(engine, name) for name in (ship.base, f"{ship.image}:build", f"{ship.image}:local")]
    again = ship.invoke("release", "--explain", "--json")
    assert [(one["stage"], one["works"]) for one in again.json["reasons"]] == [
        ("base", False),
        ("build", False),
        ("build", False),
        ("release", False),
    ]
    assert "#" not in again.err
    assert again.err.count("up to date (") == 4
    assert [images.find(engine, name) for name in (ship.base, f"{ship.image}:build", f"{ship.image}:local")] == built
    assert {**ship.record, "previous": None} == {**record, "previous": None}
    assert "reasons" not in ship.invoke("release", "--json").json


def test_force_works_anyway(ship: Ship) -> None:
    """In each stage, and on what it stands on."""
    ship.invoke("release")
    assert ship.invoke("base", "--force", "--explain").err.count("because `--force` asks for it") == 1
    assert ship.invoke("build", "--force", "--explain").err.count("because `--force` asks for it") == 3
    ran = ship.invoke("release", "--force", "--explain")
    assert ran.err.count("because `--force` asks for it") == 4
    assert "made bin/foo" in ran.err
    for image in (f"base {ship.base}", f"build {ship.image}:build", f"release {ship.image}:local"):
        assert f"{image}: made again, all steps from the builder's cache (" in ran.err
    assert "up to date" not in ran.err
    assert ship.invoke("release", "--explain").err.count("because nothing changed") == 4


def told(ran: Ran) -> list[str]:
    """The reasons that a run gives, without the moments in them."""
    return [re.sub(r"it was made, .*", "it was made", line) for line in ran.err.splitlines() if "because" in line]


def test_a_plan_says_why(ship: Ship, engine: Engine) -> None:
    """As the release itself would, and for what comes after work that it foresees; it leaves nothing behind."""
    plan = ("--dry", "release", "--explain")
    base, build, release = f"base {ship.base}", f"build {ship.image}:build", f"release {ship.image}:local"
    first = ship.invoke(*plan)
    assert told(first) == [f"{one}: because {FIRST}" for one in (base, build, build, release)]
    assert not (ship.root / ".tinyship").exists()
    ship.invoke("release")
    kept = {file: file.read_bytes() for file in (ship.root / ".tinyship").iterdir()}
    nothing = "up to date, because nothing changed since it was made"
    assert told(ship.invoke(*plan)) == [f"{one}: {nothing}" for one in (base, build, build, release)]
    dockerfile = ship.root / "docker/Dockerfile.base"
    dockerfile.write_text(dockerfile.read_text().replace("echo base", "echo other"))
    (ship.root / "src/main.txt").write_text("new")
    assert all(line.startswith(f"{release}: because `") for line in told(ship.invoke(*plan, "--only")))
    dry = ship.invoke("--dry", "release", "--push", "--explain", "--json").json
    assert [(one["stage"], one["text"]) for one in dry["reasons"] if "VERSION" not in one["text"]] == [
        ("base", "the Dockerfile changed"),
        ("build", f"{ship.base} is made before it"),
        ("build", "`docker/Dockerfile.base` changed"),
        ("build", "`src/main.txt` changed"),
        ("build", f"{ship.image}:build is made before it"),
        ("release", f"{ship.base} is made before it"),
        ("release", "`bin/foo` is made before it"),
    ]
    forced = ship.invoke("--dry", "build", "--explain", "--force")
    assert forced.err.count("because `--force` asks for it") == 3
    assert {file: file.read_bytes() for file in (ship.root / ".tinyship").iterdir()} == kept


def write(path: str, text: str) -> Callable[[Lean], object]:
    """A change of a file of the project."""
    return lambda lean: (lean.root / path).write_text(text)


def same_size_and_time(lean: Lean) -> None:
    """Other content, and not another size or time."""
    file = lean.root / "src" / "main.txt"
    before = file.stat()
    file.write_text(file.read_text().swapcase())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def relink(lean: Lean) -> None:
    """A link that leads elsewhere."""
    link = lean.root / "src" / "link"
    link.unlink()
    link.symlink_to("mode.txt")


def dockerfile(lean: Lean) -> None:
    """Another step."""
    with (lean.root / "Dockerfile").open("a") as file:
        file.write("RUN echo more > /more\n")


def many(lean: Lean) -> None:
    """More new files than anybody reads."""
    folder = lean.root / "src" / "many"
    folder.mkdir()
    for name in "abcd":
        (folder / name).write_text(name)


CHANGES: list[tuple[Callable[[Lean], object], list[str] | None]] = [
    (write("src/main.txt", "other\n"), ["`src/main.txt` changed"]),
    (same_size_and_time, ["`src/main.txt` changed"]),
    (lambda lean: (lean.root / "src/main.txt").chmod(0o600), ["the mode of `src/main.txt` changed"]),
    (write("src/mode.txt", "mode"), ["`src/mode.txt` is new"]),
    (relink, ["`src/link` links elsewhere"]),
    (lambda lean: (lean.root / "src/sub").chmod(0o700), ["the mode of `src/sub` changed"]),
    (lambda lean: os.utime(lean.root / "src/main.txt"), []),
    (write("README", "no part of the image"), []),
    (lambda lean: (lean.root / "src/mode.txt").rename(lean.root / "src/name.txt"), None),
    (write(".dockerignore", ".git\n.tinyship\nsrc/name.txt\n"), ["`src/name.txt` is gone"]),
    (dockerfile, ["the Dockerfile changed"]),
    (lambda lean: lean.set(args=["WHO=me"]), ["`args` changed: WHO"]),
    (lambda lean: lean.set(args=["WHO=me", "UNKNOWN=1"]), []),
    (lambda lean: lean.set(labels=["team=ships"]), ["`labels` changed: team"]),
    (lambda lean: lean.set(network="none"), ["`settings` changed: network"]),
    (lambda lean: lean.set(version={"literal": "2"}), None),
    (many, ["`src/many` is new", "`src/many/a` is new", "`src/many/b` is new", "2 more changed"]),
]


@pytest.mark.thorough
def test_whatever_changes(lean: Lean) -> None:
    """Each change is made good, said in a line, and done with; what no image shows is no work."""
    lean.settle()
    for number, (change, wanted) in enumerate(CHANGES):
        change(lean)
        reasons = lean.release()
        if wanted is None:
            assert reasons, number
        else:
            assert reasons == wanted, number
        released = contents.files(lean.engine, lean.local)
        main = lean.root / "src/main.txt"
        assert released["src/main.txt"][1:] == (f"{main.stat().st_mode & 0o777:o}", sha(main)), number
        assert lean.made() == main.read_text(), number
        assert released["src/link"][2] == str((lean.root / "src/link").readlink()), number
        assert ("src/name.txt" in released) == (number == 8), number
    assert released["src/sub"][1] == "700"


def sha(file: Path) -> str:
    """A digest of a file's content."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_git_stash(ship: Ship, engine: Engine) -> None:
    """A change, the stash, and the change again: each time it is what lies there."""
    (ship.root / "src/main.txt").write_text("changed\n")
    dockerfile = (ship.root / "Dockerfile").read_text()
    (ship.root / "Dockerfile").write_text(f"{dockerfile}COPY src /src\n")
    ship.commit("copy")
    project = Project.load(ship.root)
    project.release()
    (ship.root / "src/main.txt").write_text("worked on\n")
    project.release()
    for words, wanted in ((("stash",), "changed\n"), (("stash", "pop"), "worked on\n"), (("stash",), "changed\n")):
        ship.git(*words)
        project.release()
        assert contents.text(engine, f"{ship.image}:local", "src/main.txt") == wanted
        assert ship.record["dirty"] == (wanted == "worked on\n")


def test_names_are_put_back(lean: Lean, busybox: str) -> None:
    """A name that is gone or another image's is given again, without a build, as long as the engine has the image."""
    lean.settle()
    first, tags = lean.id, lean.ship.record["tags"]
    images.untag(lean.engine, lean.local)
    images.tag(lean.engine, busybox, f"{lean.ship.image}:1")
    assert lean.release() == []
    images.tag(lean.engine, busybox, lean.local)
    assert lean.release() == []
    for tag in tags:
        found = images.find(lean.engine, f"{lean.ship.image}:{tag}")
        assert found
        assert found.id == first


def test_an_image_that_is_gone(lean: Lean) -> None:
    """It is built, and the table and the record are as before."""
    lean.settle()
    record = lean.ship.record
    for tag in lean.ship.record["tags"]:
        images.untag(lean.engine, f"{lean.ship.image}:{tag}")
    assert lean.release() == ["no image in this engine"]
    assert lean.ship.record["sizes"] == record["sizes"]
    assert lean.release() == []


def test_a_base_that_moves(lean: Lean, namespace: str, busybox: str) -> None:
    """Its id decides, not its name; and where its name is gone the builder has to say so."""
    base = f"{namespace}/base:1"
    images.tag(lean.engine, busybox, base)
    (lean.root / "Dockerfile").write_text(LEAN.format(busybox=base))
    lean.settle()
    old = images.find(lean.engine, busybox)
    assert old
    lean.engine.api.tag(
        lean.engine.api.commit(container(lean, busybox), changes=["ENV NEW=1"])["Id"], f"{namespace}/base", "1"
    )
    new = images.find(lean.engine, base)
    assert new
    assert lean.release() == [f"{base} moved from {old.id[:14]} to {new.id[:14]}"]
    assert "NEW=1" in contents.config(lean.engine, lean.local)["Env"]


def container(lean: Lean, image: str) -> str:
    """A container that never runs; it goes with the project's images."""
    found = lean.engine.api.create_container(image, "true", labels={"tinyship.project": lean.ship.image})
    return str(found["Id"])


def test_what_a_base_does_on_build(lean: Lean, namespace: str, busybox: str) -> None:
    """Files that only the base's ONBUILD copies count too."""
    base = f"{namespace}/trigger:1"
    changed = lean.engine.api.commit(container(lean, busybox), changes=["ONBUILD COPY other /other"])["Id"]
    images.tag(lean.engine, changed, base)
    (lean.root / "Dockerfile").write_text(LEAN.format(busybox=base))
    (lean.root / "other").write_text("one")
    lean.settle()
    (lean.root / "other").write_text("two")
    assert lean.release() == ["`other` changed"]
    assert contents.text(lean.engine, lean.local, "other") == "two"


def test_another_engine(lean: Lean, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What one engine has is not taken for what another one has; each is remembered for itself."""
    lean.settle()
    link = tmp_path / "engine.sock"
    link.symlink_to(lean.engine.address.removeprefix("unix://"))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{link}")
    assert lean.release() == ["it is made here for the first time"]
    assert lean.release() == []
    monkeypatch.setenv("DOCKER_HOST", lean.engine.address)
    assert lean.release() == []


def test_what_is_kept_is_lost(lean: Lean) -> None:
    """It costs work, and nothing else: whether it is gone, cut short, or says something else."""
    lean.settle()
    first = lean.id
    (kept,) = (lean.root / ".tinyship").glob("made-*.json")
    whole = kept.read_text()
    elsewhere = whole.replace(first, f"sha256:{'0' * 64}")
    spoilt = [whole[:40], "[]", "", whole.replace('"scheme": 1', '"scheme": 0'), elsewhere]
    for text in spoilt:
        kept.write_text(text)
        assert lean.release(), text
        assert lean.release() == [], text
        assert lean.id == first
    for file in kept.parent.iterdir():
        file.unlink()
    assert lean.release() == ["it is made here for the first time"]
    assert lean.id == first


def test_a_build_that_fails(lean: Lean) -> None:
    """It leaves what is known as it was, and fails again."""
    lean.settle()
    text = (lean.root / "Dockerfile").read_text()
    (lean.root / "Dockerfile").write_text(f"{text}RUN false\n")
    for _ in range(2):
        with pytest.raises(BuildFailed):
            lean.release()
        assert lean.reasons == ["the Dockerfile changed"]
    (lean.root / "Dockerfile").write_text(text)
    assert lean.release() == []


@pytest.mark.parametrize("file", ["src/main.txt", "Dockerfile", ".dockerignore"])
def test_a_file_that_changes_while_it_is_built(lean: Lean, file: str) -> None:
    """Even where it is at the end what it was at the beginning, nobody knows what was built."""
    path = lean.root / file
    before = path.read_bytes()
    changed = threading.Event()

    def change(event: Event) -> None:
        if isinstance(event, Step) and not changed.is_set():
            changed.set()
            fresh = lean.root / ".tinyship" / "fresh"  # a builder is never to find half of it, or nothing
            fresh.write_bytes(before.swapcase() if file == "src/main.txt" else before + b"\n# more\n")
            fresh.replace(path)

    lean.listener = change
    lean.release()
    assert changed.is_set()
    lean.listener = lambda event: None
    path.write_bytes(before)
    assert lean.release() != []
    assert lean.made() == (lean.root / "src/main.txt").read_text()
    assert lean.release() == []


def test_two_releases_at_once(lean: Lean) -> None:
    """Whichever comes last, a release afterwards has what lies there."""
    (lean.root / "Dockerfile").write_text(f"{(lean.root / 'Dockerfile').read_text()}RUN sleep 1\n")
    lean.ship.commit("slow")
    file = lean.root / "src" / "main.txt"
    for turn in range(2):
        running = []
        for number in range(2):
            file.write_text(f"{turn} {number}\n")
            begun = threading.Event()

            def told(event: Event, begun: threading.Event = begun) -> None:
                if isinstance(event, (Step, StageEnded)):
                    begun.set()

            project = Project.load(lean.root, events=told)
            thread = threading.Thread(target=project.release)
            thread.start()
            running.append(thread)
            assert begun.wait(60)
        for thread in running:
            thread.join(60)
        lean.release()
        assert lean.made() == file.read_text()
        assert lean.release() == []
        assert lean.made() == file.read_text()
        assert lean.ship.record["id"] == lean.id


def test_budgets_are_checked_again(lean: Lean) -> None:
    """An image that is up to date can be too large as well."""
    lean.settle()
    lean.set(size={"budgets": [{"stage": "release", "unpacked": "1kB"}]})
    for _ in range(2):
        with pytest.raises(BudgetExceeded):
            lean.release()
        assert lean.reasons == []


@pytest.mark.needs("buildkit")
def test_secrets_are_not_kept(lean: Lean, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither their values nor digests of these; another value is no work, as in the builder's cache."""
    value = "correct-horse-battery"
    monkeypatch.setenv("HORSE", value)
    lean.set(secrets=["id=horse,env=HORSE"])
    with (lean.root / "Dockerfile").open("a") as file:
        file.write("RUN --mount=type=secret,id=horse cat /run/secrets/horse > /dev/null\n")
    lean.settle()
    digests = [hashlib.new(kind, value.encode()).hexdigest() for kind in ("sha256", "sha1", "md5")]
    kept = b"".join(file.read_bytes() for file in (lean.root / ".tinyship").iterdir())
    assert not any(secret.encode() in kept for secret in (value, *(digest[:12] for digest in digests)))
    monkeypatch.setenv("HORSE", "another")
    assert lean.release() == []
    lean.set(secrets=["id=horse,env=HORSE", "id=cow,env=HORSE"])
    assert lean.release() == ["`settings` changed: secrets"]


@pytest.mark.needs("buildkit")
def test_what_is_made_beside_the_image(lean: Lean) -> None:
    """Outputs are made by every build, and so is what is asked of registries."""
    (lean.root / ".dockerignore").write_text(".git\n.tinyship\nout\n")
    lean.set(release={"outputs": ["type=local,dest=out"]})
    lean.release()
    assert lean.release() == ["`outputs` are made by every build"]
    lean.set(release={}, no_cache=True)
    assert "`no_cache` asks for it" in lean.release()


def test_max_age(lean: Lean) -> None:
    """An image that was made long ago is made without any cache, whatever was made of that cache meanwhile."""
    with (lean.root / "Dockerfile").open("a") as file:
        file.write("RUN cat /proc/sys/kernel/random/uuid > /when\n")
    lean.set(max_age="7d")
    lean.settle()
    first = contents.text(lean.engine, lean.local, "when")
    age(lean, days=6)
    assert lean.release() == []
    lean.set(labels=["a=b"])
    lean.release()
    assert contents.text(lean.engine, lean.local, "when") == first
    age(lean, days=2)
    assert lean.release() == ["it is older than 7d"]
    second = contents.text(lean.engine, lean.local, "when")
    assert second != first
    assert lean.release() == []


def age(lean: Lean, *, days: int) -> None:
    """Let what is kept of the release be older."""
    from datetime import datetime, timedelta

    from msgspec.structs import replace

    made = memory.find(lean.root, lean.engine.address, lean.local)
    assert made
    earlier = (datetime.fromisoformat(made.afresh) - timedelta(days=days)).isoformat()
    memory.keep(lean.root, lean.engine.address, lean.local, replace(made, afresh=earlier), None)


def test_push_with_nothing_to_do(ship: Ship) -> None:
    """It says so, for each repository."""
    ship.invoke("release")
    ship.invoke("push")
    again = ship.invoke("push")
    assert f"push {ship.registry}/{ship.image}: up to date" in again.err
    assert again.out.count("(was there)") == 3


KILLED = """
import os, signal, sys
from tinyship import Project, state

left = int(sys.argv[1])

def step(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

replace_file = state.replace_file

def replaced(*words):
    step()
    replace_file(*words)
    step()

state.replace_file = replaced
Project.load(".", events=step).release()
"""


def killed(lean: Lean, at: int) -> bool:
    """Release in another process, which is killed at one of its steps; whether there was such a step."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(at)], cwd=lean.root, env=os.environ, timeout=120)
    assert done.returncode in {0, -signal.SIGKILL}
    return done.returncode != 0


def completes(lean: Lean, content: str) -> None:
    """A release after one that was killed has what lies there, and the next has nothing to do."""
    lean.release()
    assert lean.made() == content
    assert lean.ship.record["id"] == lean.id
    assert lean.release() == []
    assert lean.made() == content


def test_killed_somewhere(lean: Lean) -> None:
    """At some of its steps."""
    lean.settle()
    for at in random.sample(range(25), 3):
        (lean.root / "src/main.txt").write_text(f"killed at {at}\n")
        killed(lean, at)
        completes(lean, f"killed at {at}\n")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_every_step(lean: Lean) -> None:
    """From the first to the last; also where what was half made is not what lies there any more."""
    lean.settle()
    for at in range(500):
        (lean.root / "src/main.txt").write_text(f"killed at {at}\n")
        more = killed(lean, at)
        if at % 2:
            (lean.root / "src/main.txt").write_text(f"killed at{at}\n")
        completes(lean, (lean.root / "src/main.txt").read_text())
        if not more:
            break
    assert at > 15


def edits(chance: random.Random, root: Path) -> Iterator[str]:
    """Random things that people do to a project, each done and told."""
    names = ["main.txt", "a", "b/c", "b/d", "link"]
    while True:
        file = root / "src" / chance.choice(names)
        kind = chance.choice(
            ["write", "write", "same", "touch", "mode", "unlink", "link", "folder", "ignore", "dockerfile"]
        )
        yield f"{kind} {file.name}"
        file.parent.mkdir(exist_ok=True)
        is_file = file.is_file() and not file.is_symlink()
        if kind == "write" and not file.is_symlink():
            file.write_text(f"{chance.randrange(3)}\n")
        elif kind == "same" and is_file:
            status = file.stat()
            file.write_text(f"{chance.randrange(3)}\n")
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        elif kind == "touch" and is_file:
            os.utime(file)
        elif kind == "mode" and is_file:
            file.chmod(chance.choice([0o600, 0o644, 0o755]))
        elif kind == "unlink" and file.name != "main.txt":
            file.unlink(missing_ok=True)
        elif kind == "link" and file.name == "link":
            file.unlink(missing_ok=True)
            file.symlink_to(chance.choice(["a", "b", "main.txt", "nowhere"]))
        elif kind == "folder":
            (root / "src" / "b").mkdir(exist_ok=True)
            (root / "src" / "b").chmod(chance.choice([0o700, 0o755]))
        elif kind == "ignore":
            (root / ".dockerignore").write_text(
                f".git\n.tinyship\n{chance.choice(['', 'src/a', 'src/b', '!src/b/c'])}\n"
            )
        elif kind == "dockerfile":
            lines = (root / "Dockerfile").read_text().splitlines()[:5]
            more = chance.choice(["", "COPY src/main.txt /again", "COPY src/b* /b/", "RUN echo more > /more"])
            (root / "Dockerfile").write_text("\n".join([*lines, more, ""]))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(4))
def test_as_if_always_built(lean: Lean, seed: int) -> None:
    """After random edits a release that looks what it has to do has the same in it as one that does everything anew."""
    lean.settle()
    chance = random.Random(seed)
    doing = edits(chance, lean.root)
    skipped = 0
    for _ in range(40):
        done = [next(doing) for _ in range(chance.randrange(1, 3))]
        try:
            skipped += lean.release() == []
        except BuildFailed:
            with pytest.raises(BuildFailed):
                lean.release(force=True)
            continue
        ours = contents.files(lean.engine, lean.local)
        Project.load(lean.root).release(force=True)
        lean.set(no_cache=True)
        Project.load(lean.root).release(force=True)
        lean.set(no_cache=False)
        assert contents.files(lean.engine, lean.local) == ours, done
    assert 0 < skipped < 40
    assert not [event for event in lean.seen if isinstance(event, Notice) and event.level == "warning"]


@pytest.mark.needs("containerd")
def test_let_go_after_the_look(lean: Lean, engine: Engine) -> None:
    """An image that was up to date, and that the engine let go before it had all of its names, is built again."""
    lean.release()
    image = images.find(engine, lean.local)
    assert image
    left = list(image.tags)
    left.remove(lean.local)
    images.untag(engine, left.pop())
    left.append(lean.local)

    def let_go(event: Event) -> None:
        while left and isinstance(event, StageEnded) and event.stage == "release":
            images.untag(engine, left.pop())

    lean.listener = let_go
    lean.release()
    found = images.find(engine, lean.local)
    assert found
    assert set(found.tags) == set(image.tags)
