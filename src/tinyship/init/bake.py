"""What a Bake file says of the images that it builds: JSON in full, HCL as far as it is plain.

Source: docker buildx, the Bake file reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath
from typing import Any

from tinyship.init import hcl
from tinyship.init.dockercli import argument, below
from tinyship.init.findings import Build, Carried, Findings, Place, Unclear
from tinyship.init.marks import has_unknown, literal, mark, shown

FILES = ("docker-bake.json", "docker-bake.hcl", "docker-bake.override.json", "docker-bake.override.hcl")
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_VERSION = re.compile(r"v?\d+(?:\.\d+){1,3}\S*")
_LISTS = {
    "platforms": "platforms",
    "secret": "secrets",
    "ssh": "ssh",
    "cache-from": "cache_from",
    "cache-to": "cache_to",
    "attest": "attests",
    "ulimits": "ulimits",
    "no-cache-filter": "no_cache_filter",
}
_MAPS = {"labels": "labels", "contexts": "contexts", "extra-hosts": "extra_hosts"}
_SCALARS = {"network": "network", "shm-size": "shm_size"}
_SWITCHES = {"pull": "pull", "no-cache": "no_cache"}
_HERE = {"context", "dockerfile", "target", "args", "tags", "inherits", "output", "description", "matrix", "name"}


@dataclass(slots=True)
class _Target:
    """A target: its attributes, and the line of each; of those that it inherits too."""

    values: dict[str, Any]
    lines: dict[str, int]
    line: int


def find(root: Path, name: str) -> Findings:
    """Read a Bake file.

    Args:
        root: the project's folder.
        name: of the file, from there.
    """
    text = (root / name).read_text("utf-8", "replace")
    found = Findings()
    targets: dict[str, _Target] = {}
    groups: dict[str, list[str]] = {}
    variables: dict[str, Any] = {}
    if name.endswith(".json"):
        try:
            data = json.loads(text)
        except ValueError as error:
            return Findings(unclear=[Unclear(Place(name), name, f"it is no JSON: {error}")])
        lines = text.splitlines()
        for target, values in _maps(data, "target"):
            line = _line(lines, target)
            targets[target] = _Target(dict(values), {key: _line(lines, key, line) for key in values}, line)
        groups = {group: list(values.get("targets", ())) for group, values in _maps(data, "group")}
        variables = {variable: values.get("default") for variable, values in _maps(data, "variable")}
    else:
        blocks, unclear = hcl.parse(text)
        found.unclear += [Unclear(Place(name, line), said, "only plain values are read") for line, said in unclear]
        for block in blocks:
            if block.kind == "target":
                targets[block.label] = _Target(block.values, block.lines, block.line)
            elif block.kind == "group":
                groups[block.label] = list(block.values.get("targets", ()))
            elif block.kind == "variable":
                variables[block.label] = block.values.get("default")
            else:
                why = "only `variable`, `group` and `target` are read"
                found.unclear.append(Unclear(Place(name, block.line), block.kind, why))
    _Reader(name, targets, groups, variables, found).read()
    return found


class _Reader:
    def __init__(
        self,
        file: str,
        targets: Mapping[str, _Target],
        groups: Mapping[str, list[str]],
        variables: Mapping[str, Any],
        found: Findings,
    ) -> None:
        self._file = file
        self._targets = targets
        self._groups = groups
        self._variables = variables
        self._found = found

    def read(self) -> None:
        wanted = list(dict.fromkeys(self._members("default", 0))) if "default" in self._groups else []
        inherited = {base for target in self._targets.values() for base in target.values.get("inherits", ())}
        for name in self._targets:
            if name in wanted or (not wanted and (name == "default" or name not in inherited)):
                self._target(name)
            elif name not in inherited and not self._is_context(name):
                place = Place(self._file, self._targets[name].line)
                why = "it is not in the group `default`, so it is not carried over"
                self._found.unclear.append(Unclear(place, f"target {name}", why))

    def _members(self, group: str, depth: int) -> Iterator[str]:
        for name in self._groups.get(group, ()) if depth < len(self._groups) + 1 else ():
            if name in self._groups:
                yield from self._members(name, depth + 1)
            else:
                yield name

    def _is_context(self, name: str) -> bool:
        used = (target.values.get("contexts") for target in self._targets.values())
        return any(f"target:{name}" in contexts.values() for contexts in used if isinstance(contexts, Mapping))

    def _target(self, name: str) -> None:
        target = self._whole(name, 0)
        if "matrix" in target.values:
            self._unclear(target, "matrix", f"target {name}: matrix", "a matrix is not carried over")
            return
        context = self._text(target.values.get("context", "."))
        if has_unknown(context) or "://" in context:
            why = "a context that is no folder is not carried over"
            self._unclear(target, "context", f"target {name}: {shown(context)}", why)
            return
        if "dockerfile-inline" in target.values:
            self._unclear(target, "dockerfile-inline", f"target {name}: dockerfile-inline", "write it to a file")
        tags = tuple(self._text(tag) for tag in _entries(target.values.get("tags")))
        pushes = any("type=registry" in text or "push=true" in text for text in self._outputs(name, target))
        self._found.builds.append(
            Build(
                self._place(target, "tags"),
                name,
                tags,
                below(normpath(context), self._text(target.values.get("dockerfile", "Dockerfile"))),
                normpath(context),
                self._text(target.values.get("target", "")),
                tuple(self._options(name, target)),
                pushes,
            )
        )

    def _whole(self, name: str, depth: int) -> _Target:
        """A target with what it inherits: maps are joined, all else is the nearest."""
        own = self._targets[name]
        whole = _Target({}, {}, own.line)
        bases = own.values.get("inherits") or ()
        parents = [
            self._whole(base, depth + 1) for base in bases if base in self._targets and depth < len(self._targets)
        ]
        for each in (*parents, own):
            for key, value in each.values.items():
                old = whole.values.get(key)
                joined = {**old, **value} if isinstance(old, Mapping) and isinstance(value, Mapping) else value
                whole.values[key] = joined
                whole.lines[key] = each.lines.get(key, each.line)
        return whole

    def _options(self, name: str, target: _Target) -> Iterator[Carried]:
        for key, value in _pairs(target.values.get("args")):
            entry = key if value is None else f"{key}={self._text(value)}"
            what = argument(entry, self._place(target, "args"))
            if isinstance(what, Carried):
                yield what
            elif what:
                self._found.unclear.append(what)
        for key, setting in _MAPS.items():
            for entry, value in _pairs(target.values.get(key)):
                sign = ":" if key == "extra-hosts" else "="
                yield from self._option(target, key, setting, f"{entry}{sign}{self._text(value)}")
        for key, setting in _LISTS.items():
            for value in _entries(target.values.get(key)):
                fields = value.items() if isinstance(value, Mapping) else ()
                text = ",".join(f"{field}={self._text(inner)}" for field, inner in fields) or self._text(value)
                yield from self._option(target, key, setting, text)
        for key, setting in _SCALARS.items():
            if value := target.values.get(key):
                yield from self._option(target, key, setting, self._text(value))
        for key, setting in _SWITCHES.items():
            if target.values.get(key) is True:
                yield Carried(setting, True, self._place(target, key))
        for key in target.values:
            if key not in _HERE | set(_LISTS) | set(_MAPS) | set(_SCALARS) | set(_SWITCHES) | {"dockerfile-inline"}:
                self._unclear(target, key, f"target {name}: {key}", "this attribute is not carried over")

    def _option(self, target: _Target, key: str, setting: str, entry: str) -> Iterator[Carried]:
        if has_unknown(entry) or "\ue000" in entry:
            self._unclear(target, key, f"{key}: {shown(entry)}", "what its value comes to is not known")
        else:
            yield Carried(setting, entry, self._place(target, key))

    def _outputs(self, name: str, target: _Target) -> Iterator[str]:
        for output in _entries(target.values.get("output")):
            fields = output.items() if isinstance(output, Mapping) else ()
            text = ",".join(f"{key}={value}" for key, value in fields) or self._text(output)
            yield text
            if "type=registry" not in text and text not in {"type=docker", "type=image"} and "push=true" not in text:
                why = "not carried over: `release.outputs` takes it in the same form"
                self._unclear(target, "output", f"target {name}: {shown(text)}", why)

    def _text(self, value: Any) -> str:
        if isinstance(value, hcl.Name):
            return self._variable(value.text)
        if isinstance(value, bool):
            return "true" if value else "false"
        if not isinstance(value, str):
            return "" if value is None else str(value)
        return _VARIABLE.sub(lambda match: self._variable(match[1].strip()), value)

    def _variable(self, name: str) -> str:
        value = self._variables.get(name)
        if isinstance(value, str) and value:
            value = _VARIABLE.sub(lambda match: mark("unknown", match[0]), value)
            return literal(value) if _VERSION.fullmatch(value) else value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        return mark("unknown", f"${{{name}}}")

    def _place(self, target: _Target, key: str) -> Place:
        return Place(self._file, target.lines.get(key, target.line))

    def _unclear(self, target: _Target, key: str, text: str, why: str) -> None:
        self._found.unclear.append(Unclear(self._place(target, key), text, why))


def _entries(value: Any) -> list[Any]:
    """The entries of a list; one that is written without brackets is one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _maps(data: Any, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    section = data.get(key) if isinstance(data, Mapping) else None
    for name, values in section.items() if isinstance(section, Mapping) else ():
        if isinstance(values, Mapping):
            yield name, values


def _pairs(values: Any) -> Iterator[tuple[str, Any]]:
    yield from values.items() if isinstance(values, Mapping) else ()


def _line(lines: list[str], key: str, start: int = 1) -> int:
    """The line of a key in JSON, at or after another one; that one where it is not found."""
    wanted = json.dumps(key)
    return next((number for number, line in enumerate(lines[start - 1 :], start) if wanted in line), start)
