"""The whole pipeline on a real engine and into a real registry, run as a user runs it."""

from __future__ import annotations

import os
import stat

import pytest
from ships import Ship

from tinyship import Project
from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.errors import BudgetExceeded, Refused

pytestmark = pytest.mark.engine


@pytest.mark.smoke
def test_release_and_push(ship: Ship, engine: Engine) -> None:
    """The main job: everything is made, tagged, labelled, weighed, pushed and written down."""
    done = ship.invoke("release", "push")
    commit = ship.git("rev-parse", "HEAD")
    record = ship.record
    assert record["version"] == "1.0.0"
    assert record["commit"] == commit
    assert record["tags"] == ["local", "1.0.0", commit]
    assert not record["dirty"]
    references = [pushed["reference"] for pushed in record["pushed"]]
    assert references == [f"{ship.registry}/{ship.image}:{tag}" for tag in ("1.0.0", commit, "latest")]
    assert len({pushed["digest"] for pushed in record["pushed"]}) == 1
    for pushed in record["pushed"]:
        assert pushed["reference"] in done.out
        assert pushed["digest"] in done.out
    image = images.find(engine, f"{ship.image}:1.0.0")
    assert image
    assert image.id == record["id"]
    assert image.labels["seen"] == f"1.0.0-{commit}"
    assert image.labels["GIT_COMMIT"] == commit
    assert image.labels["VERSION"] == "1.0.0"
    assert image.labels["org.opencontainers.image.revision"] == commit
    assert image.labels["tinyship.project"] == ship.image
    assert image.labels["tinyship.stage"] == "release"
    assert {size["stage"] for size in record["sizes"]} == {"base", "build", "release"}
    assert next(size for size in record["sizes"] if size["stage"] == "release")["pull"] > 0
    assert "below build" in done.out or "release" in done.out
    assert not any(tag.startswith(ship.registry) for tag in image.tags), "the names for pushing are gone again"


@pytest.mark.smoke
def test_artifact_is_the_users(ship: Ship) -> None:
    """What the container compiled lies here, executable, owned by who ran the task, and nothing else came."""
    before = {path.name for path in ship.root.iterdir()}
    ship.invoke("build")
    artifact = ship.root / "bin" / "foo"
    assert "1.0.0" in artifact.read_text()
    assert stat.S_IMODE(artifact.stat().st_mode) == 0o755
    assert artifact.stat().st_uid == os.getuid()
    assert {path.name for path in ship.root.iterdir()} - before <= {"bin", ".tinyship"} | {"base"}


def test_second_release_is_the_same(ship: Ship) -> None:
    """The same commit gives the same image, and the table says that nothing changed."""
    ship.invoke("release")
    first = ship.record
    ship.invoke("release")
    assert ship.record["id"] == first["id"]
    assert ship.record["tags"] == first["tags"]


def test_works_from_a_folder_below(ship: Ship) -> None:
    """Invoke finds tasks.py upwards; the paths of the settings stay those of the project."""
    ship.invoke("release", folder="src")
    assert ship.record["version"] == "1.0.0"
    assert not (ship.root / "src" / ".tinyship").exists()


def test_json_is_one_line(ship: Ship) -> None:
    """With --json standard output holds the record and nothing else."""
    assert ship.invoke("release", "--json").json["images"][0] == ship.record
    assert ship.invoke("push", "--json").json["images"][0]["pushed"] == ship.record["pushed"]
    assert {row["stage"] for row in ship.invoke("size", "--json").json["images"]} == {"base", "build", "release"}
    assert ship.invoke("base.list", "--json").json["images"][0]["image"] == ship.base
    assert ship.invoke("clean", "--json").json["freed"] >= 0


def test_plain_output_has_no_control_codes(ship: Ship) -> None:
    """In a pipe there are plain lines only."""
    done = ship.invoke("release", "push")
    assert "\x1b" not in done.out + done.err
    assert "\r" not in done.out + done.err
    assert "compiling for 1.0.0" in done.err


