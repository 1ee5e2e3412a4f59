"""What is told of a removal whose answer goes astray: fakes for what a real engine does now and then."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import requests
from docker.errors import APIError, NotFound

from tinyship.engine import removal
from tinyship.errors import EngineError

ID = "sha256:1"


class Engine:
    """One with containerd's store, or a graph driver, and one image; it answers a removal as it is told to."""

    is_podman = False

    def __init__(self, answer: Exception, *, goes: bool, containerd: bool = True) -> None:
        self.containerd_store = containerd
        self.api = SimpleNamespace(inspect_image=self.inspect_image, remove_image=self.remove_image)
        self.there = True
        self._answer, self._goes = answer, goes

    def inspect_image(self, reference: str) -> dict[str, Any]:
        """The image, by its id or its name."""
        if not self.there or reference not in {ID, "foo:1"}:
            raise NotFound("no such image")
        return {"Id": ID, "RepoTags": ["foo:1"]}

    def remove_image(self, reference: str) -> None:
        """Whether the image goes or not, this is the answer."""
        self.there = not self._goes
        raise self._answer


def removed(engine: Any) -> tuple[str, list[tuple[str, bool]]]:
    """What comes of a removal, and what is told of it."""
    told: list[tuple[str, bool]] = []
    return removal.remove(engine, ID, ["foo:1"], lambda name, gone: told.append((name, gone))), told


def failed(words: str) -> APIError:
    """A fault of the engine's own."""
    response = requests.Response()
    response.status_code = 500
    return APIError(words, response=response, explanation=words)


@pytest.mark.parametrize("answer", [NotFound("content digest: not found"), failed("content digest: not found")])
def test_containerd_misses_what_it_took_away(answer: APIError) -> None:
    """It was there, it is gone, and the answer is an error: it is told of."""
    assert removed(Engine(answer, goes=True)) == ("", [("foo:1", True)])


def test_an_error_of_what_is_still_there() -> None:
    """Nothing is told of what did not go."""
    with pytest.raises(EngineError, match="disk full"):
        removed(Engine(failed("disk full"), goes=False))
    assert removed(Engine(NotFound("not found"), goes=False)) == ("the engine did not find it", [])


def test_what_was_gone_before() -> None:
    """A graph driver's engine has not been asked whether it is there: nobody knows who removed it."""
    assert removed(Engine(NotFound("no such image"), goes=True, containerd=False)) == ("", [])
