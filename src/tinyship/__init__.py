"""tinyship ships tiny Docker images with Invoke tasks instead of a Makefile.

In a ``tasks.py``: ``import tinyship`` and ``ns = tinyship.collection()``. In a script: ``tinyship.Project.load(".")``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from invoke.collection import Collection

    from tinyship.cancelling import Cancellation
    from tinyship.errors import Cancelled, TinyshipError
    from tinyship.plan import Plan
    from tinyship.project import Project
    from tinyship.record import Record
    from tinyship.revision import Revision
    from tinyship.settings.schema import Settings
    from tinyship.tasks.mount import collection

    ns: Collection
    """The tasks, for ``add_collection(tinyship)`` and whoever else looks for a module's ``ns``: each look gets a mount
    of its own, because Invoke would run the tasks of two equal ones once."""

__version__ = "0.1.0"

__all__ = [
    "Cancellation",
    "Cancelled",
    "Plan",
    "Project",
    "Record",
    "Revision",
    "Settings",
    "TinyshipError",
    "collection",
    "ns",
]

_HOMES = {
    "Cancellation": "tinyship.cancelling",
    "Cancelled": "tinyship.errors",
    "Plan": "tinyship.plan",
    "Project": "tinyship.project",
    "Record": "tinyship.record",
    "Revision": "tinyship.revision",
    "Settings": "tinyship.settings.schema",
    "TinyshipError": "tinyship.errors",
    "collection": "tinyship.tasks.mount",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for (PEP 562), so that ``import tinyship`` costs nothing."""
    if name == "ns":
        return __getattr__("collection")("tinyship")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
