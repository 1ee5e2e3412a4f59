"""Looks at a project, and says which files it needs and what was found for them; writes what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyship.errors import ConfigError, Refused
from tinyship.init import bake, compose, recipes, source, texts
from tinyship.init.findings import Build, Findings, Outcome, Place, Unclear
from tinyship.init.settle import settle
from tinyship.settings import invoke_config

_READERS = ((recipes.FILES, recipes.find), (bake.FILES, bake.find), (compose.FILES, compose.find))


@dataclass(frozen=True, slots=True)
class File:
    """A file that a project needs: its name, its text, and what is there in its place, and stays; empty for nothing."""

    name: str
    text: str
    kept: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a project needs.

    Args:
        root: its folder.
        read: the names of the files that were read.
        files: in the order in which they are written.
        outcome: the settings, and where they are from.
        lacking: by the names of files that stay: lines that they should have.
    """

    root: Path
    read: tuple[str, ...]
    files: tuple[File, ...]
    outcome: Outcome
    lacking: tuple[tuple[str, str], ...]


def look(root: Path) -> Proposal:
    """Look at a project; nothing is changed.

    Raises:
        ConfigError: it is no folder.
    """
    root = root.resolve()
    if not root.is_dir():
        raise ConfigError(f"{root} is no folder")
    program, unclear = source.find(root)
    found, read = _found(root)
    outcome = settle(root, found, source.fallback(root, program))
    release = _dockerfiles(outcome)
    files, more = [], []
    if all((root / name).is_file() for name in release):
        unclear = []  # whoever has a Dockerfile needs none of ours
        files += [_file(root, name, _text(root / name)) for name in release]
    elif release == ["Dockerfile"] and program:
        files.append(_file(root, "Dockerfile", texts.dockerfile(program)))
    else:
        more = [
            Unclear(Place(name), name, "there is no such Dockerfile") for name in release if not (root / name).is_file()
        ]
    mentioned = "\n".join(_text(root / name) for name in (*release, *_others(outcome)))
    files += [
        _file(root, ".dockerignore", texts.dockerignore(program, mentioned, "invoke.yaml")),
        _file(root, "tasks.py", texts.tasks(_shipped(outcome))),
        File("invoke.yaml", texts.config(outcome), _config(root)),
    ]
    artifacts = [path for image in _images(outcome) for path in image.get("build", {}).get("artifacts", ())]
    needed = texts.gitignore(artifacts)
    files.append(_file(root, ".gitignore", "\n".join([*needed, ""])))
    lacking = [(".gitignore", line) for line in needed] if files[-1].kept else []
    if (root / ".dockerignore").is_file():
        lacking.append((".dockerignore", ".git"))
    outcome = Outcome(outcome.values, outcome.carried, (*outcome.unclear, *unclear, *more))
    names = (*read, *((program.place.file,) if program and program.place.line else ()))
    return Proposal(root, tuple(dict.fromkeys(names)), tuple(files), outcome, tuple(_missing(root, lacking)))


def write(proposal: Proposal) -> tuple[str, ...]:
    """Write the files that are not there yet, and return their names; a file that has come since stays as it is.

    Raises:
        Refused: the folder cannot be written to.
    """
    written = []
    for file in proposal.files:
        if file.kept:
            continue
        try:
            with (proposal.root / file.name).open("x", encoding="utf-8") as out:
                out.write(file.text)
        except FileExistsError:
            continue
        except OSError as error:
            raise Refused(f"{file.name} cannot be written: {error.strerror}") from None
        written.append(file.name)
    return tuple(written)


def _found(root: Path) -> tuple[Findings, list[str]]:
    """What all files say; what one that comes later says of an image that is known already is said, not used."""
    found, read = Findings(), []
    for names, find in _READERS:
        name = next((name for name in names if (root / name).is_file()), "")
        if not name:
            continue
        read.append(name)
        new = find(root, name)
        if found.builds and new.builds:
            what = ", ".join(dict.fromkeys(build.name or "a build" for build in new.builds))
            why = f"not carried over: {found.builds[0].place.file} says how images are built"
            new = Findings(unclear=[*new.unclear, Unclear(Place(name, new.builds[0].place.line), what, why)])
        found.add(new)
    if not found.builds and (root / "Dockerfile").is_file():
        found.builds.append(Build(Place("Dockerfile")))
    return found, read


def _images(outcome: Outcome) -> Sequence[dict[str, Any]]:
    images = outcome.values.get("images") or [{}]
    return [{**outcome.values, **image} for image in images]


def _dockerfiles(outcome: Outcome) -> list[str]:
    """The Dockerfiles of the releases."""
    return list(dict.fromkeys(image.get("release", {}).get("dockerfile", "Dockerfile") for image in _images(outcome)))


def _others(outcome: Outcome) -> list[str]:
    """The Dockerfiles of build and base images."""
    builds = [image["build"]["dockerfile"] for image in _images(outcome) if image.get("build", {}).get("dockerfile")]
    return [*builds, *(base["dockerfile"] for image in _images(outcome) for base in image.get("base", ()))]


def _shipped(outcome: Outcome) -> str:
    names = [image["image"].rpartition("/")[2] for image in _images(outcome) if image.get("image")]
    return " and ".join(names)


def _config(root: Path) -> str:
    """The file that has the project's config, of whatever form; empty where there is none."""
    there = next(
        (name for suffix in ("yaml", "yml", "json", "py") if (root / (name := f"invoke.{suffix}")).exists()), ""
    )
    return there or ("pyproject.toml" if invoke_config.find_config(root) == root else "")


def _file(root: Path, name: str, text: str) -> File:
    others = (name, "tasks/__init__.py") if name == "tasks.py" else (name,)
    return File(name, text, next((other for other in others if (root / other).exists()), ""))


def _missing(root: Path, lacking: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The lines that files do not have, with or without slashes around them."""
    return [
        (name, line)
        for name, line in lacking
        if line.strip("/") not in {have.strip().strip("/") for have in _text(root / name).splitlines()}
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
