"""Parts of the Python API, from what stands in the source."""

from __future__ import annotations

from importlib import import_module
from types import FunctionType, ModuleType

_OPTIONS = {
    "tinyship.running.cancelling.Cancellation": ":members: cancel, is_set",
    "tinyship.project.Project": ":exclude-members: events",
    "tinyship.settings.schema.Settings": ":no-members:",
    "tinyship.stages.scope.Scope": ":no-members:",
}
_FIRST = {"tinyship.project.Project": ("load", "selected", "versioned", "changed", "scopes")}
"""What a class has from another one that has no place of its own."""
_NS = """.. py:data:: tinyship.ns
   :type: Collection

   The tasks, for ``add_collection(tinyship)``; each look gets a mount of its own."""


def page(*names: str) -> str:
    """Modules, classes and functions by their full names, each with what stands in it."""
    return "\n".join(["```{eval-rst}", *(_NS if name == "tinyship.ns" else _one(name) for name in names), "```"])


def _one(name: str) -> str:
    home, _, last = name.rpartition(".")
    thing = getattr(import_module(home), last, None) or import_module(name)
    kind = {ModuleType: "module", FunctionType: "function"}.get(type(thing), "class")
    first = "".join(f"\n   .. automethod:: {name}.{method}\n" for method in _FIRST.get(name, ()))
    return f".. auto{kind}:: {name}\n   {_OPTIONS.get(name, '')}\n{first}"