@pytest.mark.parametrize(
    "words",
    [
        ("base",),
        ("build",),
        ("build.test",),
        ("build.shell",),
        ("release", "push"),
        ("release.run",),
        ("release.smoke",),
        ("clean",),
        ("clean.images",),
        ("clean.all",),
        ("size",),
    ],
)
def test_dry_is_dry(ship: Ship, engine: Engine, words: tuple[str, ...]) -> None:
    """--dry says what would be done, and neither the engine nor the project is any different afterwards."""
    before = sorted(path for path in ship.root.rglob("*") if ".git" not in path.parts)
    done = ship.invoke("--dry", *words)
    assert done.out.strip()
    assert sorted(path for path in ship.root.rglob("*") if ".git" not in path.parts) == before
    assert images.listing(engine, project=ship.image) == ()


def test_dry_plan_says_each_thing_once(ship: Ship) -> None:
    """What the version is like stands in its row, and neither below the plans nor in both."""
    ship.commit("more")
    out = ship.invoke("--dry", "release", "push").out
    assert out.count("HEAD is 1 commit after the tag v1.0.0") == 1


def test_dry_plan_names_everything(ship: Ship) -> None:
    """The plan of the whole pipeline names each image, artifact, tag and target."""
    out = ship.invoke("--dry", "release", "push").out
    for text in (
        ship.base,
        f"{ship.image}:build",
        "bin/foo",
        f"{ship.image}:local",
        f"{ship.registry}/{ship.image}:latest",
    ):
        assert text in out
    assert "plans" in ship.invoke("--dry", "release", "--json").json


def test_dirty_tree(ship: Ship) -> None:
    """A tree with changes releases as dirty, is not pushed, and with --allow-dirty only its own version is."""
    (ship.root / "src" / "main.txt").write_text("changed\n")
    ship.invoke("release")
    assert ship.record["version"] == "1.0.0-dirty"
    assert ship.record["tags"] == ["local", "1.0.0-dirty"]
    refused = ship.invoke("push", code=1)
    assert "src/main.txt" in refused.err
    assert "--allow-dirty" in refused.err
    ship.invoke("push", "--allow-dirty")
    assert [pushed["reference"].rpartition(":")[2] for pushed in ship.record["pushed"]] == ["1.0.0-dirty"]


def test_push_refuses_when_head_moved(ship: Ship) -> None:
    """What is pushed is what was released, or nothing."""
    ship.invoke("release")
    ship.commit("another")
    assert "HEAD moved" in ship.invoke("push", code=1).err


def test_push_refuses_when_the_tree_moved(ship: Ship) -> None:
    """A change after the release is a change."""
    ship.invoke("release")
    (ship.root / "src" / "new.txt").write_text("new\n")
    assert "changed since the release" in ship.invoke("push", code=1).err


def test_push_without_a_release(ship: Ship) -> None:
    """Nothing released is said so, with the task that does it."""
    refused = ship.invoke("push", code=1)
    assert "nothing is released yet" in refused.err
    assert "invoke release" in refused.err
    assert "Traceback" not in refused.err


def test_budget(ship: Ship) -> None:
    """A broken budget is exit code 1 after the table, and leaves no record to push."""
    ship.configure(size={"budgets": [{"unpacked": "1kB"}, {"stage": "build", "layers": 1}]})
    broken = ship.invoke("release", code=1)
    assert "BROKEN" in broken.out
    assert "2 budgets are broken" in broken.err
    assert not (ship.root / ".tinyship" / "release.json").exists()


def test_only_needs_the_artifacts(ship: Ship) -> None:
    """--only leaves base and build alone, and says which artifact is missing."""
    assert "bin/foo" in ship.invoke("release", "--only", code=1).err
    ship.invoke("release")
    done = ship.invoke("release", "--only")
    assert "compiling" not in done.err


@pytest.mark.smoke
def test_failing_compile(ship: Ship, engine: Engine) -> None:
    """The compile's last lines and exit code are shown, its container is gone, the old artifact stays."""
    ship.invoke("build")
    before = (ship.root / "bin" / "foo").read_text()
    (ship.root / "compile.sh").write_text("echo main.c:3: syntax error >&2\nexit 3\n")
    failed = ship.invoke("build", code=1)
    assert "exit code 3" in failed.err
    assert "  | main.c:3: syntax error" in failed.err
    assert "Traceback" not in failed.err
    assert (ship.root / "bin" / "foo").read_text() == before
    assert engine.client.containers.list(all=True, filters={"label": f"tinyship.project={ship.image}"}) == []


