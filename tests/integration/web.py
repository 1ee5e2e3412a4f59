"""What a server answers that was started a moment ago."""

from __future__ import annotations

import time
import urllib.request


def get(url: str) -> bytes:
    """The body of a page, asked for until there is one."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return bytes(answer.read())
        except OSError:  # refused, reset, or taken by an engine that cannot hand it on yet
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer")
