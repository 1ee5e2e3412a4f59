"""The size tasks as a user runs them: on stages, releases, files and registries."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ships import Ship

from tinyship import Project
from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.errors import EngineError, TinyshipError
from tinyship.sizes import account, archive

pytestmark = pytest.mark.engine


def wasteful(ship: Ship) -> None:
    """Let the release write 2 MB that the next instruction hides, and change the mode of 1 MB."""
    dockerfile = ship.root / "Dockerfile"
    more = (
        "RUN dd if=/dev/zero of=/cache bs=1000 count=2000\nRUN rm /cache\n"
        "COPY ballast /ballast\nRUN chmod 700 /ballast\n"
    )
    (ship.root / "ballast").write_bytes(bytes(1_000_000))
    dockerfile.write_text(dockerfile.read_text() + more)
    ship.commit("wasteful")
    ship.git("tag", "v1.1.0")


def test_explain_ties_dead_bytes_to_instructions(ship: Ship) -> None:
    """What was written and hidden again is told with both instructions, and the way out, in bytes."""
    wasteful(ship)
    ship.invoke("release")
    (found,) = ship.invoke("size.explain", "release", "--json").json["images"]
    assert found["dead"] == 3_000_000
    assert found["live"] == found["unpacked"] - 3_000_000
    assert found["base"] == ship.base
    assert [(one["path"], one["size"], one["cause"]) for one in found["dead_files"]] == [
        ("cache", 2_000_000, "removed"),
        ("ballast", 1_000_000, "metadata"),
    ]
    layers = {layer["number"]: layer["instruction"] for layer in found["layers"]}
    assert layers[found["dead_files"][0]["written"]].startswith("RUN dd if=/dev/zero")
    assert layers[found["dead_files"][0]["hidden"]] == "RUN rm /cache"
    assert {one["rule"]: one["saving"] for one in found["advice"]} == {"removed": 2_000_000, "metadata": 1_000_000}
    shown = ship.invoke("size.explain", "release").out
    assert "3 MB  dead" in shown
    assert "`RUN rm /cache`" in shown


@pytest.mark.thorough
def test_the_same_image_everywhere(ship: Ship, engine: Engine, tmp_path: Path) -> None:
    """The engine, an archive of it, and the registry that it was pushed to give the same bytes."""
    ship.invoke("release", "push")
    file = tmp_path / "foo.tar"
    with file.open("wb") as out:
        out.writelines(images.saved(engine, f"{ship.image}:1.0.0"))
    names = ["1.0.0", f"engine:{ship.image}:1.0.0", str(file), f"registry:{ship.registry}/{ship.image}:1.0.0", "v1.0.0"]
    found = [ship.invoke("size.explain", name, "--json", "--top", "0").json["images"][0] for name in names]
    assert [one["where"] for one in found] == ["engine", "engine", "file", "registry", "engine"]
    for key in ("unpacked", "dead", "unique", "files", "folders"):
        assert all(one[key] == found[0][key] for one in found), key
    assert found[3]["pull"] == ship.record["sizes"][-1]["pull"]
    assert not found[3]["pull_estimated"]
    (row,) = [row for row in ship.invoke("size", "--json").json["images"] if row["stage"] == "release"]
    assert row["unpacked"] == found[0]["unpacked"]


def test_remote_pulls_nothing(ship: Ship) -> None:
    """A registry's manifest tells what a pull transfers; what was looked at before is known unpacked as well."""
    ship.invoke("release", "push")
    reference = f"{ship.registry}/{ship.image}:1.0.0"
    (row,) = ship.invoke("size.remote", reference, "--json").json["images"]
    assert row["pull"] == ship.record["sizes"][-1]["pull"]
    assert row["digest"] == ship.record["pushed"][0]["digest"]
    assert 0 < row["unique_pull"] < row["pull"]
    ship.invoke("size.explain", f"registry:{reference}")
    (row,) = ship.invoke("size.remote", reference, "--json").json["images"]
    assert row["unpacked"] == next(one["unpacked"] for one in ship.record["sizes"] if one["stage"] == "release")


def test_estimate_is_near_what_a_push_makes(ship: Ship, engine: Engine) -> None:
    """Before a push the pull size is an estimate, within a few percent, or exact where layers are stored compressed."""
    ship.invoke("release")
    assert ("~" in ship.invoke("size", "--estimate").out) is not engine.containerd_store
    estimate = ship.invoke("size", "--estimate", "--json").json["images"][-1]
    assert estimate["estimated"] is not engine.containerd_store
    assert estimate["dead"] == 0
    ship.invoke("push")
    real = ship.invoke("size", "--json").json["images"][-1]
    assert not real["estimated"]
    near = 0 if engine.containerd_store else 0.05 if engine.is_podman else 0.03
    assert abs(estimate["pull"] - real["pull"]) <= near * real["pull"]


