"""Invoke's config: the files that Invoke reads are those that count, and tasks see what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.config import Config

from tinyship.errors import ConfigError
from tinyship.settings import invoke_config
from tinyship.settings.load import Layer, load

YAML = "tinyship:\n  image: lacion/yaml\n  push:\n    to: [localhost:5000]\n"


def write(folder: Path, **files: str) -> Path:
    """Write files, named with `_` for the dot, and return the folder."""
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("invoke.yaml", "tinyship: {image: lacion/foo, clean: {keep: 5}}"),
        ("invoke.yml", "tinyship: {image: lacion/foo, clean: {keep: 5}}"),
        ("invoke.json", '{"tinyship": {"image": "lacion/foo", "clean": {"keep": 5}}}'),
        ("invoke.py", 'tinyship = {"image": "lacion/foo", "clean": {"keep": 5}}'),
    ],
)
def test_files(tmp_path: Path, name: str, text: str) -> None:
    """All of Invoke's formats are read, and the file is the source of its keys."""
    (tmp_path / name).write_text(text)
    loaded = load(invoke_config.of_project(tmp_path), environ={})[0]
    assert (loaded.settings.image, loaded.settings.clean.keep) == ("lacion/foo", 5)
    assert Path(loaded.origins["clean.keep"]) == tmp_path / name


def test_values_are_plain(tmp_path: Path) -> None:
    """Maps and lists come as such, whatever Invoke makes of them."""
    write(tmp_path, invoke_yaml=YAML)
    (layer,) = invoke_config.of_project(tmp_path)
    assert layer == Layer(
        str(tmp_path / "invoke.yaml"), {"image": "lacion/yaml", "push": {"to": ["localhost:5000"]}}, is_explicit=False
    )
    assert isinstance(layer.values, dict)
    assert type(layer.values["push"]) is dict


def test_user_config_lies_below_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the home's .invoke.yaml counts until the project says otherwise."""
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    monkeypatch.setenv("HOME", str(home))
    (home / ".invoke.yaml").write_text("tinyship: {image: lacion/home, network: host}")
    write(project, invoke_yaml=YAML)
    loaded = load(invoke_config.of_project(project), environ={})[0]
    assert (loaded.settings.image, loaded.settings.network) == ("lacion/yaml", "host")
    assert Path(loaded.origins["network"]) == home / ".invoke.yaml"


