"""What is run before and after stages: when, with what, and what is said where it fails. No engine is asked."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tinyship import pipeline
from tinyship.engine.connect import Engine
from tinyship.errors import CommandFailed, ConfigError, Refused, TinyshipError
from tinyship.events import Event, Log, StageEnded
from tinyship.settings.load import Layer, load
from tinyship.stages import hooks, through
from tinyship.stages.scope import Scope

Make = Callable[..., Scope]


def no_engine() -> Engine:
    """What must not be asked for."""
    raise AssertionError("the engine is asked")


class Known:
    """Tasks that a test has."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, dict[str, Any]]] = []

    def check(self, name: str) -> None:
        """There is one."""
        if name != "notify":
            raise ConfigError(f"no task is named `{name}`")

    def run(self, name: str, values: Mapping[str, Any], tell: Callable[[str], None]) -> None:
        """Keep what it was run with."""
        self.ran.append((name, dict(values)))
        tell("told")


@pytest.fixture
def heard() -> list[Event]:
    """What happened."""
    return []


@pytest.fixture
def make(tmp_path: Path, heard: list[Event]) -> Make:
    """Makes the scope of a project with these hooks."""

    def made(*entries: Any, stages: Mapping[str, Any] | None = None, tasks: Any = None, **settings: Any) -> Scope:
        values = {"image": "lacion/foo", "version": {"literal": "1.0"}, "hooks": list(entries), **settings}
        (one,) = load([Layer("invoke.yaml", values)], environ={})
        return Scope(
            tmp_path,
            one.settings,
            heard.append,
            origins=one.origins,
            connect=no_engine,
            stages=stages or {},
            tasks=tasks,
        )

    return made


def lines(heard: list[Event]) -> list[str]:
    """What hooks wrote."""
    return [event.line for event in heard if isinstance(event, Log)]


def test_command_gets_the_plan(make: Make, heard: list[Event], tmp_path: Path) -> None:
    """In a file, with the simple things in variables; it runs in the project's folder; its output comes as events."""
    said = (
        'pwd; echo "$HOOK_WHEN $HOOK_STAGE $HOOK_IMAGE $HOOK_VERSION ${HOOK_RECORD-none}"; cp "$HOOK_PLAN" seen; ls x'
    )
    with pytest.raises(CommandFailed):
        hooks.run(make({"before": "push", "run": said}), "before", "push", {"actions": ["a"]})
    assert lines(heard)[:2] == [str(tmp_path), "before push lacion/foo 1.0 none"]
    assert "x" in lines(heard)[2]  # what it wrote to standard error
    assert json.loads((tmp_path / "seen").read_text()) == {"actions": ["a"]}


def test_only_its_own(make: Make, heard: list[Event]) -> None:
    """Of all hooks those of the stage and the moment run, in their order."""
    scope = make(
        {"before": "push", "run": "echo 1"},
        {"after": "push", "run": "echo 2"},
        {"before": "build", "run": "echo 3"},
        {"before": "push", "run": "echo 4"},
    )
    hooks.run(scope, "before", "push", {})
    assert lines(heard) == ["1", "4"]
    assert [event.outcome for event in heard if isinstance(event, StageEnded)] == ["before push passed"] * 2


def test_failure(make: Make, heard: list[Event]) -> None:
    """The error names hook, exit code and last lines; no further one is run."""
    scope = make({"before": "push", "run": "seq 30; exit 3"}, {"before": "push", "run": "echo no"})
    with pytest.raises(CommandFailed) as caught:
        hooks.run(scope, "before", "push", {})
    error = caught.value
    assert str(error).startswith(
        "push lacion/foo: the hook before push failed: `seq 30; exit 3` ended with exit code 3\n"
    )
    assert error.exit_code_of_command == 3
    assert error.tail == tuple(str(number) for number in range(11, 31))
    assert "no" not in lines(heard)


def test_signal(make: Make) -> None:
    """A command that was killed says by what."""
    with pytest.raises(CommandFailed, match="was ended by signal 9"):
        hooks.run(make({"after": "push", "run": "kill -9 $$"}), "after", "push", {})


