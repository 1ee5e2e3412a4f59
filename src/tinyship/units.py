"""Numbers for people."""

from __future__ import annotations


def size(count: int) -> str:
    """Bytes in decimal units with three significant digits: "14.1 MB", "356 MB", "512 Bytes"."""
    from humanize import naturalsize

    digits = len(str(abs(count)))
    # Rounded beforehand, because 999,960 bytes are "1 MB", not "1000 kB".
    return naturalsize(round(count, 3 - digits) if digits > 3 else count, format="%.3g")


def change(count: int | None) -> str:
    """Bytes gained or lost: "+1.2 MB", "-300 kB", "=" for none, "-" for not known."""
    if count is None:
        return "-"
    return f"{'+' if count > 0 else '-'}{size(abs(count))}" if count else "="


def known(count: int | None, *, estimated: bool = False) -> str:
    """A size, "-" where it is not known, "~14.0 MB" where it is an estimate."""
    return "-" if count is None else f"{'~' if estimated else ''}{size(count)}"


def seconds(duration: float) -> str:
    """A duration: "0.4 s", "12 s", "2 min 05 s"."""
    if round(duration, 1) < 10:
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
