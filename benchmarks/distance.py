"""A registry that is as far away as registries are: a proxy on this machine that lets bytes take their time.

Half of the round trip passes in each direction, and a whole one before a new connection carries anything, as TCP's
handshake takes it. Bandwidth is left as it is, and so is the way of whoever asks: the address is one of this machine.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress

_PIECE = 1 << 16


class _Proxy:
    """Passes connections on to ``host:port``, late by so many seconds."""

    def __init__(self, to: str, seconds: float) -> None:
        host, _, port = to.rpartition(":")
        self._to = host, int(port)
        self._seconds = seconds

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, in both directions, until both have ended."""
        there_reader, there_writer = await asyncio.open_connection(*self._to)
        with suppress(asyncio.CancelledError):  # the end of all
            await asyncio.gather(
                self._pass_on(reader, there_writer, first=self._seconds), self._pass_on(there_reader, writer)
            )

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, first: float = 0.0) -> None:
        """Pass on what comes, each piece half a round trip after it came, however many are on their way."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        clock = asyncio.get_running_loop().time
        opened = clock() + first

        async def arrive() -> None:
            piece = b"."
            while piece:
                at, piece = await under_way.get()
                await asyncio.sleep(max(0.0, at - clock()))
                target.write(piece)
                await target.drain()
            target.close()

        arriving = asyncio.create_task(arrive())
        with suppress(OSError):
            piece = b"."
            while piece:
                piece = await source.read(_PIECE)
                under_way.put_nowait((max(opened, clock()) + self._seconds / 2, piece))
            await arriving
        arriving.cancel()


@contextmanager
def away(host: str, seconds: float) -> Iterator[str]:
    """The address, ``host:port``, at which a server of this machine is so many seconds away, there and back."""
    if not seconds:
        yield host
        return
    loop = asyncio.new_event_loop()
    listening: Future[int] = Future()
    ended = asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(_Proxy(host, seconds).serve, "127.0.0.1", 0)
        async with server:
            listening.set_result(server.sockets[0].getsockname()[1])
            await ended.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())  # and end all that is under way

    thread = threading.Thread(target=run, daemon=True, name="distance")
    thread.start()
    try:
        yield f"127.0.0.1:{listening.result(timeout=10)}"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
