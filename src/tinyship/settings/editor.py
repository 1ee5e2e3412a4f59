"""The JSON Schema of the settings, and how an editor finds it."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from tinyship import state
from tinyship.settings import invoke_config


def schema() -> str:
    """The JSON Schema (draft 7) of a config file with a section ``tinyship``."""
    return (resources.files("tinyship") / "schemas" / "settings.schema.json").read_text(encoding="utf-8")


def write(file: Path) -> None:
    """Write the schema to a file; what is there is replaced, and ``.tinyship`` is made where it is not there yet.

    Raises:
        TinyshipError: it cannot be written.
    """
    if file.parent.name == ".tinyship":
        state.folder(file.parent.parent)
    state.replace_file(file, schema())


def line(file: Path, folder: Path) -> str:
    """The comment in ``invoke.yaml`` that names the file, in the project around a folder, or in the folder itself."""
    root = invoke_config.find_config(folder) or folder.resolve()
    path = Path(os.path.relpath(file.resolve(), root)).as_posix()
    return f"# yaml-language-server: $schema={path}"
