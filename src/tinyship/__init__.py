"""tinyship ships tiny Docker images with Invoke tasks instead of a Makefile.

In a ``tasks.py``: ``import tinyship`` and ``ns = tinyship.collection()``. In a script: ``tinyship.Project.load(".")``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from invoke.collection import Collection

    from tinyship.errors import (
        ArtifactError,
        BudgetExceeded,
        BuildFailed,
        Cancelled,
        CleanStopped,
        CommandFailed,
        ConfigError,
        ContextError,
        EngineError,
        EngineUnreachable,
        GitError,
        ImageError,
        ImagesFailed,
        NothingPushed,
        NothingReleased,
        Refused,
        RegistryError,
        TinyshipError,
    )
    from tinyship.events import Event, Events
    from tinyship.git.revision import Revision
    from tinyship.kept.record import Outcome, Record, Release
    from tinyship.plan import Plan
    from tinyship.project import Project
    from tinyship.running.cancelling import Cancellation
    from tinyship.settings.schema import Settings
    from tinyship.tasks.mount import collection

    ns: Collection
    """The tasks, for ``add_collection(tinyship)`` and whoever else looks for a module's ``ns``: each look gets a mount
    of its own, because Invoke would run the tasks of two equal ones once."""

__version__ = "0.1.0"

__all__ = [
    "ArtifactError",
    "BudgetExceeded",
    "BuildFailed",
    "Cancellation",
    "Cancelled",
    "CleanStopped",
    "CommandFailed",
    "ConfigError",
    "ContextError",
    "EngineError",
    "EngineUnreachable",
    "Event",
    "Events",
    "GitError",
    "ImageError",
    "ImagesFailed",
    "NothingPushed",
    "NothingReleased",
    "Outcome",
    "Plan",
    "Project",
    "Record",
    "Refused",
    "RegistryError",
    "Release",
    "Revision",
    "Settings",
    "TinyshipError",
    "collection",
    "ns",
]

_HOMES = {
    "ArtifactError": "tinyship.errors",
    "BudgetExceeded": "tinyship.errors",
    "BuildFailed": "tinyship.errors",
    "Cancellation": "tinyship.running.cancelling",
    "Cancelled": "tinyship.errors",
    "CleanStopped": "tinyship.errors",
    "CommandFailed": "tinyship.errors",
    "ConfigError": "tinyship.errors",
    "ContextError": "tinyship.errors",
    "EngineError": "tinyship.errors",
    "EngineUnreachable": "tinyship.errors",
    "Event": "tinyship.events",
    "Events": "tinyship.events",
    "GitError": "tinyship.errors",
    "ImageError": "tinyship.errors",
    "ImagesFailed": "tinyship.errors",
    "NothingPushed": "tinyship.errors",
    "NothingReleased": "tinyship.errors",
    "Outcome": "tinyship.kept.record",
    "Plan": "tinyship.plan",
    "Project": "tinyship.project",
    "Record": "tinyship.kept.record",
    "Refused": "tinyship.errors",
    "RegistryError": "tinyship.errors",
    "Release": "tinyship.kept.record",
    "Revision": "tinyship.git.revision",
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
