"""A released project before a registry that fails, and what must hold whatever happens to its push."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import requests
from faulty_registry import FaultyRegistry
from ships import Ran, Ship

_BULK = 300_000
KINDS = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    )
)


def copied(ship: Ship, at: Path) -> Ship:
    """The same project in another folder, with an environment of its own."""
    shutil.copytree(ship.root, at, symlinks=True)
    return replace(ship, root=at, environment=dict(ship.environment))


@dataclass
class Pushing:
    """A project that is released and not pushed, and the way to its registry.

    Args:
        ship: the project.
        proxy: that it pushes to.
        backend: host and port of the registry behind that.
        auth: what requests show the registry: name and password, or what puts a token into them.
    """

    ship: Ship
    proxy: FaultyRegistry
    backend: str
    auth: Any = None

    def push(self, *words: str, code: int | None = 0, **variables: str) -> Ran:
        """Run `invoke push`."""
        return self.ship.invoke("push", *words, code=code, TINYSHIP_PUSH_TO=self.proxy.host, **variables)

    def clone(self, at: Path) -> Pushing:
        """The same project in another folder."""
        return replace(self, ship=copied(self.ship, at))

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """`invoke push` in a group of its own, which is dead at the end."""
        process = subprocess.Popen(
            [sys.executable, "-m", "invoke", "push", *words],
            cwd=self.ship.root,
            env={**self.ship.environment, "TINYSHIP_PUSH_TO": self.proxy.host},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout:
                process.stdout.close()

    def tags(self) -> dict[str, str]:
        """What each tag names in the registry."""
        found = self._get("tags/list")
        if found.status_code == 404:
            return {}
        names = found.json()["tags"] or ()
        return {name: self._get(f"manifests/{name}", "HEAD").headers["Docker-Content-Digest"] for name in names}

    def config(self, digest: str) -> str:
        """The config's digest of a whole image; all of its blobs are looked at.

        Raises:
            AssertionError: it is not whole.
        """
        manifest = self._get(f"manifests/{digest}")
        assert manifest.status_code == 200, f"{digest} is named, and is not there"
        assert f"sha256:{hashlib.sha256(manifest.content).hexdigest()}" == digest
        document = manifest.json()
        if "manifests" in document:
            for entry in document["manifests"]:
                self.config(entry["digest"])
            return ""
        for blob in (document["config"], *document["layers"]):
            found = self._get(f"blobs/{blob['digest']}", "HEAD")
            assert found.status_code == 200, f"a blob of {digest} is missing"
            assert int(found.headers["Content-Length"]) == blob["size"]
        return str(document["config"]["digest"])

    def is_mine(self, digest: str) -> bool:
        """Whether a digest in the registry is the release of this project."""
        return self.ship.record["id"] in {self.config(digest), digest}

    def settled(self) -> None:
        """Wait until no request comes any more: an engine goes on for a moment when its client is gone."""
        before = -1
        while (now := len(self.proxy.seen)) != before:
            before = now
            time.sleep(0.2)

    def holds(self, *, others: tuple[str, ...] = ()) -> dict[str, str]:
        """See that no tag names a part of an image or another's, and that the record is true; returns the tags.

        Args:
            others: tags that another release has by right.
        """
        self.settled()
        tags = self.tags()
        for tag, digest in tags.items():
            mine = self.is_mine(digest)
            assert mine or tag in others, f"{tag} names another image"
        for pushed in self.ship.record["pushed"]:
            repository, _, tag = pushed["reference"].rpartition(":")
            assert repository == f"{self.proxy.host}/{self.ship.image}"
            assert tags.get(tag) == pushed["digest"], f"the record says of {tag} what is not so"
        return tags

    def completes(self) -> str:
        """See that the push, run again with nothing wrong, does all that is left; returns the digest of all tags."""
        self.holds()
        self.proxy.heal()
        self.push()
        tags = self.holds()
        assert set(tags) == {"1.0.0", self.ship.record["commit"], "latest"}
        (digest,) = set(tags.values())
        assert len(self.ship.record["pushed"]) == 3
        return digest

    def _get(self, path: str, method: str = "GET") -> requests.Response:
        url = f"http://{self.backend}/v2/{self.ship.image}/{path}"
        options: dict[str, Any] = {"headers": {"Accept": KINDS}, "auth": self.auth, "timeout": 20}
        return requests.request(method, url, **options)


def bulk(ship: Ship, word: str, *, version: str = "1.0.0") -> None:
    """Give a project's image a layer that is the word's own and does not compress, and its commit this only version."""
    file = ship.root / "bulk"
    file.write_bytes(b"".join(hashlib.sha256(f"{word} {n}".encode()).digest() for n in range(_BULK // 32)))
    dockerfile = (ship.root / "Dockerfile").read_text().replace("COPY bulk /\n", "")
    (ship.root / "Dockerfile").write_text(f"{dockerfile}COPY bulk /\n")
    ship.commit(word)
    ship.git("tag", "-d", *ship.git("tag").split())
    ship.git("tag", f"v{version}")