@pytest.mark.parametrize("text", ["", "tinyship:\n", "run: {echo: true}\n"])
def test_files_without_a_section(tmp_path: Path, text: str) -> None:
    """A file that says nothing of tinyship is no source."""
    write(tmp_path, invoke_yaml=text)
    assert invoke_config.of_project(tmp_path) == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("invoke.yaml", "tinyship: [unclosed\n"),
        ("invoke.yaml", "tinyship: {image: a\n  b: c\n"),
        ("invoke.json", '{"tinyship": '),
        ("invoke.py", "raise RuntimeError('broken')\n"),
        ("invoke.py", "tinyship = {\n"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, text: str) -> None:
    """A file that cannot be read is an error in one line, not a traceback."""
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=r"cannot be read: .") as caught:
        invoke_config.of_project(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_levels_of_a_config(tmp_path: Path) -> None:
    """The levels come weakest first; what code sets is told apart from what files say."""
    write(tmp_path, invoke_yaml=YAML)
    config = Config(project_location=tmp_path, overrides={"tinyship": {"network": "override"}})
    config.load_project()
    config.load_collection({"tinyship": {"image": "lacion/collection"}})
    config.tinyship.builder = "classic"
    assert [(layer.source, layer.is_explicit) for layer in invoke_config.layers(config)] == [
        ("tasks.py", False),
        (str(tmp_path / "invoke.yaml"), False),
        ("overrides", True),
        ("tasks.py", True),
    ]
    loaded = load(invoke_config.layers(config), environ={"TINYSHIP_NETWORK": "variable"})[0]
    assert (loaded.settings.image, loaded.settings.network) == ("lacion/yaml", "override")
    assert loaded.settings.builder == "classic"


@pytest.mark.parametrize("name", ["invoke.yaml", "invoke.yml", "invoke.json", "invoke.py", "tasks.py"])
def test_find_root(tmp_path: Path, name: str) -> None:
    """The nearest folder with a config or tasks is the project's, from any depth."""
    (tmp_path / name).write_text("")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert invoke_config.find_root(deep) == tmp_path.resolve()
    assert invoke_config.find_root(tmp_path) == tmp_path.resolve()
    (deep.parent / "invoke.yaml").write_text("")
    assert invoke_config.find_root(deep) == deep.parent.resolve()


def test_find_root_with_a_package_of_tasks(tmp_path: Path) -> None:
    """A folder `tasks` counts where it is a package."""
    project = tmp_path / "project"
    (project / "tasks").mkdir(parents=True)
    with pytest.raises(ConfigError):
        invoke_config.find_root(project)
    (project / "tasks" / "__init__.py").write_text("")
    assert invoke_config.find_root(project / "tasks") == project.resolve()


def test_find_root_without_one(tmp_path: Path) -> None:
    """A folder outside of any project is an error that names the folder."""
    with pytest.raises(ConfigError, match=r"no invoke\.yaml") as caught:
        invoke_config.find_root(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_project_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project is where Invoke says, or here."""
    assert invoke_config.project_root(Config(project_location=tmp_path)) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert invoke_config.project_root(Config()) == tmp_path


def invoke(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Invoke in a folder."""
    return subprocess.run([sys.executable, "-m", "invoke", *words], cwd=folder, capture_output=True, text=True)


TASKS = (
    "import tinyship\n"
    "from invoke import Collection, task\n"
    "ship = tinyship.collection('ship')\n"
    "@task(pre=[ship['config']])\n"
    "def after(context):\n"
    "    print('after', context.config.tinyship.image)\n"
    "ns = Collection(ship, after)\n"
)


def test_pre_tasks_see_the_config(tmp_path: Path) -> None:
    """A task of tinyship that runs before one's own sees the config as it does by itself."""
    write(tmp_path, invoke_yaml=YAML, tasks_py=TASKS)
    done = invoke(tmp_path, "after")
    assert done.returncode == 0, done.stderr
    before, _, after = done.stdout.partition("after ")
    assert "lacion/yaml" in before
    assert after.strip() == "lacion/yaml"


def test_tasks_see_the_config_from_a_folder_below(tmp_path: Path) -> None:
    """Invoke finds the project from a folder below it, and with it the config."""
    write(tmp_path, invoke_yaml=YAML, tasks_py=TASKS)
    (tmp_path / "src").mkdir()
    done = invoke(tmp_path / "src", "ship.config", "--json")
    assert done.returncode == 0, done.stderr
    (image,) = json.loads(done.stdout)["images"]
    assert image["image"]["value"] == "lacion/yaml"
    assert image["image"]["from"] == "invoke.yaml"


def test_two_mounts_see_their_own_image(tmp_path: Path) -> None:
    """Each mount has the entry of `images` that it names; both run in one call."""
    write(
        tmp_path,
        invoke_yaml="tinyship: {images: [{name: api, image: lacion/api}, {name: web, image: lacion/web}]}\n",
        tasks_py=(
            "import tinyship\nfrom invoke import Collection\n"
            "ns = Collection(tinyship.collection('api', image='api'), tinyship.collection('web', image='web'))\n"
        ),
    )
    done = invoke(tmp_path, "api.config")
    assert done.returncode == 0, done.stderr
    assert "lacion/api" in done.stdout
    assert "lacion/web" not in done.stdout
    done = invoke(tmp_path, "api.config", "web.config")
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("lacion/api") < done.stdout.index("lacion/web")


def test_config_of_a_collection(tmp_path: Path) -> None:
    """Without any file, what tasks.py configures is the config."""
    write(
        tmp_path, tasks_py="import tinyship\nns = tinyship.collection()\nns.configure({'tinyship': {'image': 'a/b'}})\n"
    )
    done = invoke(tmp_path, "config", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == [{"image": {"value": "a/b", "from": "tasks.py"}}]


def test_config_errors_are_one_line(tmp_path: Path) -> None:
    """A wrong config ends a task with exit code 2 and a line that names file, key and the nearest key."""
    write(tmp_path, invoke_yaml="tinyship: {image: a/b, relaese: {}}\n", tasks_py=TASKS)
    done = invoke(tmp_path, "ship.config")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "invoke.yaml: `tinyship.relaese` is no setting; the nearest is `release`" in line
