"""Which of a project's images a name is about."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tinyship.stages.opening import concerned
from tinyship.stages.scope import Scope

IMAGES = ("lacion/api", "lacion/web")


@pytest.mark.parametrize(
    ("names", "about"),
    [
        (("release",), IMAGES),
        (("1.4.0",), IMAGES),
        (("main",), IMAGES),
        (("feature/x",), IMAGES),
        (("1.4.0", "release"), IMAGES),
        (("lacion/web:1.4.0",), ("lacion/web",)),
        (("lacion/web",), ("lacion/web",)),
        (("registry.example.com:5000/lacion/web:1",), ("lacion/web",)),
        (("registry:registry.example.com/lacion/web@sha256:0",), ("lacion/web",)),
        (("1.4.0", "lacion/web:1.5.0"), ("lacion/web",)),
        (("nginx:1",), ("lacion/api",)),
        (("other/nginx:1",), ("lacion/api",)),
        (("./web.tar",), ("lacion/api",)),
        (("web.tar@x",), ("lacion/api",)),
        (("file:web",), ("lacion/api",)),
        (("sha256:0123456789ab",), ("lacion/api",)),
    ],
)
def test_concerned(names: tuple[str, ...], about: tuple[str, ...]) -> None:
    """One image where it is named, the first where all would answer alike, all where each has its own."""
    settings: Any = [SimpleNamespace(image=image) for image in IMAGES]
    scopes = [Scope(Path(), cast(Any, one)) for one in settings]
    assert tuple(scope.settings.image for scope in concerned(scopes, *names)) == about