def test_compile_that_makes_nothing(ship: Ship) -> None:
    """An artifact of an earlier run does not pass for one of this run."""
    ship.invoke("build")
    (ship.root / "compile.sh").write_text("echo nothing to do\n")
    assert "bin/foo" in ship.invoke("build", code=1).err


def test_build_test(ship: Ship) -> None:
    """The test command's exit code counts."""
    ship.invoke("build", "--only-image")
    ship.invoke("build.test")
    (ship.root / "src" / "main.txt").unlink()
    assert "the tests failed" in ship.invoke("build.test", code=1).err


def test_smoke_with_a_command(ship: Ship) -> None:
    """A command in the container decides, and push can depend on it."""
    ship.configure(
        release={"run": {"command": ["sleep", "60"]}, "smoke": {"command": ["test", "-x", "/bin/foo"], "timeout": 20}},
        push={"smoke": True},
    )
    ship.invoke("release")
    assert ship.record["smoke"] is None
    ship.invoke("push")
    assert ship.record["smoke"] is True
    assert ship.record["pushed"]


def test_smoke_that_fails_stops_the_push(ship: Ship) -> None:
    """What ends before its check passed is not pushed; what it wrote is shown."""
    ship.configure(release={"smoke": {"command": ["true"], "timeout": 5}}, push={"smoke": True})
    (ship.root / "Dockerfile").write_text(f"FROM {ship.base}\nCOPY bin/foo /bin/foo\nCMD echo broken; exit 7\n")
    ship.commit("break it")
    ship.invoke("release")
    failed = ship.invoke("push", code=1)
    assert "exit code 7" in failed.err
    assert ship.record["smoke"] is False
    assert ship.record["pushed"] == []


def test_smoke_without_anything_to_go_by(ship: Ship) -> None:
    """Neither a command nor a HEALTHCHECK: that is a question of config."""
    ship.invoke("release")
    assert "HEALTHCHECK" in ship.invoke("release.smoke", code=2).err


def test_release_run_shows_output_and_exit_code(ship: Ship) -> None:
    """The released image runs in the foreground, and its exit code is the task's."""
    ship.invoke("release")
    done = ship.invoke("release.run")
    assert "1.0.0" in done.out + done.err
    ship.configure(release={"run": {"command": ["sh", "-c", "exit 5"]}})
    ship.invoke("release")
    ship.invoke("release.run", code=5)


def test_base_is_up_to_date(ship: Ship) -> None:
    """A second run does nothing and says so."""
    ship.invoke("base")
    assert f"base {ship.base}: up to date" in ship.invoke("base").err


@pytest.mark.smoke
def test_rootfs_base(ship: Ship, engine: Engine) -> None:
    """A command's tar becomes a base, once, until the command or a file that it names changes."""
    (ship.root / "rootfs.py").write_text(
        "import sys, tarfile, io\n"
        "tar = tarfile.open(fileobj=sys.stdout.buffer, mode='w|')\n"
        "info = tarfile.TarInfo('etc/hello'); info.size = 5\n"
        "tar.addfile(info, io.BytesIO(b'hello'))\ntar.close()\n"
    )
    entry = {"name": f"{ship.image}-rootfs", "rootfs": {"command": "python3 rootfs.py"}, "changes": ["ENV A=1"]}
    ship.configure(base=[entry])
    ship.invoke("base")
    first = images.find(engine, f"{ship.image}-rootfs:latest")
    assert first
    assert first.labels["tinyship.stage"] == "base"
    assert "up to date" in ship.invoke("base").err
    assert "imported" in ship.invoke("base", "--force").err
    (ship.root / "rootfs.py").write_text((ship.root / "rootfs.py").read_text().replace("hello", "howdy"))
    assert "imported" in ship.invoke("base").err


def test_rootfs_command_that_fails(ship: Ship, engine: Engine) -> None:
    """What the command said is shown, and no image is left of its half."""
    entry = {
        "name": f"{ship.image}-rootfs",
        "rootfs": {"command": ["sh", "-c", "head -c 100000 /dev/zero; echo oops >&2; exit 4"]},
    }
    ship.configure(base=[entry])
    failed = ship.invoke("base", code=1)
    assert "exit code 4" in failed.err
    assert "  | oops" in failed.err
    assert images.find(engine, f"{ship.image}-rootfs:latest") is None


