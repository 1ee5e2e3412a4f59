"""Errors: what the user sees is `str(error)`."""

from __future__ import annotations

from tinyship.errors import BuildFailed, ConfigError, Excerpt, TinyshipError


def test_says_where_what_and_how() -> None:
    """Stage and image first, then the cause, the last lines, and the way out."""
    error = BuildFailed("step 3 failed", hint="Fix it.", tail=["a", "b"], stage="build", image="lacion/foo:build")
    assert str(error) == "build lacion/foo:build: step 3 failed\n  | a\n  | b\n  Fix it."


def test_without_a_stage() -> None:
    """An error outside of a stage begins with its cause."""
    assert str(TinyshipError("no")) == "no"


def test_at_fills_in_what_is_missing() -> None:
    """A stage that passes an error on does not overwrite what is known better."""
    error = BuildFailed("no", stage="base").at("release", "lacion/foo")
    assert (error.stage, error.image) == ("base", "lacion/foo")


def test_config_errors_exit_with_2() -> None:
    """Bad config is told apart from failures by its exit code."""
    assert (ConfigError("no").exit_code, TinyshipError("no").exit_code) == (2, 1)


def test_lines_of_the_source() -> None:
    """The lines that an error is about stand behind its cause, numbered and marked; no control code is shown."""
    source = Excerpt("docker/Dockerfile", 9, ("FROM x", "", "RUN \x1b[31mfalse"), (11,))
    error = BuildFailed("no", source=source, tail=["\x1b[1mred\x1b[0m"], hint="Fix it.")
    assert str(error).splitlines() == [
        "no",
        "  docker/Dockerfile:11",
        "     9 |     FROM x",
        "    10 |",
        "    11 | >>> RUN false",
        "  | red",
        "  Fix it.",
    ]
