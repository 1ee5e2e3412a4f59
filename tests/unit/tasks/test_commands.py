"""The commands in texts: which words of them are tasks, and what the program is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.program import Program

import tinyship
from tinyship.settings import describe
from tinyship.tasks.commands import Commands


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("`invoke release` makes it.", "`inv api.release` makes it."),
        ("`invoke --dry release push`: `invoke clean`", "`inv --dry api.release api.push`: `inv api.clean`"),
        ("`invoke size.diff base release`", "`inv api.size.diff base release`"),
        ("`invoke push.promote 1.4.0 release`", "`inv api.push.promote 1.4.0 release`"),
        ("`invoke --help size.explain`", "`inv --help api.size.explain`"),
        ("`invoke size.history --stage build --fetch`", "`inv api.size.history --stage build --fetch`"),
        ("`invoke release --push build`", "`inv api.release --push api.build`"),
        ("`invoke size.history --fetch`", "`inv api.size.history --fetch`"),
        ("invoke release, `git push`", "invoke release, `git push`"),
    ],
)
def test_what_is_said(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tasks get their whole names; flags, and what a task takes, are as they are. Without a program nothing changes."""
    mount = tinyship.collection()
    assert Commands(mount).said(text) == text
    monkeypatch.chdir(tmp_path)
    mount.configure({"tinyship": {"image": "lacion/foo"}})
    monkeypatch.setattr(describe, "rows", lambda *_, **__: [("", "", Commands(mount).said(text))])
    Program(namespace=Collection(api=mount), binary_names=["inv", "invoke"]).run(["inv", "api.config"], exit=False)
    assert said in capsys.readouterr().out