def test_secrets_are_masked(make: Make, heard: list[Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The values of `secrets` and the password of `proxy`, in what is shown and in the error."""
    monkeypatch.setenv("NPM_TOKEN", "s3cret")
    (tmp_path / "key").write_text("-----\nlong line\n-\n")
    scope = make(
        {"before": "push", "run": "echo a s3cret; echo 'long line' - u:pw@x; false s3cret"},
        secrets=["id=npm,env=NPM_TOKEN", "id=key,src=key", "id=gone,src=gone"],
        proxy="http://u:pw@proxy.example.com:3128",
    )
    with pytest.raises(CommandFailed) as caught:
        hooks.run(scope, "before", "push", {})
    assert lines(heard) == ["a ***", "*** - ***@x"]
    assert not [word for word in ("s3cret", "long line", "u:pw") if word in str(caught.value) + str(heard)]


def test_what_it_leaves_running(make: Make, heard: list[Event]) -> None:
    """A command ends when it ends, whatever still holds its output."""
    hooks.run(make({"before": "push", "run": "sleep 300 & echo $!"}), "before", "push", {})
    (pid,) = lines(heard)
    os.kill(int(pid), signal.SIGTERM)


def test_hook_that_leads_to_itself(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is run by a hook of a stage does not run that hook again; it is an error."""
    scope = make({"before": "push", "run": f'echo "${hooks.WITHIN}"'})
    monkeypatch.setenv(hooks.WITHIN, "release lacion/foo\npush lacion/foo")
    with pytest.raises(Refused, match="a hook of push leads to push again"):
        hooks.run(scope, "before", "push", {})


def test_task(make: Make, heard: list[Event]) -> None:
    """A task gets the record, and what it writes is shown."""
    tasks = Known()
    scope = make({"after": "release", "task": "notify"}, tasks=tasks)
    hooks.check(scope, "release")
    hooks.run(scope, "after", "release", {"images": []})
    ((name, values),) = tasks.ran
    assert (name, values["record"], values["image"], values["stage"]) == (
        "notify",
        {"images": []},
        "lacion/foo",
        "release",
    )
    assert lines(heard) == ["told"]


def test_task_that_is_none(make: Make) -> None:
    """It is told before anything is done, and only for stages that are gone through."""
    scope = make({"after": "push", "task": "notify"})
    hooks.check(scope, "base", "build", "release")
    with pytest.raises(ConfigError, match=r"^invoke.yaml: `tinyship.hooks\[0\].task`: there is no Invoke here"):
        hooks.check(scope, "push")
    with pytest.raises(ConfigError, match=r"`tinyship.hooks\[0\].task`: no task is named `notifi`"):
        hooks.check(make({"after": "push", "task": "notifi"}, tasks=Known()), "push")
    with pytest.raises(ConfigError, match="there is no Invoke here"):
        pipeline.send(scope)


def went(scope: Scope, stage: str, ours: Callable[..., Any], **options: bool) -> Any:
    """Go through a stage whose plan is 1 and whose record is what it returned."""
    return through.go(scope, stage, ours, plan=lambda: 1, record=lambda done: done, **options)


def test_up_to_date_stage_has_no_hooks(make: Make, heard: list[Event]) -> None:
    """Those of base and build run where the stage says that it has work, once; those of release and push always."""
    both = [
        {when: stage, "run": f"echo {when} {stage}"} for stage in ("build", "release") for when in ("before", "after")
    ]
    scope = make(*both)

    def works(scope: Scope) -> str:
        assert scope.works("build")
        assert not scope.works("build")
        return "made"

    assert went(scope, "build", lambda scope: "up to date") == "up to date"
    assert lines(heard) == []
    assert went(scope, "build", works) == "made"
    assert lines(heard) == ["before build", "after build"]
    went(scope, "release", lambda scope: "up to date")
    assert lines(heard)[2:] == ["before release", "after release"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_a_hook_changes_is_looked_at(make: Make, when: str) -> None:
    """What was seen of files before a hook ran is not what is there after it."""
    scope = make({when: "release", "run": "echo more >> file"})
    file = scope.root / "file"
    file.write_text("one\n")

    def look(scope: Scope) -> str:
        return scope.files(scope.root, (".tinyship",)).digest

    before = look(scope)
    assert (went(scope, "release", look) != before) == (when == "before")
    assert file.read_text() == "one\nmore\n"
    assert look(scope) != before


def test_without_hooks_files_are_looked_at_once(make: Make) -> None:
    """Where nothing ran between two stages, the second takes what the first has seen."""
    scope = make()
    seen = scope.files(scope.root, ())
    assert went(scope, "release", lambda scope: scope.files(scope.root, ())) is seen


def test_failed_stage_has_no_hook_after_it(make: Make, heard: list[Event]) -> None:
    """And one whose hook before it failed is not begun."""
    scope = make({"before": "push", "run": "exit $(cat code)"}, {"after": "push", "run": "echo after"})

    def fails(scope: Scope) -> None:
        raise TinyshipError("it fails")

    (scope.root / "code").write_text("0")
    with pytest.raises(TinyshipError, match="it fails"):
        went(scope, "push", fails)
    (scope.root / "code").write_text("4")
    with pytest.raises(CommandFailed, match="exit code 4"):
        went(scope, "push", fails)
    assert lines(heard) == []


def test_own_stage(make: Make, heard: list[Event]) -> None:
    """A project's function is called in place of ours, with the options that it takes, between the hooks."""

    def mine(scope: Scope, *, force: bool) -> tuple[str, bool]:
        assert lines(heard) == ["before"]
        return scope.settings.image, force

    def all_of_it(scope: Scope, **options: bool) -> dict[str, bool]:
        return options

    def bare(scope: Scope) -> None:
        raise TinyshipError("no")

    def ours(*_: Any, **__: Any) -> None:
        raise AssertionError("ours is called")

    before = {"before": "build", "run": "echo before"}
    options = {"force": True, "only_image": False}
    assert went(make(before, stages={"build": mine}), "build", ours, **options) == ("lacion/foo", True)
    assert went(make(stages={"build": all_of_it}), "build", ours, **options) == options
    with pytest.raises(TinyshipError) as caught:
        went(make(stages={"build": bare}), "build", ours, **options)
    assert (caught.value.stage, caught.value.image) == ("build", "lacion/foo")


def test_plan(make: Make) -> None:
    """Hooks and own stages are in the plan, in their order; a stage that there is not has none."""
    entries = [{"before": "release", "run": "scripts/check  -a"}, {"after": "release", "task": "notify"}]
    scope = make(*entries, {"before": "build", "run": "true"}, {"before": "base", "run": "true"}, tasks=Known())
    first, *_, last = pipeline.plan_release(scope).actions
    assert (first.verb, first.target, first.detail) == ("run", "scripts/check -a", "before release")
    assert (last.verb, last.target, last.detail) == ("run", "notify", "after release, a task")
    own = make({"before": "build", "run": "true"}, stages={"build": went})
    assert [(action.verb, action.detail) for action in pipeline.plan_build(own).actions] == [
        ("run", "before build"),
        ("call", "in place of build"),
    ]
