"""The section ``tinyship`` of Invoke's config, level by level, and the folder that it belongs to.

Invoke merges its levels and forgets where a value came from, so the levels are read before they are merged; where a
release of Invoke keeps them otherwise, the merged section is one source. ``[tool.tinyship]`` in pyproject.toml is a
source that Invoke does not know: the project's own, weaker than its invoke.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from invoke.config import Config

from tinyship.errors import ConfigError
from tinyship.settings.merge import Layer
from tinyship.settings.wrong import SECTION

_LEVELS = ("collection", "system", "user", "project", "env", "runtime", "overrides", "modifications")
_SUFFIXES = ("yaml", "yml", "json", "py")
_TASKS = ("tasks.py", "tasks/__init__.py")
_PYPROJECT = "pyproject.toml"


def layers(config: Config, own: Mapping[str, Any] | None = None) -> tuple[Layer, ...]:
    """The sources that Invoke found, and pyproject.toml; the weakest first.

    Args:
        config: as a task gets it.
        own: what the mount itself was configured with: Invoke hides it from a task that runs before or after another
            one, and from all tasks where the collection around the mount has a section of that name too.

    Raises:
        ConfigError: pyproject.toml is no TOML.
    """
    pyproject = _pyproject(project_root(config))
    if not all(isinstance(getattr(config, f"_{level}", 0), Mapping | None) for level in _LEVELS):
        merged = dict(config)
        return (*pyproject, Layer("the config", _plain(merged.get(SECTION))))
    found = [Layer(_source(config, "collection"), _plain(own[SECTION]))] if own and SECTION in own else []
    for level in _LEVELS:
        values = getattr(config, f"_{level}") or {}
        if level == "project":
            found += pyproject
        if values.get(SECTION) is not None:
            is_explicit = level in {"overrides", "modifications"}
            found.append(Layer(_source(config, level), _plain(values[SECTION]), is_explicit))
    return tuple(found)


def project_root(config: Config) -> Path:
    """The folder of tasks.py; the current one where Invoke knows no project."""
    prefix = getattr(config, "_project_prefix", None)
    return Path(prefix) if prefix else Path.cwd()


def located(config: Config) -> Config:
    """The config with the files of the project around the current folder, where Invoke looked for none.

    It does so only for a tasks.py that it found itself, not for a program of its own (``Program(namespace=...)``).

    Raises:
        ConfigError: a file cannot be read.
    """
    if getattr(config, "_project_prefix", None):
        return config
    folder = find_config(Path.cwd(), prefix=config.file_prefix or config.prefix)
    if folder is None:
        return config
    found = config.clone()
    load_files(found, folder)
    return found


def load_files(config: Config, folder: Path) -> None:
    """Let a config be that of the project in a folder.

    Raises:
        ConfigError: a file cannot be read.
    """
    with _reading(folder):
        config.set_project_location(folder)
        config.load_project()


def find_config(path: Path, *, prefix: str = "invoke") -> Path | None:
    """The folder with a config: ``path``, or the nearest one above it; None where there is none."""
    path = path.resolve()
    return next((folder for folder in (path, *path.parents) if _has_config(folder, prefix)), None)


def find_root(path: Path) -> Path:
    """The folder with a config or tasks: ``path``, or the nearest one above it.

    Raises:
        ConfigError: there is none.
    """
    path = path.resolve()
    for folder in (path, *path.parents):
        if _has_config(folder, "invoke") or any((folder / name).is_file() for name in _TASKS):
            return folder
    raise ConfigError(
        f"there is no invoke.yaml in {path}, nor in a folder above it, and no pyproject.toml with [tool.{SECTION}]",
        hint="`tinyship init` writes one for a project.",
    )


def of_project(root: Path) -> tuple[Layer, ...]:
    """The sources that Invoke would find for the project in a folder, without those that stand in its tasks.py.

    Raises:
        ConfigError: a file cannot be read.
    """
    with _reading(root):
        config = Config()
    load_files(config, root)
    return layers(config)


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # YAML's, JSON's and whatever an invoke.py raises
        reason = " ".join(str(error).split())
        raise ConfigError(f"the config in {folder} cannot be read: {reason}") from error


def _has_config(folder: Path, prefix: str) -> bool:
    return any((folder / f"{prefix}.{suffix}").is_file() for suffix in _SUFFIXES) or _speaks_of_us(folder)


def _speaks_of_us(folder: Path) -> bool:
    try:
        return bool(_pyproject(folder))
    except ConfigError:  # whoever reads the settings gets to hear of it
        return True


def _pyproject(folder: Path) -> tuple[Layer, ...]:
    """What ``[tool.tinyship]`` says, where there is one."""
    path = folder / _PYPROJECT
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ()
    except UnicodeDecodeError:
        return ()  # somebody else's to tell: ours would be in it as TOML, which is UTF-8
    if SECTION not in text:
        return ()
    import tomllib

    try:
        tools = tomllib.loads(text).get("tool")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{_shown(path, folder)} cannot be read: {error}") from None
    section = tools.get(SECTION) if isinstance(tools, dict) else None
    return () if section is None else (Layer(_shown(path, folder), section),)


def _source(config: Config, level: str) -> str:
    if path := getattr(config, f"_{level}_path", None):
        return _shown(Path(path), project_root(config))
    if level == "env":
        return f"{getattr(config, '_env_prefix', 'INVOKE_')}... variables"
    return level if level == "overrides" else "tasks.py"


def _shown(path: Path, root: Path) -> str:
    """A file as people know it: whoever stands in the project knows it by its name."""
    return path.name if path.parent == root and Path.cwd().is_relative_to(root) else str(path)


def _plain(value: Any) -> Any:
    """A copy without Invoke's own kinds of maps."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
