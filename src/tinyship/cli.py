"""The program ``tinyship``: the tasks without a tasks.py, for whoever needs none of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.program import Program

from tinyship import __version__

INTERRUPTED = 130


class ShipProgram(Program):
    """Invoke's program with our tasks, in the project around the current folder.

    Invoke reads a project's config only beside a tasks.py that it found; here it is read where it is found.
    """

    def parse_collection(self) -> None:
        """Find the project, and read its config, before the rest of the command line is read."""
        from tinyship.errors import ConfigError
        from tinyship.settings import invoke_config

        if folder := invoke_config.find_config(Path.cwd()):
            try:
                invoke_config.load_files(self.config, folder)
            except ConfigError as error:
                raise Exit(f"error: {error}", code=error.exit_code) from None
        super().parse_collection()

    def execute(self) -> None:
        """Run the tasks; one that is interrupted before it has begun ends as one that has."""
        try:
            super().execute()
        except KeyboardInterrupt:
            raise Exit("interrupted", code=INTERRUPTED) from None


def program() -> ShipProgram:
    """The program, to be run with a command line."""
    return ShipProgram(
        version=__version__, namespace=_namespace(), name="tinyship", binary="tinyship", binary_names=["tinyship"]
    )


def main() -> None:
    """Run the program with this process's command line; a reader that leaves, like ``head``, is no error."""
    try:
        program().run()
        sys.stdout.flush()
    except BrokenPipeError:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123  Python flushes at its end once more
            os.dup2(nothing.fileno(), sys.stdout.fileno())


def _namespace() -> Collection:
    from tinyship.tasks import mount

    return mount.program()
