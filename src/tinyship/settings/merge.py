"""The sources of the config, laid over each other key by key, and where each key is from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from tinyship.errors import ConfigError
from tinyship.settings.wrong import SECTION, shown


class Layer(Struct, frozen=True):
    """One source of config: its name, as people know it, and what stands in its section ``tinyship``.

    ``is_explicit`` marks what was set at run time, which wins over variables.
    """

    source: str
    values: object
    is_explicit: bool = False


class Merged(Struct):
    """Sources laid over each other, and where each leaf is from."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    last: str = "the config"

    def lay(self, values: object, source: Any) -> None:
        """Lay a section over what is there; ``source`` is a name, or gives one for a key."""
        if values is None:
            return
        if not isinstance(values, Mapping):
            raise ConfigError(f"{_name(source, '')}: `{SECTION}` is {shown(values)}, but a section is expected")
        if not callable(source):
            self.last = source
        self._lay(self.values, values, "", source)

    def _lay(self, into: dict[str, Any], values: Mapping[Any, Any], prefix: str, source: Any) -> None:
        for key, value in dict(values).items():
            if not isinstance(key, str):
                raise ConfigError(f"{_name(source, prefix)}: `{SECTION}.{prefix}{key}` is no key: quote it")
            dotted = f"{prefix}{key}"
            if not isinstance(value, Mapping) or not isinstance(into.get(key), dict):
                self._forget(dotted)
                into.pop(key, None)
            if isinstance(value, Mapping):
                self._lay(into.setdefault(key, {}), value, f"{dotted}.", source)
            elif value is not None:
                into[key] = value
                self.origins[dotted] = _name(source, dotted)

    def _forget(self, dotted: str) -> None:
        for key in [key for key in self.origins if key == dotted or key.startswith(f"{dotted}.")]:
            del self.origins[key]

    def source_of(self, dotted: str) -> str:
        """Where a key is from: its own source, that of what is in it, or that of what it is in."""
        inside = [source for key, source in self.origins.items() if key.startswith(f"{dotted}.")]
        while dotted:
            if dotted in self.origins:
                return self.origins[dotted]
            dotted = dotted.rpartition(".")[0]
        return inside[0] if inside else self.last


def _name(source: Any, dotted: str) -> str:
    return str(source(dotted)) if callable(source) else str(source)