@pytest.mark.smoke
def test_clean(ship: Ship, engine: Engine, busybox: str) -> None:
    """clean takes the artifact; releases stay until clean.all."""
    own = f"FROM {busybox}\nRUN echo {ship.root} > /etc/base\n"  # nobody else's image may stand on an equal one
    (ship.root / "docker" / "Dockerfile.base").write_text(own)
    ship.commit("a base of its own")
    ship.invoke("release")
    ship.invoke("clean")
    assert not (ship.root / "bin" / "foo").exists()
    assert images.find(engine, f"{ship.image}:local")
    ship.invoke("clean.all", "--yes")
    assert images.listing(engine, project=ship.image) == ()


def test_two_mounts_release_two_images(ship: Ship) -> None:
    """`inv api.release web.release` runs both, each with its own overlay."""
    (ship.root / "tasks.py").write_text(
        "import tinyship\nfrom invoke import Collection\n"
        "ns = Collection(tinyship.collection('api', image='api'), tinyship.collection('web', image='web'))\n"
    )
    ship.configure(
        images=[{"name": "api", "image": f"{ship.image}-api"}, {"name": "web", "image": f"{ship.image}-web"}]
    )
    ship.git("tag", "v1.1.0")
    ship.invoke("api.release", "web.release")
    released = {entry["image"] for entry in ship_images(ship)}
    assert released == {f"{ship.image}-api", f"{ship.image}-web"}


def test_config_says_where_it_is_from(ship: Ship) -> None:
    """Each setting is shown with its source."""
    shown = ship.invoke("config", "--json", TINYSHIP_CLEAN_KEEP="7").json["images"][0]
    assert shown["clean.keep"] == {"value": 7, "from": "TINYSHIP_CLEAN_KEEP"}
    assert shown["image"]["value"] == ship.image
    assert shown["image"]["from"].endswith("invoke.json")


def test_bad_config_is_exit_code_2(ship: Ship) -> None:
    """A typing error in a key is one line with the key that was meant."""
    ship.configure(releese={})
    failed = ship.invoke("release", code=2)
    assert "releese" in failed.err
    assert "release" in failed.err
    assert "Traceback" not in failed.err


def test_python_api(ship: Ship, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """The same from a script: data comes back, nothing is printed."""
    project = Project.load(ship.root)
    record = project.release(push=True)
    assert record.images[0].version == "1.0.0"
    assert len(record.images[0].pushed) == 3
    assert [plan.task for plan in project.plan(push=True)] == ["release", "push"]
    assert {row.stage for row in project.sizes()} == {"base", "build", "release"}
    assert capfd.readouterr() == ("", "")
    ship.commit("another")
    with pytest.raises(Refused, match="HEAD moved"):
        project.push()
    ship.configure(size={"budgets": [{"unpacked": "1B"}]})
    with pytest.raises(BudgetExceeded):
        Project.load(ship.root).release()


def ship_images(ship: Ship) -> list[dict[str, object]]:
    """The entries of a project's record."""
    import json

    entries: list[dict[str, object]] = json.loads((ship.root / ".tinyship" / "release.json").read_text())["images"]
    return entries


def test_compile_is_not_repeated(ship: Ship) -> None:
    """What decides the artifacts is compared by content; a changed artifact, a changed source and --force compile."""
    ship.invoke("build")
    artifact = ship.root / "bin" / "foo"
    os.utime(ship.root / "compile.sh")
    assert "bin/foo up to date" in ship.invoke("build").err
    assert "made bin/foo" in ship.invoke("build", "--force").err
    artifact.write_text("tampered with")
    assert "made bin/foo" in ship.invoke("build").err
    assert "1.0.0" in artifact.read_text()
    (ship.root / "src" / "main.txt").write_text("sourcf\n")
    assert "made bin/foo" in ship.invoke("build").err
    assert "bin/foo up to date" in ship.invoke("build").err
    artifact.chmod(0o644)
    assert "made bin/foo" in ship.invoke("build").err
