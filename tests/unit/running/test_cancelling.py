"""The word that work is to end."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tinyship.errors import Cancelled, EngineError, TinyshipError
from tinyship.running import cancelling
from tinyship.running.cancelling import Cancellation


def soon(cancellation: Cancellation) -> None:
    """End it from another thread, in a moment."""
    threading.Timer(0.1, cancellation.cancel).start()


def test_nothing_is_begun_after_the_end() -> None:
    """Whoever asks is told so, as often as it was ended."""
    cancellation = Cancellation()
    cancellation.check()
    assert not cancellation.is_set()
    cancellation.cancel()
    cancellation.cancel()
    assert cancellation.is_set()
    with pytest.raises(Cancelled):
        cancellation.check()
    with pytest.raises(Cancelled), cancellation.cutting(lambda: None):
        pytest.fail("it was begun")


def test_waiting_ends() -> None:
    """A pause is over at once."""
    cancellation = Cancellation()
    begun = time.monotonic()
    soon(cancellation)
    with cancelling.under(cancellation), pytest.raises(Cancelled):
        cancelling.sleep(20)
    assert time.monotonic() - begun < 10


def test_a_pause_without_an_end() -> None:
    """It takes as long as it was to."""
    begun = time.monotonic()
    cancelling.sleep(0.05)
    assert time.monotonic() - begun >= 0.05


def test_cutting() -> None:
    """What was to be called is called, and the error of what was cut off is the cause."""
    cancellation, left = Cancellation(), threading.Event()
    soon(cancellation)

    def broken() -> None:
        assert left.wait(20)
        raise EngineError("the connection broke", stage="build", image="a:b")

    with pytest.raises(Cancelled) as caught, cancelling.under(cancellation), cancelling.cutting(left.set):
        broken()
    assert str(caught.value.__cause__) == "build a:b: the connection broke"
    assert (caught.value.stage, caught.value.image) == ("build", "a:b")


def test_what_ends_well_in_the_middle() -> None:
    """A stream that was cut off may look as if it had come to its end."""
    cancellation = Cancellation()
    with pytest.raises(Cancelled), cancellation.cutting(lambda: None):
        cancellation.cancel()


@pytest.mark.parametrize("before", range(0, 24, 3))
def test_a_signal_handler_may_end_it(before: int) -> None:
    """Wherever in a pause it comes, the handler waits for no lock that its own thread holds."""
    script = (
        "import faulthandler, sys, threading\n"
        "faulthandler.dump_traceback_later(15, exit=True)\n"
        "from tinyship.running import cancelling\n"
        "from tinyship.errors import Cancelled\n"
        "cancellation, calls = cancelling.Cancellation(), []\n"
        "def handler(frame, event, argument):\n"
        "    calls.append(event)\n"
        f"    if len(calls) > {before} and not cancellation.is_set():\n"
        "        cancellation.cancel()\n"
        "threading.Timer(1, cancellation.cancel).start()\n"
        "sys.setprofile(handler)\n"
        "try:\n"
        "    cancellation.sleep(60)\n"
        "except Cancelled:\n"
        "    sys.setprofile(None)\n"
        "    print('ended')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout == "ended\n", done.stderr


def test_a_bell() -> None:
    """It wakes all that wait, and whoever comes later does not wait; without it a wait takes as long as it may."""
    bell, woken = cancelling.Bell(), list[bool]()
    assert not bell.wait(0.01)
    threads = [threading.Thread(target=lambda: woken.append(bell.wait(20))) for _ in range(3)]
    for thread in threads:
        thread.start()
    bell.ring()
    bell.ring()
    for thread in threads:
        thread.join(10)
    assert woken == [True] * 3
    assert bell.wait()
    assert bell.was_rung()


def test_confirm() -> None:
    """What was ended on the way is told of at the end; an end that nothing heard comes too late."""
    cancellation = Cancellation()
    cancellation.confirm()
    cancellation.cancel()
    cancellation.confirm()
    with suppress(TinyshipError):  # as who makes do without an answer
        cancellation.check()
    with pytest.raises(Cancelled):
        cancellation.confirm()
    other = Cancellation()
    with suppress(TinyshipError), other.telling():
        other.cancel()
        raise OSError
    with pytest.raises(Cancelled):
        other.confirm()


def test_errors_of_others_stay() -> None:
    """Without an end an error is what it is; what was held is let go of."""
    cancellation, calls = Cancellation(), list[str]()
    with pytest.raises(EngineError), cancellation.cutting(lambda: calls.append("cut")):
        raise EngineError("no")
    cancellation.cancel()
    assert calls == []


def test_one_that_cannot_be_cut_keeps_no_other() -> None:
    """An error of one call is not in the way of the next."""
    cancellation, calls = Cancellation(), list[str]()

    def fails() -> None:
        raise OSError("closed already")

    cancellation.hold(fails)
    cancellation.hold(lambda: calls.append("cut"))
    cancellation.cancel()
    assert calls == ["cut"]
    cancellation.hold(lambda: calls.append("late"))
    assert calls == ["cut", "late"]


def test_threads() -> None:
    """Another thread hears what it was given, and nothing else."""
    cancellation = Cancellation()
    cancellation.cancel()
    heard: list[bool] = []

    def listen() -> None:
        heard.append(cancelling.current().is_set())

    def in_thread(act: Callable[[], None]) -> None:
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()

    with cancelling.under(cancellation):
        in_thread(listen)
        in_thread(cancelling.carried(listen))
        with cancelling.shielded():
            listen()
        listen()
    listen()
    assert heard == [False, True, False, True, False]


def test_abandoned() -> None:
    """What nothing can cut off is left behind, and told when it has come to its end."""
    cancellation, go_on, forgotten = Cancellation(), threading.Event(), threading.Event()
    soon(cancellation)
    with cancelling.under(cancellation), pytest.raises(Cancelled):
        cancelling.abandonable(lambda: go_on.wait(20), forgotten.set)
    assert not forgotten.is_set()
    go_on.set()
    assert forgotten.wait(20)


@pytest.mark.parametrize("cancellation", [None, Cancellation()])
def test_not_abandoned(cancellation: Cancellation | None) -> None:
    """Its result and its error are the caller's."""

    def fails() -> None:
        raise OSError("no")

    with cancelling.under(cancellation or cancelling.current()):
        assert cancelling.abandonable(lambda: 5, lambda: pytest.fail("forgotten")) == 5
        with pytest.raises(OSError, match="no"):
            cancelling.abandonable(fails)


def test_shut() -> None:
    """Whoever reads a connection is woken; one that is closed is none."""
    ours, theirs = socket.socketpair()
    with theirs:
        timer = threading.Timer(0.1, lambda: cancelling.shut(ours))
        timer.start()
        assert ours.recv(1) == b""
        timer.join()
        ours.close()
        cancelling.shut(ours)
        cancelling.shut(None)
