"""What the recipes of a Makefile do to images, and what they compile and test on the way."""

from __future__ import annotations

from pathlib import Path

from tinyship.init import dockercli, makefile
from tinyship.init.findings import Carried, Findings, Place, Unclear
from tinyship.init.marks import has_unknown, shown
from tinyship.init.script import Command, commands

FILES = ("Makefile", "makefile", "GNUmakefile")
_COMPILERS = {"go", "gcc", "cc", "g++", "clang", "clang++", "rustc", "musl-gcc", "tinygo", "nim"}


def find(root: Path, name: str) -> Findings:
    """Read a Makefile.

    Args:
        root: the project's folder.
        name: of the file, from there.
    """
    made = makefile.read(root, name)
    found = Findings(unclear=list(made.unclear))
    environment = made.environment()
    for rule, line in made.recipes():
        try:
            every = list(commands(line.text, root, environment))
        except ValueError:
            if "docker" in line.text:
                found.unclear.append(Unclear(line.place, shown(line.text), "its quotes are not closed"))
            continue
        for command in every:
            _command(command, rule.target, line.place, root, found)
    return found


def _command(command: Command, target: str, place: Place, root: Path, found: Findings) -> None:
    words = command.words
    if (images := dockercli.read(command, place)) is not None:
        found.add(images)
        return
    text = shown(" ".join(words))
    if words[0] == "make" and "-C" in words:
        folder = words[words.index("-C") + 1] if words.index("-C") + 1 < len(words) else "."
        if _speaks_of_images(root / folder / "Makefile"):
            found.unclear.append(
                Unclear(place, text, "a Makefile of another folder is not followed: run `tinyship init` there")
            )
        return
    if has_unknown(words[0]):
        if any(verb in words[1:3] for verb in ("build", "push", "tag")):
            found.unclear.append(Unclear(place, text, "which program this is, is not known"))
        return
    script = words[1] if words[0] in {"sh", "bash", "/bin/sh", "/bin/bash"} and len(words) > 1 else words[0]
    if ("/" in script or script != words[0]) and _speaks_of_images(root / command.folder / script):
        found.unclear.append(Unclear(place, text, "a script that runs docker is not read"))
        return
    if words[0] in _COMPILERS and "-o" in words[:-1] and not has_unknown(path := words[words.index("-o") + 1]):
        found.compiled.append(Carried("build.artifacts", dockercli.below(command.folder, path), place))
    if target == "test" and not has_unknown(text) and words[0] not in {"echo", "cd", "mkdir", "rm", "docker-compose"}:
        found.tested.append(Carried("build.test", list(words), place))


def _speaks_of_images(path: Path) -> bool:
    try:
        return "docker" in path.read_text("utf-8", "replace")
    except (OSError, ValueError):
        return False
