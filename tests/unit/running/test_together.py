"""What the images of a run share."""

from __future__ import annotations

import threading

import pytest

from tinyship.running.together import Together


def test_once_for_all_threads() -> None:
    """Whoever asks first makes it; those who ask meanwhile get the same."""
    together, made, asked = Together(), [], threading.Barrier(4)

    def make() -> object:
        made.append(object())
        return made[-1]

    found: list[object] = []

    def ask() -> None:
        asked.wait(20)
        found.append(together.once("key", make))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(made) == 1
    assert found == made * 4
    assert together.known("key") is made[0]


def test_a_failure_is_the_same_for_all() -> None:
    """It is not tried again, and it is one object, by which one knows that it is one reason."""
    together = Together()
    count = []

    def make() -> None:
        count.append(1)
        raise OSError("no")

    errors = []
    for _ in range(2):
        with pytest.raises(OSError, match="no") as caught:
            together.once("key", make)
        errors.append(caught.value)
    assert errors[0] is errors[1]
    assert len(count) == 1
    assert together.known("key") is None
    assert together.known("other") is None