def test_diff_between_releases(ship: Ship) -> None:
    """Two releases, by version: what was added, to the byte; layers of the same content are the same."""
    ship.invoke("release")
    wasteful(ship)
    ship.invoke("release")
    (found,) = ship.invoke("size.diff", "1.0.0", "1.1.0", "--json", "--top", "0").json["diffs"]
    changes = {one["path"]: (one["before"], one["after"], one["change"]) for one in found["files"]}
    assert changes["ballast"] == (None, 1_000_000, "added")
    assert found["dead"] == [0, 3_000_000]
    assert found["unpacked"][1] - found["unpacked"][0] >= 4_000_000
    assert sum(layer["same"] for layer in found["layers"]) >= 2
    assert "added /ballast" in ship.invoke("size.diff", "1.0.0", "1.1.0").out
    assert "the layers are the same" in ship.invoke("size.diff", "1.1.0", "release").out


def test_every_broken_budget_with_its_causes(ship: Ship) -> None:
    """Dead bytes, layers, growth and size are all reported at once, each with what causes it; nothing is recorded."""
    ship.invoke("release")
    wasteful(ship)
    ship.configure(
        size={
            "budgets": [
                {"unpacked": "1MB", "dead": "0", "layers": 3, "growth": "1%", "pull": "100kB"},
                {"stage": "base", "unpacked": "1GB"},
            ]
        }
    )
    ship.git("tag", "-f", "v1.1.0")
    failed = ship.invoke("release", code=1)
    assert "5 budgets are broken" in failed.err
    assert "dead 3 MB, budget 0: over by 3 MB" in failed.err
    assert "2 MB /cache, written by RUN dd" in failed.err
    assert "removed by RUN rm /cache" in failed.err
    assert "+1 MB /ballast, added" in failed.err
    assert "budget 100kB: over by" in failed.err
    assert "layers, budget 3" in failed.err
    assert ship.record["version"] == "1.0.0"
    data = ship.invoke("release", "--json", code=1).json["error"]
    assert data["kind"] == "BudgetExceeded"
    assert {row["stage"] for row in data["images"]} == {"base", "build", "release"}


def test_compare_fails_on_a_broken_budget_only(ship: Ship) -> None:
    """--compare measures what was built last against a branch, and exits with 1 where a budget is broken."""
    ship.configure(size={"budgets": [{"growth": "5%"}]})
    ship.git("tag", "-f", "v1.0.0")
    ship.invoke("release")
    assert "against" in ship.invoke("size", "--compare", "main").out
    ship.git("switch", "-q", "-c", "feature")
    wasteful(ship)
    ship.invoke("release", code=1)
    compared = ship.invoke("size", "--compare", "main", code=1)
    assert "added /ballast" in compared.out
    assert "unpacked growth" in compared.err
    assert ship.invoke("size", "--compare", "main", "--json", code=1).json["error"]["kind"] == "BudgetExceeded"


def test_an_image_that_goes_while_it_is_read(ship: Ship, engine: Engine) -> None:
    """Either all of it was read, or there is an error; never a number of a part."""
    ship.invoke("release")
    name = f"{ship.image}:local"
    whole = account.take(archive.read(images.saved(engine, name), name))

    def going() -> Iterator[bytes]:
        pieces = images.saved(engine, name)
        yield next(pieces)
        for reference in (name, f"{ship.image}:1.0.0", f"{ship.image}:{ship.record['commit']}"):
            images.untag(engine, reference)
        yield from pieces

    try:
        found = account.take(archive.read(going(), name))
    except TinyshipError:
        pass
    else:
        assert (found.unpacked, found.dead_bytes) == (whole.unpacked, whole.dead_bytes)
    with pytest.raises(EngineError, match="reading"):
        list(images.saved(engine, name))


