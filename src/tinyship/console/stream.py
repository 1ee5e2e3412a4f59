"""Writes to standard output and error: what a stream cannot show is replaced, a reader that left is no error."""

from __future__ import annotations

import os
from typing import IO

from tinyship.errors import TinyshipError


class Stream:
    """A text stream; after its reader left, what is written is dropped, and the work goes on."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self._gone = False

    def write(self, text: str) -> int:
        """Write and flush."""
        if not self._gone:
            encoding = getattr(self.file, "encoding", None) or "utf-8"
            try:
                self.file.write(text.encode(encoding, "replace").decode(encoding))
                self.file.flush()
            except BrokenPipeError:
                self._leave()
            except OSError as error:
                self._leave()
                raise TinyshipError(f"what came of it cannot be written: {error.strerror}") from error
        return len(text)

    def line(self, text: str) -> None:
        """Write one line."""
        self.write(f"{text}\n")

    def flush(self) -> None:
        """Nothing is kept back."""

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self.file.isatty()

    @property
    def encoding(self) -> str:
        """The file's."""
        return getattr(self.file, "encoding", None) or "utf-8"

    def fileno(self) -> int:
        """The file's."""
        return self.file.fileno()

    def _leave(self) -> None:
        self._gone = True
        # Python flushes at its end once more, and would complain.
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), self.file.fileno())
