"""The kinds of engine side by side: started, stopped, and the integration tests run on each.

python -m tools.matrix test [--on NAMES] [--smoke] [-k EXPRESSION]      a name may end in `:smoke`
python -m tools.matrix up NAME      prints the environment for a shell, as tools.provide does
python -m tools.matrix down         stops all of them
python -m tools.matrix list         says which there are
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import suites
from tools.engine import PrivateEngine
from tools.kinds import KINDS, Kind, choose
from tools.locks import alone, together
from tools.packages import ensure, find
from tools.processes import INTERRUPTED, on_this_terminal
from tools.provide import STATE
from tools.registry import PrivateRegistry

AGAIN = ("--reruns", "2", "-raR")
"""A test that fails is run up to twice more, and listed as such. Engines let go of what they hold when they like, on a
loaded machine later than a test can know; what fails three times is broken. Unit tests have no such excuse.
"""
TOGETHER = ("-n", "2", "--dist", "loadfile")
"""Tests share an engine and a registry, and have names of their own there; those of a file may share more. With the
containerd store they come one by one: when one of them removes an image, containerd may take away what a build of
another one is about to use ("not found").
"""
_ROOT = Path(__file__).resolve().parent.parent
_KEPT = "kept"  # in an engine's folder: it was asked for with `up`, and stays


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the tests said on an engine.

    Args:
        engine: the name of its kind.
        version: its own word for it; empty where it did not even start.
        passed: tests.
        failed: tests; those that could not be set up or torn down are among them.
        skipped: tests.
        seconds: with the start and the end of the engine.
        sound: every test passed or was skipped, and there were some.
    """

    engine: str
    version: str
    passed: int
    failed: int
    skipped: int
    seconds: float
    sound: bool


def engine_of(kind: Kind, state: Path = STATE, *, fetch: bool = True) -> PrivateEngine:
    """The private engine of a kind.

    Args:
        fetch: get its programs where they are not there.
    """
    programs = None
    if kind.suite and not _is_installed(kind):
        programs = suites.folder(kind.suite, state) if fetch else state / "suites" / kind.suite
    return PrivateEngine(state / kind.name, kind, programs)


def up(kind: Kind, state: Path = STATE) -> dict[str, str]:
    """Have an engine of this kind, and a registry, until ``down``; returns the environment that leads to them."""
    with used(kind, state) as (engine, registry):
        (engine.state / _KEPT).touch()
    return _environment(engine, registry)


def down(state: Path = STATE) -> tuple[str, ...]:
    """Stop the engines of all kinds; images stay. Returns the names of those that ran."""
    stopped = []
    for kind in KINDS:
        engine = engine_of(kind, state, fetch=False)
        if not engine.state.exists():
            continue
        with alone(engine.state / "lock"):
            (engine.state / _KEPT).unlink(missing_ok=True)
            if engine.down():
                stopped.append(kind.name)
    return tuple(stopped)


def status(state: Path = STATE) -> tuple[str, ...]:
    """The kinds that there are, in lines: name, where it is from, whether it runs."""
    lines = []
    for kind in KINDS:
        engine = engine_of(kind, state, fetch=False)
        source = "installed"
        if engine.programs:
            source = f"Debian {kind.suite}: {suites.version(kind.suite, state) or 'not fetched'}"
        running = f"{engine.version()}, {engine.host}" if engine.answers() else "not running"
        lines.append(f"{kind.name:16} {source:44} {running}")
    return tuple(lines)


def run_tests(kinds: Sequence[tuple[Kind, bool]], *, expression: str, state: Path = STATE) -> Sequence[Outcome]:
    """Run the integration tests on an engine of each kind, one after the other.

    Args:
        kinds: each with whether the smoke set is enough.
        expression: of pytest's; only the tests that it selects are run.
    """
    outcomes = []
    for number, (kind, smoke) in enumerate(kinds, 1):
        begun = time.monotonic()
        which = f"{number} of {len(kinds)}: {kind.name}"
        print(f"dev: {which}{', smoke set' if smoke else ''}", file=sys.stderr, flush=True)
        try:
            with used(kind, state) as (engine, registry):
                version = engine.version()
                counts = _pytest(
                    _environment(engine, registry),
                    smoke=smoke,
                    expression=expression,
                    together=not smoke and kind.store != "containerd",
                )
        except SystemExit as error:  # it did not start, or not stop; the others have their turn
            print(error, file=sys.stderr, flush=True)
            version, counts = "", (0, 1, 0)
        passed, failed, skipped = counts
        # An engine on which nothing ran proves nothing, but where the tests asked for are for others.
        sound = not failed and (passed > 0 or bool(expression and skipped))
        outcomes.append(Outcome(kind.name, version, passed, failed, skipped, time.monotonic() - begun, sound))
    return outcomes


