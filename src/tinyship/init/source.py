"""What a project's source is: a Go or a Python program, what it is called, and how it is started."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tinyship.init.findings import Carried, Place, Unclear

_PACKAGE_MAIN = re.compile(r"^package\s+main\b", re.M)
_LINKED = re.compile(
    r"^\s*(?:var\s+)?(version|commit)\s+(?:string\s*)?=\s*\"|^\s*(?:var\s+)(version|commit)\s+string", re.M
)
_FOLDER = Place("the folder's name")
_STARTS = ("main.py", "app.py", "server.py", "__main__.py")


@dataclass(frozen=True, slots=True)
class Source:
    """A program.

    Args:
        language: of its source.
        name: of the program.
        place: where that is said.
        version: of the language, like ``1.22``; empty where nothing says it.
        main: Go's package, from the root, or Python's script or module; empty where a script is installed.
        linked: variables of Go's package main that are filled in as it is linked.
        locked: Go's go.sum, Python's requirements.txt: files that the dependencies stand in.
        installs: whether Python's pyproject.toml can be installed.
    """

    language: Literal["go", "python"]
    name: str
    place: Place
    version: str = ""
    main: str = ""
    linked: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    installs: bool = False


def find(root: Path) -> tuple[Source | None, list[Unclear]]:
    """The program in a folder; None where there is none, or several, which is said."""
    unclear: list[Unclear] = []
    if (root / "go.mod").is_file():
        return _go(root, unclear), unclear
    if any((root / name).is_file() for name in ("pyproject.toml", "requirements.txt", "setup.py", *_STARTS)):
        return _python(root, unclear), unclear
    return None, unclear


def fallback(root: Path, source: Source | None) -> Carried:
    """A name for the image where no file has one: that of the program, or of the folder."""
    name = source.name if source else root.name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "app"
    return Carried("image", plain, source.place if source and source.place.line else _FOLDER)


def _go(root: Path, unclear: list[Unclear]) -> Source | None:
    text = (root / "go.mod").read_text("utf-8", "replace")
    module = re.search(r"^module\s+(\S+)", text, re.M)
    version = re.search(r"^go\s+(\d+\.\d+)", text, re.M)
    mains = list(_mains(root))
    place = Place("go.mod", text[: module.start()].count("\n") + 1 if module else 0)
    if len(mains) != 1:
        why = "there is no package main" if not mains else f"there are several programs: {', '.join(mains)}"
        unclear.append(Unclear(place, "go.mod", f"{why}; no Dockerfile is written"))
        return None
    main = mains[0]
    last = re.sub(r"/v\d+$", "", module[1]).rpartition("/")[2] if module else root.name
    name = main.rpartition("/")[2] if main not in {".", "cmd"} else last
    sources = [path.read_text("utf-8", "replace") for path in sorted((root / main).glob("*.go"))]
    linked = {match[1] or match[2] for source in sources for match in _LINKED.finditer(source)}
    return Source(
        "go",
        name,
        place,
        version[1] if version else "",
        main,
        tuple(sorted(linked)),
        ("go.sum",) if (root / "go.sum").is_file() else (),
    )


def _mains(root: Path) -> Iterator[str]:
    for folder in (root, root / "cmd", *sorted((root / "cmd").glob("*/"))):
        files = [path for path in folder.glob("*.go") if not path.name.endswith("_test.go")]
        if any(_PACKAGE_MAIN.search(path.read_text("utf-8", "replace")) for path in files):
            yield folder.relative_to(root).as_posix()


def _python(root: Path, unclear: list[Unclear]) -> Source | None:
    project: dict[str, Any] = {}
    path = root / "pyproject.toml"
    installs = (root / "setup.py").is_file()
    place = Place("setup.py") if installs else _FOLDER
    if path.is_file():
        try:
            data = tomllib.loads(path.read_text("utf-8", "replace"))
        except tomllib.TOMLDecodeError as error:
            unclear.append(Unclear(Place("pyproject.toml"), "pyproject.toml", f"it is no TOML: {error}"))
            return None
        found = data.get("project")
        project = found if isinstance(found, dict) else {}
        installs = installs or bool(project.get("name"))
        place = Place("pyproject.toml", _line(path, "name") if project.get("name") else 0)
    name = str(project.get("name") or root.name)
    scripts = list(project.get("scripts") or {})
    locked = tuple(name for name in ("requirements.txt",) if (root / name).is_file())
    version = _python_version(root, str(project.get("requires-python", "")))
    if len(scripts) == 1 or name in scripts:
        script = name if name in scripts else scripts[0]
        return Source("python", script, place, version, "", (), locked, installs=True)
    start = _started(root, name)
    if not start:
        why = "which script starts it, is not known" if not scripts else f"there are several: {', '.join(scripts)}"
        unclear.append(Unclear(place, name, f"{why}; no Dockerfile is written"))
        return None
    return Source("python", name, place, version, start, (), locked, installs)


def _started(root: Path, name: str) -> str:
    """What starts a program without a script: a file of a usual name, or ``-m package``."""
    package = name.replace("-", "_")
    for folder in ("", "src/"):
        if (root / folder / package / "__main__.py").is_file():
            return f"-m {package}"
    return next((file for file in _STARTS if (root / file).is_file()), "")


def _python_version(root: Path, requires: str) -> str:
    """The version that a project says it is run with; empty where it only says from which on."""
    try:
        said = (root / ".python-version").read_text("utf-8", "replace").strip()
    except OSError:
        said = ""
    match = re.fullmatch(r"(3\.\d+)(?:\.\d+)?", said) or re.search(r"(?:==|~=)\s*(3\.\d+)", requires)
    return match[1] if match else ""


def _line(path: Path, key: str) -> int:
    lines = path.read_text("utf-8", "replace").splitlines()
    return next((number for number, line in enumerate(lines, 1) if re.match(rf"{key}\s*=", line)), 0)


def ignored(source: Source | None) -> Sequence[str]:
    """What no image needs of what a language leaves beside its source; tests may be run in the build image."""
    if source and source.language == "python":
        caches = ("**/__pycache__", "**/*.pyc", ".pytest_cache", ".mypy_cache", ".ruff_cache")
        return (*caches, ".venv", "venv", "build", "dist", "*.egg-info")
    return ()
