"""What the images of a run see of the engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from docker.errors import NotFound

from tinyship.running.together import Together
from tinyship.settings.schema import Settings
from tinyship.stages.scope import Scope


class Api:
    """An engine that has some images, and counts the questions."""

    def __init__(self) -> None:
        self.has: dict[str, str] = {}
        self.asked = 0

    def inspect_image(self, reference: str) -> dict[str, Any]:
        """The image of a name."""
        self.asked += 1
        if reference not in self.has:
            raise NotFound("no such image")
        return {"Id": self.has[reference], "RepoTags": [reference]}


def test_a_base_that_another_image_pulls(tmp_path: Path) -> None:
    """It is seen once that image is made, and not in the next run; what nobody touched is asked for once."""
    api = Api()
    engine: Any = SimpleNamespace(api=api)
    together = Together()
    api_image, web = (
        Scope(tmp_path, Settings(image=name), together=together, connect=lambda: engine) for name in ("api", "web")
    )
    assert web.image("alpine:3") is None
    assert web.image("alpine:3") is None
    assert api.asked == 1
    api.has["alpine:3"] = "sha256:1"  # the build of the one pulls it
    api_image.forget()
    found = web.image("alpine:3")
    assert found
    assert found.id == "sha256:1"
    assert web.image("alpine:3") is found
    assert api.asked == 2
