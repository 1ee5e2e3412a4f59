"""Looks at the folders of a context ahead of the walk, in a thread, while there is nothing else to do.

A builder needs a while to get ready. What the walk then needs most of its time for, asking the file system about every
entry, is done by then.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from tinyship.context.walk import Filter, in_order

_LONGEST = 1.0  # in seconds: a build that needs no file of a large folder is not to pay for it


class Scout:
    """Knows what is in folders that it has been to.

    Args:
        root: the context's folder.
        filters: each says what is ignored; ignored folders are not looked at.
    """

    def __init__(self, root: Path, *filters: Filter) -> None:
        self._filters = filters
        self._seen: dict[str, list[os.DirEntry[str]]] = {}
        self._gone = False
        self._thread = threading.Thread(target=self._look, args=(str(root),), daemon=True, name="tinyship-scout")

    def start(self) -> None:
        """Begin to look; best when the caller has nothing to do but wait."""
        self._thread.start()

    def take(self, folder: str) -> list[os.DirEntry[str]] | None:
        """What is in a folder, in the order of the walk, once; None where it has not been there, and it goes home."""
        found = self._seen.pop(folder, None)
        self._gone = self._gone or found is None
        return found

    def stop(self) -> None:
        """Look no further, and forget."""
        self._gone = True
        self._seen.clear()

    def _look(self, root: str) -> None:
        todo = [(root, "")]
        end = time.monotonic() + _LONGEST
        while todo and not self._gone and time.monotonic() < end:
            folder, prefix = todo.pop()
            try:
                with os.scandir(folder) as entries:
                    found = in_order(entries)
                for entry in found:
                    entry.stat(follow_symlinks=False)  # which it remembers
            except OSError:
                continue  # the walk comes across it too, and says so
            self._seen[folder] = found
            below = [entry for entry in found if entry.is_dir(follow_symlinks=False)]
            for entry in reversed(below):
                path = prefix + entry.name
                if not any(one.ignores(path) and not one.may_reopen(path) for one in self._filters):
                    todo.append((entry.path, f"{path}/"))
