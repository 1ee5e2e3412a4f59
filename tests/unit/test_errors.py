"""Errors: what the user sees is `str(error)`."""

from __future__ import annotations

from tinyship.errors import BuildFailed, ConfigError, TinyshipError


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
