"""Control codes stay out of what other programs wrote."""

from __future__ import annotations

import pytest

from tinyship.codes import without_codes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain größe ☺", "plain größe ☺"),
        ("a\tb", "a\tb"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[2K\x1b[1Gagain", "again"),
        ("\x1b[?25lhidden\x1b[?25h", "hidden"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bMup", "up"),
        ("bold\x1b(B\x1b[m off", "bold off"),
        ("\x1b7saved\x1b8", "saved"),
        ("\x1b=keys\x1b>", "keys"),
        ("bell\x07 back\x08 nul\x00 del\x7f", "bell back nul del"),
        ("\x9b31mc1", "31mc1"),
        ("cut \x1b", "cut "),
        ("turned \u202egnp.exe\u2066", "turned gnp.exe"),
    ],
)
def test_without_codes(text: str, shown: str) -> None:
    """No escape sequence and no control character survives but the tabulator."""
    assert without_codes(text) == shown
