"""Instructions as an image's history has them: as a Dockerfile does, and without the values of build arguments."""

from __future__ import annotations

import time

import pytest

from tinyship.sizes.image import instruction


@pytest.mark.parametrize(
    ("created_by", "shown"),
    [
        ("RUN |1 NPM_TOKEN=s3cret /bin/bash -o pipefail -c npm ci # buildkit", "RUN npm ci"),
        ("|2 A=1 MSG=see /etc/passwd now /bin/sh -c make all", "RUN make all"),
        ("RUN |1 TOKEN=a b c /bin/ash -eo pipefail -c npm ci", "RUN npm ci"),
        ("RUN |1 TOKEN=s3cret go build", "RUN go build"),
        ("RUN |1 TOKEN=s3cret /usr/bin/prog x", "RUN /usr/bin/prog x"),
        ("/bin/bash -o pipefail -c npm ci", "RUN npm ci"),
        ("/bin/sh -c #(nop) COPY file:12 in /a", "COPY file:12 in /a"),
        ("RUN sh -c echo b # buildkit", "RUN sh -c echo b"),
        ("COPY a /bin/sh -c b", "COPY a /bin/sh -c b"),
        ("", ""),
    ],
)
def test_instruction(created_by: str, shown: str) -> None:
    """Whatever the shell is."""
    assert instruction(created_by) == shown


def test_long_histories() -> None:
    """What was made to take time takes none."""
    begun = time.process_time()
    for text in ("/a" * 50_000, "/a " * 50_000, "/sh " * 50_000, " " * 100_000):
        instruction(f"RUN |1 {text}")
    assert time.process_time() - begun < 5
