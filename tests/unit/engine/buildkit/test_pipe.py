"""The pipes to BuildKit: an end that comes while one is opened."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tinyship.engine.buildkit import pipe, tls
from tinyship.engine.request import Tls
from tinyship.errors import Cancelled
from tinyship.running import cancelling
from tinyship.running.cancelling import Cancellation


@contextmanager
def ended_soon() -> Iterator[None]:
    """What runs in the block is ended in a moment, and has to say so soon."""
    cancellation = Cancellation()
    timer = threading.Timer(0.2, cancellation.cancel)
    timer.start()
    begun = time.monotonic()
    with cancelling.under(cancellation), pytest.raises(Cancelled):
        yield
    assert time.monotonic() - begun < 10


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """Host and port of somebody who takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


@pytest.mark.timeout(60)
def test_an_engine_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a session ends, whatever the engine waits for."""
    ours, theirs = socket.socketpair()
    engine: Any = None
    monkeypatch.setattr(pipe, "connection", lambda engine: ours)
    with theirs, ended_soon():
        pipe.through(engine)("/session")


@pytest.mark.timeout(60)
def test_an_engine_behind_tls_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Likewise where the connection is one of TLS."""
    authority = trustme.CA()
    theirs, ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(theirs)
    authority.configure_trust(ours)
    near, far = socket.socketpair()
    other = threading.Thread(target=lambda: kept.append(theirs.wrap_socket(far, server_side=True)))
    kept: list[ssl.SSLSocket] = []
    other.start()
    secure = tls.TlsSocket(ours.wrap_socket(near, server_hostname="localhost"))
    other.join(20)
    engine: Any = None
    monkeypatch.setattr(pipe, "connection", lambda engine: secure)
    with ended_soon():
        pipe.through(engine)("/session")
    kept[0].close()


@pytest.mark.timeout(60)
def test_a_daemon_that_does_not_answer(silent: tuple[str, int]) -> None:
    """A buildkitd that takes the connection, and never begins with TLS."""
    with ended_soon():
        pipe.connect_tcp(*silent, Tls(ca=None, cert=None, key=None))
