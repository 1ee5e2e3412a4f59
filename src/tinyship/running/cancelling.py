"""The word that work is to end: said in any thread, and heard wherever work takes long."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from tinyship.errors import Cancelled

_T = TypeVar("_T")
_P = ParamSpec("_P")


class Bell:
    """What threads wait for, and a signal handler may ring.

    That of ``threading`` may be in the midst of its own lock when a handler comes, which would wait for it for ever.
    """

    def __init__(self) -> None:
        self._was_rung = False
        self._waiting: set[Any] = set()

    def ring(self) -> None:
        """Wake all that wait, and let nobody wait any more."""
        self._was_rung = True
        for one in tuple(self._waiting):
            with suppress(RuntimeError):  # it is awake already
                one.release()

    def was_rung(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self._was_rung

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for it, at most so long; returns whether it was rung."""
        mine = threading.Lock()
        mine.acquire()
        self._waiting.add(mine)
        try:
            if not self._was_rung:  # who rings now knows of this one
                mine.acquire(timeout=-1 if seconds is None else max(0.0, min(seconds, threading.TIMEOUT_MAX)))
        finally:
            self._waiting.discard(mine)
        return self._was_rung


class Cancellation:
    """Ends what a project does when another thread says so; given to ``Project.load``.

    What runs when ``cancel`` is called clears up as it does after Ctrl-C, and raises ``Cancelled``. What is begun with
    it later raises that at once: whoever wants to go on loads the project again, with a new one.
    """

    is_programs = False
    """A program may call for the end at any moment, and not only Ctrl-C or the failure of another image."""

    def __init__(self) -> None:
        self._said = Bell()
        self._was_heard = False
        self._cuts: dict[object, Callable[[], None]] = {}

    def cancel(self) -> None:
        """End it. May be called from any thread, by a signal handler, and more than once; does not wait for the end."""
        self._said.ring()
        for cut in tuple(self._cuts.values()):
            _do(cut)

    def is_set(self) -> bool:
        """Whether ``cancel`` was called."""
        return self._said.was_rung()

    def check(self) -> None:
        """Raise Cancelled where ``cancel`` was called."""
        if self._said.was_rung():
            self._was_heard = True
            raise Cancelled("it was ended before it came to an end")

    def confirm(self) -> None:
        """Raise Cancelled where anything was ended, also where what it is a part of made do without it."""
        if self._was_heard:
            self.check()

    def sleep(self, seconds: float) -> None:
        """Wait.

        Raises:
            Cancelled: it was ended meanwhile.
        """
        self._said.wait(seconds)
        self.check()

    def hold(self, cut: Callable[[], None]) -> Callable[[], None]:
        """Have something called at the end, at once where that has come.

        Args:
            cut: is called by the thread that ends it, maybe in a signal handler, and must not wait for anything.

        Returns:
            lets go of it.
        """
        key = object()
        self._cuts[key] = cut
        if self.is_set():  # else whoever ends it from now on finds it
            _do(cut)

        def release() -> None:
            self._cuts.pop(key, None)

        return release

    @contextmanager
    def cutting(self, cut: Callable[[], None]) -> Iterator[None]:
        """Have something called that makes a block end, as for ``hold``.

        Raises:
            Cancelled: it was ended before the block did, whatever that raised.
        """
        self.check()
        release = self.hold(cut)
        try:
            with self.telling():
                yield
        finally:
            release()
        self.check()

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Let what fails because it was ended say so.

        Raises:
            Cancelled: it was ended, and then the block failed; the error is its cause.
        """
        try:
            yield
        except Exception as error:
            if isinstance(error, Cancelled) or not self.is_set():
                raise
            self._was_heard = True
            stage, image = getattr(error, "stage", ""), getattr(error, "image", "")
            raise Cancelled("it was ended before it came to an end", stage=stage, image=image) from error


_NEVER = Cancellation()
_current: ContextVar[Cancellation] = ContextVar("cancellation", default=_NEVER)


def current() -> Cancellation:
    """What work in this thread hears; one that never comes where nothing was said of that."""
    return _current.get()


def check() -> None:
    """See ``Cancellation.check``."""
    current().check()


def sleep(seconds: float) -> None:
    """See ``Cancellation.sleep``."""
    current().sleep(seconds)


def hold(cut: Callable[[], None]) -> Callable[[], None]:
    """See ``Cancellation.hold``."""
    return current().hold(cut)


def cutting(cut: Callable[[], None]) -> AbstractContextManager[None]:
    """See ``Cancellation.cutting``."""
    return current().cutting(cut)


@contextmanager
def under(cancellation: Cancellation) -> Iterator[None]:
    """Let work in this thread hear a cancellation, while a block runs."""
    token = _current.set(cancellation)
    try:
        yield
    finally:
        _current.reset(token)


def shielded() -> AbstractContextManager[None]:
    """Let a block that clears up come to its end, whatever was said."""
    return under(_NEVER)


def carried(act: Callable[_P, _T]) -> Callable[_P, _T]:
    """The same function for another thread, where it hears what this one does."""
    cancellation = current()

    def elsewhere(*args: _P.args, **more: _P.kwargs) -> _T:
        with under(cancellation):
            return act(*args, **more)

    return elsewhere


def abandonable(act: Callable[[], _T], forget: Callable[[], None] = lambda: None) -> _T:
    """What a function returns that nothing can cut off; at the end it is left to a thread of its own.

    Args:
        act: the function.
        forget: is called when it has come to its end and nobody waits for it any more.

    Raises:
        Cancelled: the end came first.
    """
    cancellation, done = current(), Bell()
    if cancellation is _NEVER:
        return act()
    made: list[_T] = []
    errors: list[BaseException] = []

    def go() -> None:
        try:
            made.append(act())
        except BaseException as error:
            errors.append(error)
        done.ring()
        if cancellation.is_set():
            _do(forget)

    threading.Thread(target=go, daemon=True, name="tinyship-abandonable").start()
    with cancellation.cutting(done.ring):
        done.wait()
    for error in errors:
        raise error
    return made[0]


def shut(connection: Any) -> None:
    """End a connection that another thread reads or writes, which wakes that one."""
    with suppress(OSError, AttributeError, ValueError):
        if isinstance(connection, socket.socket):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # without TLS's own, which is not for two threads
        else:
            connection.shutdown(socket.SHUT_RDWR)


def _do(cut: Callable[[], None]) -> None:
    with suppress(Exception):  # what was to be cut off is at its end already
        cut()
