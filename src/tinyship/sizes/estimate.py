"""What a layer would take in a registry, before any push: compressed as engines do it, counted and thrown away.

Engines compress with Go's gzip and with zstd, both at their default levels; other implementations of the same levels
come out within about one percent, so these are estimates.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

GZIP_LEVEL = 6
ZSTD_LEVEL = 3


class Estimate:
    """Counts what the bytes that pass would be, compressed; beside the reading, for both take longer than it."""

    def __init__(self) -> None:
        import zstandard

        self._gzip = zlib.compressobj(GZIP_LEVEL, wbits=31)
        self._zstd = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compressobj()
        self.gzip = 0
        self.zstd = 0

    def through(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces as they are; at their end ``gzip`` and ``zstd`` are the bytes that they would be."""
        # A worker each, because one compressor takes its pieces in order.
        with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
            last: tuple[Future[None], ...] = ()
            for piece in pieces:
                before, last = last, (first.submit(self._add_gzip, piece), second.submit(self._add_zstd, piece))
                for one in before:
                    one.result()
                yield piece
            for one in last:
                one.result()
        self.gzip += len(self._gzip.flush())
        self.zstd += len(self._zstd.flush())

    def _add_gzip(self, piece: bytes) -> None:
        self.gzip += len(self._gzip.compress(piece))

    def _add_zstd(self, piece: bytes) -> None:
        self.zstd += len(self._zstd.compress(piece))
