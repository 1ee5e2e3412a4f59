"""``python -m tinyship.sizes IMAGE``: the account of an archive or a layout as JSON, without config or engine."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tinyship.errors import ImageError
from tinyship.sizes import account, archive, explain, layout
from tinyship.sizes.account import Account

_USAGE = """\
usage: python -m tinyship.sizes IMAGE [NAME]

IMAGE is what `docker save`, `podman save` or BuildKit wrote (a file, or the folder of an OCI layout), or - for standard
input. NAME chooses one of several images. Writes one JSON object: bytes held, live and dead, of each layer and in all,
the largest files, the largest dead ones.
"""
_TOP = 20


def main(words: list[str]) -> int:
    """Read the image that the words name, and write what is in it."""
    if not 1 <= len(words) <= 2 or words[0] in {"-h", "--help"}:
        sys.stderr.write(_USAGE)
        return 0 if "-h" in words or "--help" in words else 2
    try:
        json.dump(_data(_read(words[0], words[1] if len(words) > 1 else "")), sys.stdout)
        sys.stdout.write("\n")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except ImageError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    return 0


def _read(named: str, wanted: str) -> Account:
    path = Path(named)
    if named == "-":
        pieces = iter(lambda: sys.stdin.buffer.read(1 << 20), b"")
        return account.take(archive.read(pieces, "standard input", wanted=wanted))
    if path.is_dir():
        return account.take(layout.read(path, wanted=wanted))
    return account.take(archive.read(layout.pieces(path), named, wanted=wanted))


def _data(found: Account) -> dict[str, Any]:
    return {
        "image": found.image.name,
        "id": found.image.id,
        "platform": found.image.platform,
        "unpacked": found.unpacked,
        "dead": found.dead_bytes,
        "layers": [asdict(step) for step in explain.steps(found)],
        "files": [{"path": file.path, "size": file.size} for file in explain.largest_files(found, _TOP)],
        "hidden": [one._asdict() for one in explain.largest_dead(found, _TOP)],
        "notices": found.notices,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
