"""File names as people see them."""

from __future__ import annotations

import pytest

from tinyship.context.names import shown


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a/b c", "a/b c"), ("a\nb", r"a\nb"), ("a\x1b[31m", r"a\x1b[31m"), ("caf\udce9", r"caf\xe9"), ("é", "é")],
)
def test_paths_are_shown_on_one_line(path: str, expected: str) -> None:
    """No line ends, no control codes, no bytes that cannot be printed."""
    assert shown(path) == expected
