"""Variables: one for each setting, read by the setting's type."""

from __future__ import annotations

from typing import Any

import pytest

from tinyship.errors import ConfigError
from tinyship.settings import environment
from tinyship.settings.load import Layer, Loaded, load


def loaded(**variables: str) -> Loaded:
    """The settings of an image in an environment with these variables."""
    return load([Layer("invoke.yaml", {"image": "lacion/foo"})], environ=variables)[0]


def test_name_of_a_variable() -> None:
    """A variable is the dotted key in upper case."""
    assert environment.variable("push.to") == "TINYSHIP_PUSH_TO"
    assert environment.variable("release.smoke.timeout") == "TINYSHIP_RELEASE_SMOKE_TIMEOUT"


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("IMAGE", "lacion/bar", "image", "lacion/bar"),
        ("VERSION_LITERAL", "1.10", "version.literal", "1.10"),
        ("PUSH_TO", "a.example", "push.to", ["a.example"]),
        ("PUSH_TO", "a.example, b.example:5000 ,", "push.to", ["a.example", "b.example:5000"]),
        ("PUSH_TO", '["a.example", "b.example"]', "push.to", ["a.example", "b.example"]),
        ("ARGS", '["LIST=a,b"]', "args", ["LIST=a,b"]),
        ("ARGS", "A=1,B=2", "args", ["A=1", "B=2"]),
        ("CLEAN_KEEP", "7", "clean.keep", 7),
        ("RELEASE_SMOKE_TIMEOUT", "2.5", "release.smoke.timeout", 2.5),
        ("BUILD_COMMAND", "make all", "build.command", "make all"),
        ("BUILD_COMMAND", '["make", "a b"]', "build.command", ["make", "a b"]),
        ("SIZE_BUDGETS", '[{"unpacked": "40MB"}]', "size.budgets", [{"unpacked": "40MB"}]),
    ],
)
def test_values(name: str, text: str, key: str, value: Any) -> None:
    """Lists are JSON or have commas, commands and texts stay as they are, numbers are numbers."""
    assert environment.read({f"TINYSHIP_{name}": text}) == {key: value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("true", True), ("YES", True), ("on", True), ("1", True)),
        *(("false", False), ("No", False), ("off", False), ("0", False)),
    ],
)
def test_booleans(text: str, value: bool) -> None:
    """Booleans are what people write, in any case."""
    assert loaded(TINYSHIP_PUSH_SMOKE=text).settings.push.smoke is value


@pytest.mark.parametrize("name", ["TINYSHIP_PUSH_TO", "TINYSHIP_CLEAN_KEEP", "TINYSHIP_IMAGE", "TINYSHIP_NO_SUCH"])
def test_empty_is_none(name: str) -> None:
    """A variable that is empty is not set, whatever it is for."""
    assert loaded(**{name: ""}) == loaded()