def table(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """The outcomes in lines, and a last one like pytest's."""
    rows = [("engine", "version", "passed", "failed", "skipped", "seconds")]
    rows += [
        (it.engine, it.version or "-", str(it.passed), str(it.failed), str(it.skipped), f"{it.seconds:.0f}")
        for it in outcomes
    ]
    lines = [f"{a:16} {b:10} {c:>7} {d:>7} {e:>8} {f:>8}" for a, b, c, d, e, f in rows]
    sums = {word: sum(getattr(it, word) for it in outcomes) for word in ("failed", "passed", "skipped")}
    said = ", ".join(f"{number} {word}" for word, number in sums.items() if number) or "no tests ran"
    return (*lines, f"{said} in {sum(it.seconds for it in outcomes):.2f}s")


@contextmanager
def used(kind: Kind, state: Path = STATE) -> Iterator[tuple[PrivateEngine, PrivateRegistry]]:
    """An engine that runs, with the registry; stopped by the last of those who use it, unless ``up`` asked for it."""
    with alone(state / "lock"):
        ensure("git", "busybox", "docker-registry")
        registry = PrivateRegistry(state)
        registry.up()
    with together(state / kind.name / "users") as is_last:
        engine = engine_of(kind, state)
        with alone(engine.state / "lock"):
            engine.up()
        try:
            yield engine, registry
        finally:
            _leave(engine, is_last)


def _leave(engine: PrivateEngine, is_last: Callable[[], bool]) -> None:
    if not (engine.state / _KEPT).exists() and is_last():
        with alone(engine.state / "lock"):
            engine.down()


def _environment(engine: PrivateEngine, registry: PrivateRegistry) -> dict[str, str]:
    return {"DOCKER_HOST": engine.host, "DEV_REGISTRY": registry.host}


def _is_installed(kind: Kind) -> bool:
    """Whether the machine's own engine is of this kind, or will be: Debian's package, and of that suite."""
    if kind.suite != suites.own():
        return False
    if not find("dockerd"):
        return True
    asked = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", "docker.io"]
    return subprocess.run(asked, capture_output=True, text=True).stdout == "installed"


def _pytest(environment: dict[str, str], *, smoke: bool, expression: str, together: bool) -> tuple[int, int, int]:
    """Run pytest on this terminal; returns the numbers of tests that passed, failed, and were skipped."""
    marks = "engine and smoke" if smoke else "engine and not slow"
    with tempfile.TemporaryDirectory(prefix="tinyship-") as folder:
        report = Path(folder) / "report.xml"
        words = [sys.executable, "-m", "pytest", "-q", "-m", marks, *(["-k", expression] if expression else [])]
        dropped = {"DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"}
        variables = {name: value for name, value in os.environ.items() if name not in dropped}
        # In CI what is missing is a failure: here all of it was seen to.
        environment = {**variables, **environment, "CI": "1"}
        # Those of the set-up make engines of their own, whatever this one is.
        words += [f"--junit-xml={report}", "--ignore=tests/integration/test_setup.py", "tests/integration"]
        words += [*AGAIN, *(TOGETHER if together else ())]
        code = on_this_terminal(words, cwd=_ROOT, environment=environment)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        try:
            suite = ElementTree.parse(report).getroot()[0].attrib  # noqa: S314
        except (OSError, ElementTree.ParseError, IndexError):
            return 0, 1, 0
    failed, skipped = int(suite["failures"]) + int(suite["errors"]), int(suite["skipped"])
    passed = int(suite["tests"]) - failed - skipped
    # A crash of pytest itself is in no report.
    return passed, failed or int(code not in {0, 5}), skipped


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tools.matrix")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("test")
    run.add_argument("--on", default="all")
    run.add_argument("--smoke", action="store_true")
    run.add_argument("-k", dest="expression", default="")
    commands.add_parser("up").add_argument("name", choices=[kind.name for kind in KINDS])
    commands.add_parser("down")
    commands.add_parser("list")
    asked = parser.parse_args()
    if asked.command == "test":
        outcomes = run_tests(choose(asked.on, smoke=asked.smoke), expression=asked.expression)
        print("\n".join(table(outcomes)))
        sys.exit(0 if all(it.sound for it in outcomes) else 1)
    if asked.command == "up":
        ((kind, _),) = choose(asked.name)
        for name, value in up(kind).items():
            print(f"export {name}={shlex.quote(value)}")
    elif asked.command == "down":
        stopped = down()
        print(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")
    else:
        print("\n".join(status()))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
