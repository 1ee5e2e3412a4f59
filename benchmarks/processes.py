"""Whole processes, measured in interleaved pairs: ours, the peer's, ours, the peer's."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """One process.

    Args:
        seconds: from its start to its end.
        memory: its peak, or that of the largest process that it started, in MB.
    """

    seconds: float
    memory: float


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end.

    Raises:
        SystemExit: it failed; shows what it wrote.
    """
    with tempfile.TemporaryFile("w+") as said:
        begun = time.monotonic()
        process = subprocess.Popen(command, stdout=said, stderr=said, env={**os.environ, **(environment or {})})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{said.read()}exit code {process.returncode} of {command[0]}")
    return Run(seconds, usage.ru_maxrss / 1000)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides, side by side.

    Args:
        ours: the runs of the one.
        peer: the runs of the other, in the same order.
    """

    ours: tuple[Run, ...]
    peer: tuple[Run, ...]

    @property
    def ratios(self) -> tuple[float, float, float]:
        """The least, the median and the greatest ratio of a pair's times."""
        ratios = [ours.seconds / peer.seconds for ours, peer in zip(self.ours, self.peer, strict=True)]
        return min(ratios), statistics.median(ratios), max(ratios)


def compare(ours: Callable[[], Run], peer: Callable[[], Run], pairs: int) -> Comparison:
    """Run both by turns; each comes first in every other pair."""
    found: list[tuple[Run, Run]] = []
    for number in range(pairs):
        if number % 2:
            second = peer()
            found.append((ours(), second))
        else:
            first = ours()
            found.append((first, peer()))
    return Comparison(tuple(pair[0] for pair in found), tuple(pair[1] for pair in found))


def median(runs: Sequence[Run]) -> float:
    """The median of their seconds."""
    return statistics.median(run.seconds for run in runs)


def peak(runs: Sequence[Run]) -> float:
    """The greatest of their peaks, in MB."""
    return max(run.memory for run in runs)
