"""The table of what goes and what stays."""

from __future__ import annotations

from tinyship.cleaning.retention import Verdict
from tinyship.console import verdicts


def test_what_goes_comes_first() -> None:
    """One row each, with one reason; further names are told by their tags."""
    rows = [
        Verdict("image", "lacion/foo:1.3.0", True, "the last release"),
        Verdict("image", "lacion/foo:1.0.0", False, "not one of the last 3 releases", 12_300_000, ("lacion/foo:abc",)),
        Verdict("artifact", "bin/größe", False, "an artifact"),
    ]
    assert verdicts.lines(rows) == (
        "       what      name                           bytes  why",
        "goes   image     lacion/foo:1.0.0 (and :abc)  12.3 MB  not one of the last 3 releases",
        "goes   artifact  bin/größe                          -  an artifact",
        "stays  image     lacion/foo:1.3.0                   -  the last release",
    )


def test_commits_are_cut() -> None:
    """Nobody reads forty digits; in the report they are all there."""
    (_, row) = verdicts.lines([Verdict("image", "foo:1.0.0", True, "used", None, (f"foo:{'ab' * 20}", "foo:local"))])
    assert row == "stays  image  foo:1.0.0 (and :abababa…, :local)      -  used"


def test_nothing_to_tell() -> None:
    """No heading without a row."""
    assert verdicts.lines([]) == ()


def test_control_codes_stay_out() -> None:
    """A name is somebody else's text."""
    (_, row) = verdicts.lines([Verdict("container", "\x1b[31mweb", True, "\x07it runs")])
    assert row == "stays  container  web       -  it runs"