def test_others_are_left_alone() -> None:
    """Only names that begin with TINYSHIP_ are read."""
    assert (
        environment.read({"PATH": "/bin", "TINYSHIPPING": "1", "MY_TINYSHIP_IMAGE": "x", "tinyship_image": "x"}) == {}
    )


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("TINYSHIP_PUSH_TOO", "TINYSHIP_PUSH_TO"),
        ("TINYSHIP_BUILD_CMD", "TINYSHIP_BUILD_COMMAND"),
        ("TINYSHIP_IMAG", "TINYSHIP_IMAGE"),
        ("TINYSHIP_CLEAN_KEEPS", "TINYSHIP_CLEAN_KEEP"),
    ],
)
def test_unknown_variable(name: str, nearest: str) -> None:
    """A variable that is no setting is an error that names the nearest, never its value."""
    with pytest.raises(ConfigError) as caught:
        environment.read({name: "s3cret"})
    assert str(caught.value) == f"{name} is no setting; the nearest is {nearest}"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("TINYSHIP_CLEAN_KEEP", "many", "`many`, but a number is expected"),
        ("TINYSHIP_CLEAN_KEEP", "1.5", "`1.5`, but a number is expected"),
        ("TINYSHIP_PUSH_TIMEOUT", "5s", "`5s`, but a number is expected"),
        ("TINYSHIP_PUSH_SMOKE", "maybe", "`maybe`, but yes or no is expected"),
        ("TINYSHIP_SIZE_BUDGETS", "40MB", "no JSON"),
        ("TINYSHIP_SIZE_BUDGETS", '{"unpacked": "40MB"}', "no list"),
        ("TINYSHIP_IMAGES", "api", "no JSON"),
        ("TINYSHIP_PUSH_TO", '["a.example"', "no JSON"),
    ],
)
def test_bad_values(name: str, text: str, words: str) -> None:
    """A value that its setting cannot take is an error that begins with the variable."""
    with pytest.raises(ConfigError) as caught:
        environment.read({name: text})
    assert str(caught.value).startswith(f"{name} is ")
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["TINYSHIP_ARGS", "TINYSHIP_LABELS", "TINYSHIP_BUILD_ENV", "TINYSHIP_RELEASE_RUN_ENV"])
@pytest.mark.parametrize(
    "text", ["s3cret", '["s3cret', '["s3cret"]', '[["s3cret"]]', '[{"A": "s3cret"}]', '{"A": "s3cret"}']
)
def test_secrets_stay_secret(name: str, text: str) -> None:
    """What is wrong about arguments, labels and environments is said without their text."""
    with pytest.raises(ConfigError) as caught:
        loaded(**{name: text})
    assert name in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_checked_as_all_settings_are() -> None:
    """What only the settings know to be wrong names the variable as its source."""
    with pytest.raises(ConfigError, match=r"TINYSHIP_BUILDER: `tinyship\.builder`: .*auto, buildkit, classic"):
        loaded(TINYSHIP_BUILDER="kit")


def test_variable_is_the_origin() -> None:
    """A setting from a variable says so."""
    result = loaded(TINYSHIP_PUSH_TO="a.example", TINYSHIP_BUILD_TAG="fat")
    assert result.origins["push.to"] == "TINYSHIP_PUSH_TO"
    assert result.origins["build.tag"] == "TINYSHIP_BUILD_TAG"
    assert result.settings.build is not None
    assert result.settings.build.tag == "fat"


def test_image_alone_is_a_config() -> None:
    """Without any section, the variable for the image is enough."""
    assert load([], environ={"TINYSHIP_IMAGE": "lacion/foo"})[0].settings.image == "lacion/foo"


def test_images_from_a_variable() -> None:
    """Entries of `images` come from a variable too, as JSON."""
    text = '[{"name": "api", "image": "lacion/api"}, {"name": "web", "image": "lacion/web"}]'
    every = load([Layer("invoke.yaml", {})], environ={"TINYSHIP_IMAGES": text})
    assert [one.settings.image for one in every] == ["lacion/api", "lacion/web"]


@pytest.mark.parametrize(
    "name", ["SECRETS", "CACHE_FROM", "CACHE_TO", "ATTESTS", "BUILD_CACHE_TO", "BUILD_OUTPUTS", "RELEASE_OUTPUTS"]
)
def test_entries_with_commas_are_json(name: str) -> None:
    """Where entries have commas, a list is JSON; one entry without any may stand there as it is."""
    key = (
        name.lower() if name in {"SECRETS", "CACHE_FROM", "CACHE_TO", "ATTESTS"} else name.lower().replace("_", ".", 1)
    )
    read = environment.read
    assert read({f"TINYSHIP_{name}": '["id=npm,env=NPM_TOKEN", "id=x"]'}) == {key: ["id=npm,env=NPM_TOKEN", "id=x"]}
    assert read({f"TINYSHIP_{name}": " type=inline "}) == {key: ["type=inline"]}
    with pytest.raises(ConfigError) as caught:
        read({f"TINYSHIP_{name}": "id=npm,env=s3cret"})
    assert str(caught.value) == (
        f"TINYSHIP_{name} is a list whose entries have commas: write it as JSON, '[\"key=value,...\"]'"
    )


def test_builder_from_variables() -> None:
    """An address has no comma, and the certificates are settings of a section that need not be there."""
    settings = loaded(TINYSHIP_BUILDER="tcp://b.example:1234", TINYSHIP_BUILDER_TLS_CA="ca.pem").settings
    assert settings.builder == "tcp://b.example:1234"
    assert settings.builder_tls
    assert settings.builder_tls.ca == "ca.pem"
    assert loaded(TINYSHIP_PLATFORMS="linux/amd64,linux/arm64").settings.platforms == ("linux/amd64", "linux/arm64")
