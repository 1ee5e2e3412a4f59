"""Which images changed since a revision, and by which of their inputs: every test asks a real repository."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tinyship.engine.connect import Engine
from tinyship.settings import invoke_config
from tinyship.settings.load import load
from tinyship.stages import changed
from tinyship.stages.scope import Scope

if TYPE_CHECKING:
    from tests.conftest import Repository

FILES = {
    "core/Dockerfile": "FROM scratch\nCOPY os /\n",
    "core/os": "1",
    "api/Dockerfile": "FROM lacion/core:local\nCOPY main /\n",
    "api/Dockerfile.build": "FROM alpine:3.22\n",
    "api/main": "1",
    "api/notes.md": "1",
    "api/.dockerignore": "**/*.md\n!keep.md\nDockerfile*\n.dockerignore\n",
    "web/Dockerfile": "FROM lacion/core:local\nFROM busybox\n",
    "web/main": "1",
    "tools/rootfs.py": "1",
    "lib/shared": "1",
    "VERSION": "1",
    "README.md": "1",
    "tasks.py": "import tinyship\nns = tinyship.collection()\n",
}
CONFIG: dict[str, Any] = {
    "images": [
        {"name": "core", "image": "lacion/core", "release": {"dockerfile": "core/Dockerfile", "context": "core"}},
        {
            "name": "api",
            "image": "lacion/api",
            "build": {"dockerfile": "api/Dockerfile.build", "context": "api", "artifacts": ["bin/api"]},
            "release": {"dockerfile": "api/Dockerfile", "context": "api"},
            "version": {"file": "VERSION"},
        },
        {
            "name": "web",
            "image": "lacion/web",
            "base": [{"name": "lacion/rootfs", "rootfs": {"command": ["python", "tools/rootfs.py"]}}],
            "release": {"dockerfile": "web/Dockerfile", "context": "web"},
            "contexts": ["lib=lib"],
        },
    ]
}
NEEDS = {"lacion/api": ("lacion/core",), "lacion/web": ("lacion/core",)}


def no_engine() -> Engine:
    """An engine that nothing here may ask for."""
    raise AssertionError("the engine was asked")


def lay(root: Path, files: Mapping[str, str | None]) -> None:
    """Write files; None removes one."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)


def config(**images: dict[str, Any]) -> str:
    """The config, with these keys laid over its images'."""
    entries = [{**entry, **images.get(entry["name"], {})} for entry in CONFIG["images"]]
    return json.dumps({"tinyship": {"images": entries}})


@pytest.fixture
def project(repository: Repository) -> Path:
    """Three images, of which two stand on the third, in a folder of a repository; all is committed."""
    root = repository.root / "ships"
    lay(root, {**FILES, "invoke.json": config(), "../elsewhere": "1"})
    repository.commit("first")
    return root


def found(
    root: Path, since: str = "HEAD", needs: Mapping[str, tuple[str, ...]] | None = None, image: str = ""
) -> dict[str, list[str]]:
    """The images that changed, and why."""
    loaded = load(invoke_config.of_project(root), image=image, environ={})
    scopes = {
        one.settings.image: Scope(
            root,
            one.settings,
            origins=one.origins,
            repositories=one.repositories,
            bases=one.bases,
            connect=no_engine,
        )
        for one in loaded
    }
    result = changed.find(scopes, since, NEEDS if needs is None else needs)
    assert list(result.images) == list(scopes)
    assert result.names == tuple(name for name, reasons in result.images.items() if reasons)
    return {
        name.removeprefix("lacion/"): [str(reason) for reason in reasons]
        for name, reasons in result.images.items()
        if reasons
    }


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({}, {}),
        ({"README.md": "2", "../elsewhere": "2", "tools/other": "1"}, {}),
        ({"api/main": "2"}, {"api": ["ships/api/main changed"]}),
        ({"api/main": None}, {"api": ["ships/api/main was removed"]}),
        ({"api/deep/er/new": "1"}, {"api": ["ships/api/deep/er/new was added"]}),
        ({"api/notes.md": "2", "api/deep/more.md": "1"}, {}),
        ({"api/keep.md": "2"}, {"api": ["ships/api/keep.md was added"]}),
        ({"api/Dockerfile": "FROM scratch\n"}, {"api": ["ships/api/Dockerfile changed"]}),
        ({"api/Dockerfile.build": "FROM scratch\n"}, {"api": ["ships/api/Dockerfile.build changed"]}),
        ({"api/.dockerignore": "**/*.md\n"}, {"api": ["ships/api/.dockerignore changed"]}),
        ({"api/.dockerignore": None}, {"api": ["ships/api/.dockerignore was removed"]}),
        (
            {"web/Dockerfile.dockerignore": "main\n", "web/main": "2"},
            {"web": ["ships/web/Dockerfile.dockerignore was added"]},
        ),
        ({"tools/rootfs.py": "2"}, {"web": ["ships/tools/rootfs.py changed"]}),
        ({"lib/shared": "2"}, {"web": ["ships/lib/shared changed"]}),
        ({"VERSION": "2"}, {"api": ["ships/VERSION changed"]}),
        (
            {"core/os": "2"},
            {
                "core": ["ships/core/os changed"],
                "api": ["it stands on lacion/core, which changed"],
                "web": ["it stands on lacion/core, which changed"],
            },
        ),
        (
            {"invoke.json": config(api={"args": ["A=1"]})},
            {"api": ["its settings in invoke.json changed"]},
        ),
        (
            {"api/Dockerfile": None},
            {"api": ["api/Dockerfile or its context api is missing"]},
        ),
    ],
)  # fmt: skip
def test_inputs(project: Path, files: Mapping[str, str | None], wanted: dict[str, list[str]]) -> None:
    """What changes an image, and what does not, uncommitted and committed."""
    lay(project, files)
    got = found(project)
    if "api/Dockerfile" in files and files["api/Dockerfile"] is None:
        assert wanted["api"][0] in got["api"]
        return
    assert got == wanted


