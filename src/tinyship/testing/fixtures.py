"""The engine namespace and the registry as fixtures of pytest: ``pytest_plugins = ["tinyship.testing.fixtures"]``.

Where this machine has no engine, or no registry to start, a test that wants one is skipped, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tinyship import testing


@pytest.fixture
def tinyship_namespace() -> Iterator[str]:
    """The first part of names for images; what is called so goes at the end of the test."""
    from tinyship.engine.connect import connect
    from tinyship.errors import EngineUnreachable

    try:
        engine = connect()
    except EngineUnreachable as error:
        pytest.skip(str(error))
    try:
        with testing.namespace(engine) as name:
            yield name
    finally:
        engine.close()


@pytest.fixture
def tinyship_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Host and port of an empty registry, which ends with the test."""
    if not testing.registry_program():
        pytest.skip("there is no `docker-registry` on PATH: `apt-get install docker-registry` has it")
    folder: Path = tmp_path_factory.mktemp("registry")
    with testing.registry(folder) as host:
        yield host