def test_an_image_without_layers(ship: Ship) -> None:
    """Labels alone make an image; it weighs nothing, and nothing fails for it, whatever the engine can save of it."""
    (ship.root / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    ship.configure(build=None, base=[], size={"budgets": [{"dead": 0, "pull": "1MB"}]})
    ship.git("tag", "-f", "v1.0.0")
    ship.invoke("release")
    assert ship.invoke("size", "--json").json["images"][-1]["unpacked"] == 0
    (found,) = ship.invoke("size.explain", "release", "--json").json["images"]
    assert (found["unpacked"], found["dead"], found["layers"]) == (0, 0, [])
    ship.invoke("size.report", "--out", "page.html", "--no-ask")
    assert "</html>" in (ship.root / "page.html").read_text()


def test_what_cannot_be_written(ship: Ship) -> None:
    """A full disk below standard output is an error, and no traceback."""
    ship.invoke("release")
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "invoke", "size"]
        done = subprocess.run(
            words, cwd=ship.root, env=ship.environment, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: what came of it cannot be written")


def test_from_python(ship: Ship) -> None:
    """The same answers as data, and nothing printed."""
    ship.invoke("release")
    wasteful(ship)
    ship.invoke("release")
    project = Project.load(ship.root)
    (found,) = project.explain("release")
    assert found.opened.account.dead_bytes == 3_000_000
    (differs,) = project.compare("1.0.0", "release")
    assert differs.dead == (0, 3_000_000)


def test_a_clone_that_knows_nothing_asks_the_registry(ship: Ship, engine: Engine) -> None:
    """Without history, notes and images, a branch is the release in the registry that it stands on."""
    ship.invoke("release", "push")
    ship.commit("later")
    shutil.rmtree(ship.root / ".tinyship")
    ship.git("update-ref", "-d", "refs/notes/tinyship")
    for image in images.listing(engine, project=ship.image):
        for tag in image.tags:
            if tag.startswith(f"{ship.image}:"):
                images.untag(engine, tag)
    for name in ("main", "v1.0.0"):
        (found,) = ship.invoke("size.explain", name, "--json").json["images"]
        assert found["where"] == "registry"
        assert found["pull"] > 0


def test_releases_of_one_commit_are_told_apart(ship: Ship) -> None:
    """A tag names the last of them, and the version each of them; a folder of a branch's name is in nobody's way."""
    ship.invoke("release")
    (ship.root / "src" / "main.txt").write_text("other\n")
    ship.invoke("release")
    ship.git("checkout", "-q", ".")
    (ship.root / "dev").mkdir()
    ship.git("branch", "dev")
    dirty, clean, branch = (
        ship.invoke("size.explain", name, "--json").json["images"][0]["image"]
        for name in ("git:1.0.0-dirty", "git:1.0.0", "dev")
    )
    assert (dirty, clean, branch) == (f"{ship.image}:1.0.0-dirty", f"{ship.image}:1.0.0", f"{ship.image}:1.0.0")


def test_compare_before_a_release(ship: Ship) -> None:
    """Where nothing is released there is nothing to compare, whatever it is compared with; the error says what is."""
    failed = ship.invoke("size", "--compare", "main", code=1)
    assert "error: there is no release image in the engine\n  `invoke release` makes it.\n" in failed.err


def test_broken_budgets_of_several_images(ship: Ship) -> None:
    """A comparison reports those of all images at once."""
    names = [f"{ship.image}-{letter}" for letter in "ab"]
    budgets = {"size": {"budgets": [{"layers": 1}]}}
    ship.configure(images=[{"name": letter, "image": name} for letter, name in zip("ab", names, strict=True)])
    ship.invoke("release")
    ship.configure(**budgets)
    failed = ship.invoke("size", "--compare", "local", "--json", code=1).json["error"]
    assert [line.split(":")[0] for line in failed["tail"] if "layers, budget" in line] == names
    assert len(failed["diffs"]) == 2


def test_names_that_are_none(ship: Ship, tmp_path: Path) -> None:
    """What cannot be found, read or understood is an error that says where it was looked for."""
    (tmp_path / "noise.tar").write_bytes(b"noise" * 1000)
    (tmp_path / "empty").mkdir()
    for name, words in {
        "nonsense": "no image of the engine and no file and no released git revision",
        "engine:nonsense": "there is no image of the engine nonsense",
        "git:nonsense": "there is no released git revision nonsense",
        "./nowhere.tar": "no file",
        str(tmp_path / "noise.tar"): "is no archive of images",
        str(tmp_path / "empty"): "is no image layout",
        f"{ship.registry}/{ship.image}:none": "is not in the engine, and",
        f"registry:{ship.registry}/{ship.image}:none": "none",
        "registry:Not A Name": "there is no image Not A Name",
    }.items():
        failed = ship.invoke("size.explain", name, code=None)
        assert failed.code in {1, 2}, name
        assert words in failed.err, failed.err
        assert "Traceback" not in failed.err


def test_dry_reads_nothing(ship: Ship) -> None:
    """--dry says what would be read, and looks for no engine."""
    away = "unix:///nowhere.sock"
    assert "read" in ship.invoke("--dry", "size.explain", "release", DOCKER_HOST=away).out
    assert "compare" in ship.invoke("--dry", "size.diff", "base", "release", DOCKER_HOST=away).out


def test_files_need_no_engine(ship: Ship, engine: Engine, busybox: str, tmp_path: Path) -> None:
    """An archive is looked at without an engine, through the tasks and through the library alone."""
    file = tmp_path / "busybox.tar"
    with file.open("wb") as out:
        out.writelines(images.saved(engine, busybox))
    (found,) = ship.invoke("size.explain", str(file), "--json", DOCKER_HOST="unix:///nowhere.sock").json["images"]
    command = [sys.executable, "-m", "tinyship.sizes", str(file)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert json.loads(done.stdout)["unpacked"] == found["unpacked"] > 1_000_000


def test_what_is_kept_between_releases_is_in_no_image(ship: Ship) -> None:
    """Without an ignore file the folder .tinyship is no part of the context, so the same commit is the same image."""
    (ship.root / ".dockerignore").unlink()
    dockerfile = ship.root / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "COPY . /all\nRUN test ! -e /all/.tinyship\n")
    ship.commit("copies all")
    ship.invoke("release")
    first = ship.record["id"]
    ship.invoke("release")
    assert ship.record["id"] == first