def test_committed_and_renamed(project: Path, repository: Repository) -> None:
    """A file that moved from one context to another changes both."""
    repository.git("mv", "ships/api/main", "ships/web/moved")
    repository.git("commit", "-qam", "moved")
    assert found(project) == {}
    assert found(project, "HEAD~1") == {
        "api": ["ships/api/main was removed"],
        "web": ["ships/web/moved was added"],
    }


def test_needs_of_needs(project: Path) -> None:
    """What stands on what stands on a changed image is changed, and a ring is no endless way."""
    lay(project, {"core/os": "2"})
    chain = {"lacion/api": ("lacion/core",), "lacion/web": ("lacion/api",), "lacion/core": ("lacion/web",)}
    assert found(project, needs=chain) == {
        "core": ["ships/core/os changed", "it stands on lacion/web, which changed"],
        "api": ["it stands on lacion/core, which changed"],
        "web": ["it stands on lacion/api, which changed"],
    }


def pinned(**digits: str) -> str:
    """A lock, of images whose tag is 3.22 or none."""
    names = {"alpine": "alpine:3.22", "busybox": "busybox", "other": "other"}
    bases = {names[name]: {"digest": f"sha256:{digit * 64}"} for name, digit in digits.items()}
    return json.dumps({"version": 1, "bases": bases})


def test_pins(project: Path, repository: Repository) -> None:
    """A pin changes the images that use it, and no other; a new lock those that it pins, a lock that goes as well."""
    lay(project, {"tinyship.lock": pinned(alpine="1", busybox="1", other="1")})
    assert found(project) == {"api": ["the pin of alpine:3.22 moved"], "web": ["the pin of busybox moved"]}
    repository.commit("lock")
    lay(project, {"tinyship.lock": pinned(alpine="2", busybox="1", other="2")})
    assert found(project) == {"api": ["the pin of alpine:3.22 moved"]}
    lay(project, {"tinyship.lock": None})
    assert found(project) == {"api": ["the pin of alpine:3.22 moved"], "web": ["the pin of busybox moved"]}
    lay(project, {"tinyship.lock": "no lock"})
    assert set(found(project)) == {"core", "api", "web"}


def test_settings(project: Path, repository: Repository) -> None:
    """What is set for all changes all; a new image is changed; the order is nothing; another file replaces one."""
    entries = CONFIG["images"]
    lay(project, {"invoke.json": json.dumps({"tinyship": {"images": entries, "args": ["A=1"]}})})
    assert set(found(project)) == {"core", "api", "web"}
    lay(project, {"invoke.json": json.dumps({"tinyship": {"images": entries[::-1]}}, indent=4)})
    assert found(project) == {}
    lay(project, {"invoke.json": None, "invoke.yaml": config()})
    assert found(project) == {}
    extra = {"name": "new", "image": "lacion/new", "release": {"dockerfile": "web/Dockerfile", "context": "web"}}
    lay(project, {"invoke.yaml": json.dumps({"tinyship": {"images": [*entries, extra]}})})
    assert set(found(project)) == {"new"}
    repository.commit("config")
    lay(project, {"invoke.yaml": "{"})
    repository.commit("broken")
    lay(project, {"invoke.yaml": config()})
    assert set(found(project)) == {"core", "api", "web"}


