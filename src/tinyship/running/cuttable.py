"""Sessions of requests whose connections a cancellation cuts off, whatever is waited for on them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, ref

from tinyship.running import cancelling

_one = threading.Lock()
_mine = threading.local()


def opened() -> int:
    """How many connections this thread has opened: whether a request went over one that was kept."""
    return getattr(_mine, "opened", 0)


def make(session: Any) -> None:
    """Let a cancellation end the requests of a session, each that of the thread that asks."""
    for adapter in session.adapters.values():
        for name in ("get_connection", "get_connection_with_tls_context"):  # requests before 2.32.2 has only the first
            if found := getattr(adapter, name, None):
                setattr(adapter, name, _from(found))


def _from(found: Callable[..., Any]) -> Callable[..., Any]:
    def connections(*args: Any, **more: Any) -> Any:
        pool = found(*args, **more)
        with _one:  # a pool is that of several threads
            if "_get_conn" not in vars(pool):
                _watch(pool)
        return pool

    return connections


def _watch(pool: Any) -> None:
    """Have each connection of urllib3's pool cut off, from when it is taken until it is put back."""
    take, put, make_one = pool._get_conn, pool._put_conn, pool._new_conn
    held: WeakKeyDictionary[Any, Callable[[], None]] = WeakKeyDictionary()

    def taken(timeout: float | None = None) -> Any:
        cancelling.check()
        connection = take(timeout)
        held[connection] = cancelling.hold(_cut(connection))
        return connection

    def put_back(connection: Any) -> None:
        if release := held.pop(connection, None) if connection is not None else None:
            release()
        put(connection)

    def made() -> Any:
        connection = make_one()
        _watch_connect(connection)
        return connection

    pool._get_conn, pool._put_conn, pool._new_conn = taken, put_back, made


def _watch_connect(connection: Any) -> None:
    """Let a new connection keep its socket, which is the answer's alone later, and be no longer waited for."""
    connect, weakly = type(connection).connect, ref(connection)

    def connected() -> None:
        one: Any = weakly()
        _mine.opened = opened() + 1
        if hasattr(one, "unix_socket"):
            connect(one)
        else:
            cancelling.abandonable(lambda: connect(one), one.close)
        one.tinyship_socket = one.sock
        cancelling.check()

    connection.connect = connected


def _cut(connection: Any) -> Callable[[], None]:
    weakly = ref(connection)

    def cut() -> None:
        if one := weakly():
            cancelling.shut(getattr(one, "tinyship_socket", None) or one.sock)

    return cut
