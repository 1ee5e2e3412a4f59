"""The section ``tinyship`` of Invoke's config, level by level, and the folder that it belongs to.

Invoke merges its levels and forgets where a value came from, so the levels are read before they are merged; where a
release of Invoke keeps them otherwise, the merged section is one source.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from invoke.config import Config

from tinyship.errors import ConfigError
from tinyship.settings.load import SECTION, Layer

_LEVELS = ("collection", "system", "user", "project", "env", "runtime", "overrides", "modifications")
_NAMES = {
    "collection": "tasks.py",
    "env": "INVOKE_... variables",
    "overrides": "overrides",
    "modifications": "tasks.py",
}
_FILES = ("invoke.yaml", "invoke.yml", "invoke.json", "invoke.py", "tasks.py")


def layers(config: Config) -> tuple[Layer, ...]:
    """The sources that Invoke found, the weakest first."""
    if not all(isinstance(getattr(config, f"_{level}", 0), Mapping | None) for level in _LEVELS):
        merged = dict(config)
        return (Layer("the config", _plain(merged.get(SECTION))),)
    return tuple(
        Layer(_source(config, level), _plain(values[SECTION]), level in {"overrides", "modifications"})
        for level in _LEVELS
        if SECTION in (values := getattr(config, f"_{level}") or {}) and values[SECTION] is not None
    )


def project_root(config: Config) -> Path:
    """The folder of tasks.py; the current one where Invoke knows no project."""
    prefix = getattr(config, "_project_prefix", None)
    return Path(prefix) if prefix else Path.cwd()


def find_root(path: Path) -> Path:
    """The folder with a config or tasks: ``path``, or the nearest one above it.

    Raises:
        ConfigError: there is none.
    """
    path = path.resolve()
    for folder in (path, *path.parents):
        if any((folder / name).is_file() for name in _FILES) or (folder / "tasks" / "__init__.py").is_file():
            return folder
    raise ConfigError(f"there is no invoke.yaml in {path}, nor in a folder above it")


def of_project(root: Path) -> tuple[Layer, ...]:
    """The sources that Invoke would find for the project in a folder, without those that stand in its tasks.py.

    Raises:
        ConfigError: a file cannot be read.
    """
    try:
        config = Config(project_location=root)
        config.load_project()
    except Exception as error:  # YAML's, JSON's and whatever an invoke.py raises
        reason = " ".join(str(error).split())
        raise ConfigError(f"the config in {root} cannot be read: {reason}") from error
    return layers(config)


def _source(config: Config, level: str) -> str:
    path = getattr(config, f"_{level}_path", None)
    if not path:
        return _NAMES.get(level, level)
    root, here = project_root(config), Path.cwd()
    # Whoever stands in the project knows the file by its name.
    return Path(path).name if Path(path).parent == root and here.is_relative_to(root) else str(path)


def _plain(value: Any) -> Any:
    """A copy without Invoke's own kinds of maps."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