@pytest.mark.parametrize(
    ("before", "after", "all_of_them"),
    [
        ("import tinyship\n", "import tinyship\n# a task of our own\n", False),
        ("ns.configure({})\n", "pass\n", True),
        ("pass\n", "pass  # more\n", False),
    ],
)
def test_tasks(project: Path, repository: Repository, before: str, after: str, all_of_them: bool) -> None:
    """A program that sets settings is config; what else stands in it is none."""
    lay(project, {"tasks.py": before})
    repository.commit("tasks")
    lay(project, {"tasks.py": after})
    assert set(found(project)) == ({"core", "api", "web"} if all_of_them else set())


def test_configs_of_others(project: Path, repository: Repository) -> None:
    """Where a program sets all settings, a file that says nothing of tinyship is no config of it."""
    lay(project, {"pyproject.toml": "[project]\nversion = '1'\n"})
    assert found(project) == {}
    lay(project, {"pyproject.toml": "[tool.tinyship]\n"})
    assert found(project) == {}  # invoke.json says what it said


def whole(project: Path) -> None:
    """Let the whole repository be the context of web."""
    lay(project, {"invoke.json": config(web={"release": {"dockerfile": "web/Dockerfile", "context": ".."}})})


def outside(project: Path) -> None:
    """Let a folder outside of the repository be the context of web."""
    (project.parent.parent / "out").mkdir()
    lay(project, {"invoke.json": config(web={"release": {"dockerfile": "web/Dockerfile", "context": "../../out"}})})


def around(project: Path) -> None:
    """Let a folder with the repository in it be the context of web, but for one file."""
    name = project.parent.name
    lay(project.parent.parent, {".dockerignore": f"{name}/elsewhere\n"})
    lay(project, {"invoke.json": config(web={"release": {"dockerfile": "web/Dockerfile", "context": "../.."}})})


@pytest.mark.parametrize(
    ("arranged", "changes"),
    [(whole, ["elsewhere changed"]), (outside, ["{out} is outside of the git repository"]), (around, [])],
)
def test_where_contexts_lie(
    project: Path, repository: Repository, arranged: Callable[[Path], None], changes: list[str]
) -> None:
    """A context may be the repository, lie outside of it, where nothing is known, or have all of it inside."""
    arranged(project)
    repository.commit("arranged")
    lay(project, {"../elsewhere": "2"})
    wanted = [line.format(out=(project.parent.parent / "out").resolve()) for line in changes]
    assert found(project) == ({"web": wanted} if wanted else {})
    if arranged is around:
        lay(project, {"README.md": "2"})
        assert found(project) == {"web": ["ships/README.md changed"]}


def test_links(project: Path, repository: Repository) -> None:
    """A Dockerfile that is a link is what it is a link to; a link in a context is where it leads, not what is there."""
    lay(project, {"shared/Dockerfile": "FROM scratch\n", "web/Dockerfile": None})
    (project / "web" / "Dockerfile").symlink_to("../shared/Dockerfile")
    (project / "core" / "link").symlink_to("../README.md")
    repository.commit("links")
    lay(project, {"README.md": "2"})
    assert found(project) == {}
    lay(project, {"shared/Dockerfile": "FROM scratch\nUSER 1\n"})
    assert found(project) == {"web": ["ships/shared/Dockerfile changed"]}


def test_a_context_in_a_submodule(project: Path, repository: Repository, tmp_path: Path) -> None:
    """Of a submodule git says that it changed, and no more."""
    inner = tmp_path / "inner"
    inner.mkdir()
    lay(inner, {"src/file": "1"})
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "inner")):
        repository.git("-C", str(inner), *words)
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner), "ships/sub")
    lay(project, {"invoke.json": config(web={"release": {"dockerfile": "web/Dockerfile", "context": "sub/src"}})})
    repository.commit("submodule")
    assert found(project) == {}
    lay(project, {"sub/src/file": "2"})
    assert found(project) == {"web": ["ships/sub changed"]}


def test_one_of_several(project: Path) -> None:
    """Tasks for one image do not know whether another one changed, and take it that it did."""
    assert found(project, image="core", needs={}) == {}
    unknown = {"api": ["it stands on lacion/core, which these tasks are not about"]}
    assert found(project, image="api", needs={}) == unknown


def test_of_no_images() -> None:
    """Nothing is nothing."""
    assert changed.find({}, "HEAD", {}).names == ()
