"""Numbers for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyship.units import change, known, seconds, size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 Bytes"),
        (1, "1 Byte"),
        (512, "512 Bytes"),
        (999, "999 Bytes"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (999_960, "1 MB"),
        (14_100_000, "14.1 MB"),
        (14_149_999, "14.1 MB"),
        (356_000_000, "356 MB"),
        (999_999_999, "1 GB"),
        (2_500_000_000_000, "2.5 TB"),
    ],
)
def test_size(count: int, text: str) -> None:
    """Decimal units, three significant digits."""
    assert size(count) == text


@given(st.integers(0, 10**15 - 10**12))
def test_size_is_never_a_thousand_of_a_unit(count: int) -> None:
    """The number is below 1000, without an exponent, and right to half a percent."""
    number, unit = size(count).split()
    factor = {"Byte": 1, "Bytes": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}[unit]
    assert "e" not in number
    assert float(number) < 1000
    assert abs(float(number) * factor - count) <= count * 0.005


@pytest.mark.parametrize(
    ("count", "text"), [(None, "-"), (0, "="), (1_200_000, "+1.2 MB"), (-300_000, "-300 kB"), (-1, "-1 Byte")]
)
def test_change(count: int | None, text: str) -> None:
    """Gained, lost, the same, or not known."""
    assert change(count) == text


@pytest.mark.parametrize(("count", "text"), [(None, "-"), (0, "0 Bytes"), (5_000_000, "5 MB")])
def test_known(count: int | None, text: str) -> None:
    """A size that may not be known."""
    assert known(count) == text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0.0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (12.4, "12 s"),
        (60.0, "1 min 00 s"),
        (125.9, "2 min 06 s"),
        (59.7, "1 min 00 s"),
        (9.96, "10 s"),
    ],
)
def test_seconds(duration: float, text: str) -> None:
    """Tenths where it is short, minutes where it is long."""
    assert seconds(duration) == text
