"""The connection to a registry: one serves all questions, and who asks is told no one else."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest
from registries import OCI, Answer, Asked, digest_of, serving

from tinyship.credentials import Credential
from tinyship.errors import RegistryError
from tinyship.registry.client import Repository
from tinyship.registry.retry import Patience

RAW = b"{}"
CAPTAIN = Credential("captain", "s3cret-word", identity_token=False, source="a file")


def answers(asked: Asked) -> Answer:
    """A registry that wants a name and a password, has one manifest, takes another, and deletes nothing."""
    if "Authorization" not in asked.headers:
        return Answer(401, {"WWW-Authenticate": 'Basic realm="test"'}, b'{"errors": []}')
    if asked.method == "GET":
        return Answer(200, {"Content-Type": OCI, "Docker-Content-Digest": digest_of(RAW)}, RAW)
    status = {"HEAD": 404, "PUT": 201, "DELETE": 405}[asked.method]
    return Answer(status, {}, b'{"errors": [{"code": "UNSUPPORTED"}]}')


def test_all_questions_go_over_one_connection() -> None:
    """Whatever they are answered with: with TLS a new one would cost more than the question."""
    with serving(answers) as server, Repository(f"{server.host}/foo", credential=CAPTAIN) as repository:
        for _ in range(3):
            manifest = repository.manifest("1.0")
            assert repository.digest("2.0") is None
            repository.put(manifest, "2.0")
            with pytest.raises(RegistryError, match="does not do this"):
                repository.delete("2.0")
        assert len(server.asked) == 13
        assert server.connections == 1


def test_connection_that_was_closed_meanwhile() -> None:
    """A question meets the end of a connection that was kept: it is asked again at once, and once."""
    asked: list[bytes] = []
    raw = b"HTTP/1.1 404 no\r\nContent-Length: 0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answered in (1, 1):
                peer, _ = server.accept()
                with peer:
                    for _ in range(answered):
                        asked.append(peer.recv(1 << 16))
                        peer.sendall(raw)
                    asked.append(peer.recv(1 << 16))  # and no answer

        threading.Thread(target=serve, daemon=True).start()
        host = f"127.0.0.1:{server.getsockname()[1]}"
        once = Patience(tries=1)
        with Repository(f"{host}/foo", credential=None, patience=once) as repository:
            assert repository.digest("1.0") is None
            assert repository.digest("1.0") is None
            assert len(asked) == 3


def test_several_connections_that_were_closed_meanwhile() -> None:
    """All that were kept end under questions at the same time: each is asked again, without a pause or a notice."""
    kept = 3
    together = threading.Barrier(kept)
    raw = b"HTTP/1.1 404 no\r\nContent-Length: 0\r\n\r\n"
    met: list[bytes] = []
    said: list[str | None] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer(peer: socket.socket, *, ends: bool) -> None:
            with peer, suppress(threading.BrokenBarrierError):
                peer.recv(1 << 16)
                together.wait(3)  # so that each question has a connection of its own
                peer.sendall(raw)
                if ends:
                    met.append(peer.recv(1 << 16))  # and no answer
                    together.wait(3)

        def serve() -> None:
            for number in range(2 * kept):
                peer, _ = server.accept()
                threading.Thread(target=answer, args=(peer,), kwargs={"ends": number < kept}, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        host = f"127.0.0.1:{server.getsockname()[1]}"
        with Repository(f"{host}/foo", credential=None, patience=Patience(tries=1)) as repository:

            def ask() -> None:
                with suppress(RegistryError):
                    said.append(repository.digest("1.0"))

            for _ in range(2):
                asking = [threading.Thread(target=ask) for _ in range(kept)]
                for thread in asking:
                    thread.start()
                for thread in asking:
                    thread.join()
            assert said == [None] * 2 * kept
            assert len([one for one in met if one]) == kept


def test_blob_that_is_not_read_is_not_waited_for() -> None:
    """What is left of a large answer is not read for the sake of a connection."""
    blob = bytes(1 << 20)
    with (
        serving(lambda _: Answer(200, {}, blob)) as server,
        Repository(f"{server.host}/foo", credential=None) as repository,
    ):
        for _ in range(2):
            pieces = repository.blob(digest_of(blob))
            assert next(pieces)
            pieces.close()  # type: ignore[attr-defined]
        assert server.connections == 2


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://registry.example.com/v2/foo/", True),
        ("https://registry.example.com:443/v2/foo/blobs/uploads/1?state=x", True),
        ("https://Registry.Example.COM/", True),
        ("https://registry.example.com", True),
        ("https://registry.example.com:5000/", False),
        ("https://registry.example.com:0/", False),
        ("https://registry.example.com:no/", False),
        ("http://registry.example.com/", False),
        ("http://registry.example.com:443/", False),
        ("https://registry.example.com.other.test/", False),
        ("https://registry.example.com@other.test/", False),
        ("https://other.test/registry.example.com/", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("host", ["registry.example.com", "registry.example.com:443"])
def test_what_is_the_same_registry(host: str, url: str, ours: bool) -> None:
    """A port that goes without saying, and capitals, make no other host."""
    with Repository(f"{host}/foo", credential=None) as repository:
        assert repository.connection.leads_to(url) == ours


def test_upload_to_the_registry_in_other_words() -> None:
    """Where it leads to itself by another spelling, it is told who we are, and can be asked to forget an upload."""

    def guarded(asked: Asked) -> Answer:
        if "Authorization" not in asked.headers:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="test"'})
        if asked.method == "POST":
            return Answer(202, {"Location": f"http://LOCALHOST:{server.host.partition(':')[2]}/v2/foo/blobs/uploads/1"})
        return Answer(204)

    with serving(guarded, name="localhost") as server:
        with Repository(f"{server.host}/foo", credential=CAPTAIN) as repository:
            repository.check_push()
        assert [asked.method for asked in server.asked] == ["POST", "POST", "DELETE"]
