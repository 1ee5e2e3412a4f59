"""Sizes and growth: what people write, in bytes."""

from __future__ import annotations

import pytest

from tinyship.settings.quantity import parse_bytes, parse_duration, parse_growth


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512", 512),
        ("0", 0),
        ("1B", 1),
        ("40MB", 40_000_000),
        ("40M", 40_000_000),
        ("40mb", 40_000_000),
        ("3 kB", 3_000),
        ("1.5GB", 1_500_000_000),
        ("2TB", 2 * 10**12),
        ("7 MiB", 7 * 2**20),
        ("1KiB", 1024),
        ("1GiB", 2**30),
        ("1TiB", 2**40),
        (" 0.5 KiB ", 512),
        ("+2MB", 2_000_000),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """MB is decimal and MiB binary; case and blanks do not matter."""
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1,5MB", "1.MB", "40 XB", "5%", "1MB 2MB", "1e6", "nan"])
def test_no_sizes(text: str) -> None:
    """What is no size is named, with an example of one."""
    with pytest.raises(ValueError, match="is no size") as caught:
        parse_bytes(text)
    assert f"`{text}`" in str(caught.value)
    assert "40MB" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "before", "allowed"),
    [
        ("5%", 1000, 50),
        ("+5%", 1000, 50),
        (" 2.5 % ", 1000, 25),
        ("0%", 1000, 0),
        ("150%", 1000, 1500),
        ("2MB", 1000, 2_000_000),
        ("+1KiB", 0, 1024),
        ("0", 1000, 0),
        ("5%", 0, 0),
    ],
)
def test_growth(text: str, before: int, allowed: int) -> None:
    """Growth is a share of what was there before, or a size of its own."""
    assert parse_growth(text).allowance(before) == allowed


@pytest.mark.parametrize("text", ["", "%", "-5%", "5%%", "5 percent", "a lot"])
def test_no_growth(text: str) -> None:
    """What is no growth is named, with examples of both kinds."""
    with pytest.raises(ValueError, match="is no growth") as caught:
        parse_growth(text)
    assert f"`{text}`" in str(caught.value)
    assert "5% or 2MB" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30 m", 1800), ("36h", 129_600), ("7d", 604_800), ("1.5h", 5400), ("0s", 0)]
)
def test_times(text: str, seconds: int) -> None:
    """Seconds, minutes, hours, days."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "h", "-1h", "1h30m", "1 week", "7D"])
def test_no_times(text: str) -> None:
    """What is no time is named, with examples of some."""
    with pytest.raises(ValueError, match="is no time") as caught:
        parse_duration(text)
    assert f"`{text}`" in str(caught.value)
    assert "36h or 7d" in str(caught.value)
