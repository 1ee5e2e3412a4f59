"""Sees to an engine and a registry: those that are there, or private ones.

python -m tools.provide up        prints the environment for a shell: DOCKER_HOST where the engine is private,
                                  and DEV_REGISTRY, host and port of a registry that takes plain HTTP
python -m tools.provide up --tests    has a browser as well, which only tests need
python -m tools.provide down      stops what ``up`` started
python -m tools.provide status    says what there is
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from tools.engine import PrivateEngine
from tools.locks import alone
from tools.packages import ensure, wish
from tools.registry import PrivateRegistry

STATE = Path(__file__).resolve().parent.parent / ".engine"


def up(state: Path = STATE, *, tests: bool = False) -> dict[str, str]:
    """Have an engine and a registry, and return the environment that leads to them.

    Args:
        state: where private ones keep theirs.
        tests: whether tests are to be run, some of which need a browser.

    Raises:
        SystemExit: there is none, and none can be started; says why and what to do.
    """
    with alone(state / "lock"):
        environment = {}
        private = not reachable()
        ensure("git", "busybox", "docker-registry", "ssh-agent", *(("dockerd", "ip") if private else ()))
        if tests:
            wish("chromium")
        if private:
            engine = PrivateEngine(state)
            engine.up()
            environment["DOCKER_HOST"] = engine.host
        if not os.environ.get("DEV_REGISTRY"):
            registry = PrivateRegistry(state)
            registry.up()
            environment["DEV_REGISTRY"] = registry.host
    return environment


def down(state: Path = STATE) -> tuple[str, ...]:
    """Stop what ``up`` started; returns what that was."""
    with alone(state / "lock"):
        stopped = {"the engine": PrivateEngine(state).down(), "the registry": PrivateRegistry(state).down()}
    return tuple(name for name, ran in stopped.items() if ran)


def reachable() -> bool:
    """Whether docker-py reaches an engine as it is.

    Raises:
        SystemExit: the environment asks for one that does not answer.
    """
    from tinyship.engine.connect import connect
    from tinyship.errors import EngineUnreachable

    try:
        connect().close()
    except EngineUnreachable as error:
        asked = [name for name in ("DOCKER_HOST", "DOCKER_CONTEXT") if os.environ.get(name)]
        if asked:
            raise SystemExit(f"dev: {error}\ndev: without {asked[0]}, a private engine is started") from None
        return False
    return True


def status(state: Path = STATE) -> tuple[str, ...]:
    """What there is, in lines."""
    engine, registry = PrivateEngine(state), PrivateRegistry(state)
    return (
        f"private engine    {engine.host if engine.answers() else 'not running'}",
        f"private registry  {registry.host if registry.answers() else 'not running'}",
        f"state             {state}",
    )


def main() -> None:
    """Do what the command line says."""
    command = sys.argv[1:]
    if command in (["up"], ["up", "--tests"]):
        for name, value in up(tests="--tests" in command).items():
            print(f"export {name}={shlex.quote(value)}")
    elif command == ["down"]:
        stopped = down()
        print(f"stopped {' and '.join(stopped)}" if stopped else "nothing was running")
    elif command == ["status"]:
        print("\n".join(status()))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
