"""The setting `hooks`: what an entry may be, and what is said of one that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tinyship.errors import ConfigError
from tinyship.settings.load import Layer, load


def hooks(*entries: Any, **variables: str) -> Any:
    """The hooks of a config with these entries."""
    return load([Layer("invoke.yaml", {"image": "lacion/foo", "hooks": list(entries)})], environ=variables)[
        0
    ].settings.hooks


def test_entries() -> None:
    """They stay in their order, and say when they are run."""
    found = hooks({"before": "push", "run": "scripts/check"}, {"after": "release", "task": "notify"})
    assert [(hook.place, hook.run, hook.task) for hook in found] == [
        (("before", "push"), "scripts/check", ""),
        (("after", "release"), "", "notify"),
    ]


def test_variable() -> None:
    """A variable holds them as JSON."""
    (hook,) = hooks(TINYSHIP_HOOKS='[{"after": "push", "run": "true"}]')
    assert hook.place == ("after", "push")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"run": "true"}, "a hook needs either `before` or `after`, and a stage: base, build, release or push"),
        ({"before": "push", "after": "push", "run": "true"}, "a hook needs either `before` or `after`"),
        ({"before": "push"}, "a hook needs either `run`, a shell command, or `task`, the name of a task"),
        ({"before": "push", "run": "true", "task": "x"}, "a hook needs either `run`, a shell command, or `task`"),
        ({"before": "push", "run": " "}, "a hook needs either `run`"),
        ({"before": "push", "run": "a\0"}, "a command has no zero bytes"),
        ({"before": "pusch", "run": "true"}, 'is `"pusch"`, but one of base, build, release, push is expected'),
        ({"befor": "push", "run": "true"}, "`tinyship.hooks[0].befor` is no setting; the nearest is `before`"),
        ({"before": "push", "run": ["true"]}, "`tinyship.hooks[0].run` is a list, but text is expected"),
    ],
)
def test_what_is_wrong(entry: Any, said: str) -> None:
    """The error names the key and its source in one line."""
    with pytest.raises(ConfigError) as caught:
        hooks(entry)
    assert str(caught.value).startswith("invoke.yaml: `tinyship.hooks")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
