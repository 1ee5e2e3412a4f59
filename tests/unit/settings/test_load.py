"""The config: sources laid over each other, and errors that name key, value and source in one line."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tinyship.errors import ConfigError
from tinyship.settings.load import Layer, Loaded, load
from tinyship.settings.schema import Settings
from tinyship.settings.stages import words

FILE = "invoke.yaml"


def loaded(*sections: Any, **variables: str) -> Loaded:
    """The settings of an image from these sections, later ones win."""
    layers = [
        Layer(FILE, {"image": "lacion/foo"}),
        *(Layer(f"{n}.yaml", section) for n, section in enumerate(sections)),
    ]
    return load(layers, environ=variables)[0]


def error(*sections: Any) -> str:
    """What the user is told of these sections; it is one line."""
    with pytest.raises(ConfigError) as caught:
        loaded(*sections)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_partial_config_keeps_defaults() -> None:
    """A section that sets one key leaves the others at their defaults."""
    settings = loaded({"release": {"smoke": {"timeout": 5}}, "push": {"to": ["localhost:5000"]}}).settings
    assert settings.release.smoke.timeout == 5.0
    assert settings.release.smoke.command == ()
    assert settings.release.dockerfile == "Dockerfile"
    assert settings.push.tags == ("{version}", "{commit}", "latest")
    assert settings.build is None


@pytest.mark.parametrize("key", ["build", "release", "push", "version", "base", "images", "clean", "args", "network"])
def test_empty_section_is_none(key: str) -> None:
    """A key without anything behind it is not set."""
    assert loaded({key: None}) == loaded()


@pytest.mark.parametrize("key", ["release", "push", "version", "size", "clean"])
def test_section_without_keys_is_the_default(key: str) -> None:
    """`push: {}` is the same as no `push`."""
    assert loaded({key: {}}).settings == loaded().settings


def test_build_without_keys_is_a_build() -> None:
    """`build: {}` asks for the build stage, with its defaults."""
    build = loaded({"build": {}}).settings.build
    assert build is not None
    assert build.dockerfile == "Dockerfile.build"


def test_empty_key_takes_back_what_is_below() -> None:
    """A later source sets a key back to its default."""
    result = loaded({"push": {"to": ["a.example"]}}, {"push": {"to": None}})
    assert result == loaded()


def test_lists_are_replaced() -> None:
    """The last list wins, whole."""
    result = loaded({"push": {"to": ["a.example", "b.example"]}}, {"push": {"to": ["c.example"]}})
    assert result.settings.push.to == ("c.example",)
    assert result.origins["push.to"] == "1.yaml"


def test_maps_are_merged() -> None:
    """Sections are merged key by key, at any depth, and each key knows its source."""
    result = loaded(
        {"release": {"dockerfile": "A", "smoke": {"command": "true"}}},
        {"release": {"target": "b", "smoke": {"timeout": 1}}},
    )
    release = result.settings.release
    assert (release.dockerfile, release.target) == ("A", "b")
    assert (release.smoke.command, release.smoke.timeout) == ("true", 1.0)
    assert result.origins == {
        "image": FILE,
        "release.dockerfile": "0.yaml",
        "release.smoke.command": "0.yaml",
        "release.target": "1.yaml",
        "release.smoke.timeout": "1.yaml",
    }


def test_variables_win_over_files_and_lose_to_code() -> None:
    """What was set at run time wins over variables, and these over files."""
    layers = [
        Layer(FILE, {"image": "lacion/file", "network": "file"}),
        Layer("tasks.py", {"image": "lacion/code"}, is_explicit=True),
    ]
    result = load(layers, environ={"TINYSHIP_IMAGE": "lacion/variable", "TINYSHIP_NETWORK": "variable"})[0]
    assert (result.settings.image, result.settings.network) == ("lacion/code", "variable")
    assert result.origins == {"image": "tasks.py", "network": "TINYSHIP_NETWORK"}


def test_words_of_a_command() -> None:
    """A command is a list, or one text that is split as a shell would."""
    assert words("go build -o 'my app'") == ("go", "build", "-o", "my app")
    assert words(("go", "build now")) == ("go", "build now")


IMAGES = {
    "network": "host",
    "release": {"dockerfile": "Dockerfile", "target": "small"},
    "push": {"to": ["a.example"]},
    "images": [
        {"name": "api", "image": "lacion/api", "release": {"dockerfile": "Dockerfile.api"}},
        {"name": "web", "image": "lacion/web", "push": {"to": ["b.example"]}},
    ],
}


def several(image: str = "", **variables: str) -> dict[str, Settings]:
    """The settings of two images."""
    return {one.settings.image: one.settings for one in load([Layer(FILE, IMAGES)], image=image, environ=variables)}


def test_images_are_laid_over_the_section() -> None:
    """Each entry has what the section has, and its own over it."""
    every = several()
    assert list(every) == ["lacion/api", "lacion/web"]
    api, web = every["lacion/api"], every["lacion/web"]
    assert (api.release.dockerfile, api.release.target, api.push.to) == ("Dockerfile.api", "small", ("a.example",))
    assert (web.release.dockerfile, web.push.to, web.network) == ("Dockerfile", ("b.example",), "host")


def test_what_the_images_of_a_project_make() -> None:
    """Each image knows the names of all, even where only it is asked for, and another one is wrong."""
    wrong = {
        "name": "web",
        "image": "lacion/web",
        "platform": "?",
        "base": [{"name": "b:1"}, {"name": "c:1", "pull": 1}],
    }
    own = {"name": "api", "image": "lacion/api", "base": [{"name": "a:1", "rootfs": {"tar": "x"}}]}
    (found,) = load([Layer(FILE, {"images": [own, wrong]})], image="api", environ={})
    assert found.repositories == {"lacion/api", "lacion/web"}
    assert found.bases == {"a:1", "b:1"}
    (single,) = load([Layer(FILE, {"image": "lacion/foo"})], environ={})
    assert single.repositories == {"lacion/foo"}
    assert not single.bases


def test_one_of_the_images() -> None:
    """An entry is taken by its name."""
    assert list(several("web")) == ["lacion/web"]


def test_variables_win_over_entries() -> None:
    """A variable is laid over each entry."""
    assert {settings.push.to for settings in several(TINYSHIP_PUSH_TO="c.example").values()} == {("c.example",)}


def test_origin_in_an_entry() -> None:
    """A setting of an entry says in which entry it stands; `images` itself is none of the image's settings."""
    one = load([Layer(FILE, IMAGES)], image="api", environ={})[0]
    assert one.origins["release.dockerfile"] == f"{FILE}, images[api]"
    assert one.origins["release.target"] == FILE
    assert "images" not in one.origins


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([{"image": "lacion/api"}], "`tinyship.images[0]` needs a `name`"),
        ([{"name": "api"}, "web"], "`tinyship.images[1]` needs a `name`"),
        ([{"name": 7}], "`tinyship.images[0]` needs a `name`"),
        ([{"name": "api"}, {"name": "api"}], "two entries of `tinyship.images` are named `api`"),
        ([{"name": "a", "image": "x"}, {"name": "b", "image": "x"}], "`a` and `b` of `tinyship.images` are both `x`"),
        ({"api": {"image": "lacion/api"}}, "`tinyship.images` is a section, but a list is expected"),
        ("api", '`tinyship.images` is `"api"`, but a list is expected'),
        ([{"name": "api", "relase": {}}], "images[api]: `tinyship.relase` is no setting; the nearest is `release`"),
        ([{"name": "api", "image": 5}], "images[api]: `tinyship.image` is `5`, but text is expected: quote it"),
    ],
)
def test_wrong_images(images: Any, words: str) -> None:
    """What is wrong about `images` names the file and the entry."""
    text = error({"images": images})
    assert text.startswith("0.yaml")
    assert words in text


def test_image_without_an_entry() -> None:
    """A name that no entry has is an error with the nearest, or says that there are none at all."""
    with pytest.raises(ConfigError, match=r"invoke\.yaml: no entry .* named `appi`; the nearest is `api`"):
        several("appi")
    with pytest.raises(ConfigError, match=r"there are no `tinyship\.images`, so none is named `api`"):
        load([Layer(FILE, {"image": "lacion/foo"})], image="api", environ={})


@pytest.mark.parametrize("layers", [[], [Layer(FILE, None)]])
def test_no_section_at_all(layers: list[Layer]) -> None:
    """Without a config, the error says what to write."""
    with pytest.raises(ConfigError, match="no section `tinyship`") as caught:
        load(layers, environ={})
    assert "invoke.yaml" in caught.value.hint
    assert "image: NAME" in caught.value.hint


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"relaese": {}}, "0.yaml: `tinyship.relaese` is no setting; the nearest is `release`"),
        (
            {"image": "localhost:5000/lacion/foo", "push": {"to": ["registry.example.com"]}},
            "0.yaml: `tinyship.image`: `localhost:5000/lacion/foo` names a registry, and `push.to` does as well: "
            "write `lacion/foo`, or leave `push.to` empty",
        ),
        ({"push": {"tgs": ["x"]}}, "0.yaml: `tinyship.push.tgs` is no setting; the nearest is `tags`"),
        (
            {"dockerfile": "x"},
            "0.yaml: `tinyship.dockerfile` is no setting; the nearest is `tinyship.release.dockerfile`",
        ),
        ({"base": [{"nam": "x"}]}, "0.yaml: `tinyship.base[0].nam` is no setting; the nearest is `name`"),
        (
            {"release": {"smoke": {"comand": "x"}}},
            "`tinyship.release.smoke.comand` is no setting; the nearest is `command`",
        ),
        ({"imagess": []}, "0.yaml: `tinyship.imagess` is no setting; the nearest is `images`"),
        ({"build": {"artefacts": []}}, "0.yaml: `tinyship.build.artefacts` is no setting; the nearest is `artifacts`"),
    ],
)
def test_unknown_key(section: Any, text: str) -> None:
    """A key that is no setting is refused, with the nearest one and the file it stands in."""
    assert text in error(section)


def test_unknown_key_like_none_lists_all() -> None:
    """Where nothing is near, all keys of the section are named."""
    text = error({"clean": {"qwertz": 1}})
    assert text.startswith("0.yaml: `tinyship.clean.qwertz` is no setting; the nearest is `")
    assert "; there are keep, keep_git, ask_above, cache_age, cache_size" in text


def test_source_is_that_of_the_key() -> None:
    """Of several files, the one with the wrong key is named, not the last."""
    assert error({"push": {"too": []}}, {"push": {"smoke": True}}).startswith("0.yaml: `tinyship.push.too`")
    assert error({"push": {"smoke": "maybe"}}, {"clean": {"keep": 1}}).startswith("0.yaml: `tinyship.push.smoke`")


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"push": {"to": "a.example"}}, '`tinyship.push.to` is `"a.example"`, but a list is expected'),
        ({"push": "a.example"}, '`tinyship.push` is `"a.example"`, but a section is expected'),
        ({"build": "make"}, '`tinyship.build` is `"make"`, but a section is expected'),
        ({"push": ["a.example"]}, "`tinyship.push` is a list, but a section is expected"),
        ({"push": {"smoke": "maybe"}}, '`tinyship.push.smoke` is `"maybe"`, but yes or no is expected'),
        (
            {"clean": {"keep_git": "some"}},
            '`tinyship.clean.keep_git` is `"some"`, but one of none, named, all is expected',
        ),
        ({"clean": {"keep": "many"}}, '`tinyship.clean.keep` is `"many"`, but a whole number is expected'),
        ({"push": {"timeout": []}}, "`tinyship.push.timeout` is a list, but a number is expected"),
        ({"build": {"command": {"a": 1}}}, "`tinyship.build.command` is a section, but text or a list is expected"),
        (
            {"size": {"budgets": [{"layers": 1}, {"stage": "bulid"}]}},
            '`tinyship.size.budgets[1].stage` is `"bulid"`, but one of base, build, release is expected',
        ),
        ({"base": [{}]}, "`tinyship.base[0].name` is missing"),
        (["image"], "`tinyship` is a list, but a section is expected"),
        (5, "`tinyship` is `5`, but a section is expected"),
    ],
)
def test_wrong_type(section: Any, text: str) -> None:
    """A value of the wrong kind is shown, with the kind that is expected."""
    assert error(section) == f"0.yaml: {text}"


def test_long_values_are_cut() -> None:
    """A message stays one readable line, however long the value is."""
    assert len(error({"push": "x" * 1000})) < 150


@pytest.mark.parametrize(
    ("section", "key", "shown"),
    [
        ({"image": 12}, "image", "12"),
        ({"push": {"tags": ["latest", 1.0]}}, "push.tags[1]", "1.0"),
        ({"version": {"literal": 1.10}}, "version.literal", "1.1"),
        ({"version": {"literal": date(2024, 1, 31)}}, "version.literal", '"2024-01-31"'),
        ({"network": True}, "network", "true"),
        ({"release": {"run": {"ports": [8080]}}}, "release.run.ports[0]", "8080"),
    ],
)
def test_numbers_for_text(section: Any, key: str, shown: str) -> None:
    """YAML makes numbers and dates of what was meant as text: quote it."""
    assert error(section) == f"0.yaml: `tinyship.{key}` is `{shown}`, but text is expected: quote it"


def test_sizes_as_bare_numbers() -> None:
    """`dead: 0` is a limit and needs no quotes; what is left out is none."""
    (budget,) = loaded({"size": {"budgets": [{"dead": 0, "unpacked": 40_000_000}]}}).settings.size.budgets
    assert (budget.dead, budget.unpacked, budget.pull, budget.growth) == ("0", "40000000", "", "")


@pytest.mark.parametrize(("value", "shown"), [(1.5, "1.5"), ("1.5", '"1.5"')])
def test_version_as_a_number(value: Any, shown: str) -> None:
    """`version: 1.5` gets told to write the section, with the version quoted."""
    expected = 'but a section is expected: `{literal: "1.5"}`, in quotes as it is meant'
    assert error({"version": value}) == f"0.yaml: `tinyship.version` is `{shown}`, {expected}"


@pytest.mark.parametrize(
    ("section", "key"), [({1: 2}, "1"), ({"push": {True: False}}, "push.True"), ({"args": {1: "s3cret"}}, "args.1")]
)
def test_keys_that_are_no_text(section: Any, key: str) -> None:
    """YAML makes numbers and booleans of keys: quote them."""
    text = error(section)
    assert text == f"0.yaml: `tinyship.{key}` is no key: quote it"
    assert "s3cret" not in text


SECRET = "s3cret"
SPOILED: list[Any] = [
    SECRET,
    [SECRET],
    [[SECRET]],
    [{"TOKEN": SECRET}],
    {"TOKEN": SECRET},
    [f"={SECRET}"],
    [f"TOKEN={SECRET}", SECRET],
    [f"TOKEN={SECRET}", 5],
]


@pytest.mark.parametrize("spoiled", SPOILED)
@pytest.mark.parametrize("key", ["args", "labels", "build.env", "release.run.env"])
def test_secrets_stay_secret(key: str, spoiled: Any) -> None:
    """What is wrong about arguments, labels and environments is said without their text."""
    section = spoiled
    for part in reversed(key.split(".")):
        section = {part: section}
    text = error(section)
    assert key in text
    assert SECRET not in text


@pytest.mark.parametrize(
    "section",
    [
        {"build": [{"env": [f"TOKEN={SECRET}"]}]},
        {"release": {"run": [f"TOKEN={SECRET}"]}},
        {"images": {"api": {"args": [f"TOKEN={SECRET}"]}}},
        {"images": [{"nam": "api", "args": [f"TOKEN={SECRET}"]}]},
        {"image": {"args": [f"TOKEN={SECRET}"]}},
        {"version": [f"TOKEN={SECRET}"]},
        [{"args": [f"TOKEN={SECRET}"]}],
    ],
)
def test_secrets_inside_of_wrong_sections_stay_secret(section: Any) -> None:
    """A list where a section belongs is not shown: it may hold secrets."""
    assert SECRET not in error(section)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "is no image name"),
        ("lacion/foo:1.0", "has a tag, and tags come from `push.tags`"),
        ("Lacion/Foo", "use lower case, `lacion/foo`"),
        ("lacion//foo", "is no image name"),
        ("lacion/foo ", "is no image name"),
        ("-foo", "is no image name"),
        ("https://example.com/foo", "is no image name"),
        ("a" * 256, "is no image name"),
    ],
)
def test_wrong_image_name(name: str, words: str) -> None:
    """An image's name is checked before anything is built."""
    text = error({"image": name})
    assert text.startswith(f"0.yaml: `tinyship.image`: `{name}`")
    assert words in text


@pytest.mark.parametrize(
    "name", ["foo", "lacion/foo", "localhost:5000/foo", "ghcr.io/lacion/foo-bar__baz.x/y", "[::1]:5000/x"]
)
def test_image_name(name: str) -> None:
    """Names with and without a registry are taken."""
    assert loaded({"image": name}).settings.image == name


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "bin/../../x", "bin/..", ".", "./", "", "..", "./../x"])
def test_artifact_outside_of_the_project(path: str) -> None:
    """An artifact is a path below the project's root."""
    text = error({"build": {"artifacts": ["bin/app", path]}})
    assert (
        text == f"0.yaml: `tinyship.build.artifacts`: artifact `{path}` leaves the project: give a path below its root"
    )


@pytest.mark.parametrize("path", ["app", "bin/app", "./app", "a..b", "..app", ".hidden/x", "dist/"])
def test_artifact_inside_of_the_project(path: str) -> None:
    """Dots are fine in names."""
    build = loaded({"build": {"artifacts": [path]}}).settings.build
    assert build is not None
    assert build.artifacts == (path,)


DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"build": {"tag": "a:b"}}, "`tinyship.build.tag`: `a:b` is no tag"),
        ({"push": {"to": ["a.example/b/"]}}, "`a.example/b/` is no registry (host[:port][/path], in lower case,"),
        ({"push": {"to": ["a.example:65536/b"]}}, "`a.example:65536/b` is no registry: ports end with 65535"),
        ({"push": {"to": ["https://a.example"]}}, "`tinyship.push.to`: `https://a.example` is no registry"),
        ({"push": {"tags": []}}, "`tinyship.push.tags`: there is none"),
        ({"push": {"tags": [""]}}, "`tinyship.push.tags`: a tag is empty"),
        ({"push": {"tags": ["{verison}"]}}, "`tinyship.push.tags`: `{verison}` is not known; there are version,"),
        ({"push": {"tags": ["{version"]}}, "`tinyship.push.tags`: `{version` is no template"),
        ({"push": {"tags": ["{version!r}"]}}, "only plain names stand in braces"),
        ({"push": {"tags": ["a/b"]}}, "`a/b` is no tag"),
        ({"push": {"tags": ["{}"]}}, "`{}` is not known"),
        ({"base": [{"name": "a"}]}, "`tinyship.base[0]`: `a` needs one of `dockerfile`, `rootfs` and `pull`"),
        ({"base": [{"name": "a", "dockerfile": "b", "pull": DIGEST}]}, "`a` needs one of"),
        ({"base": [{"name": "a", "pull": "latest"}]}, "`tinyship.base[0].pull`: `latest` is no digest"),
        ({"base": [{"name": "A:b", "pull": DIGEST}]}, "`tinyship.base[0].name`: `A:b` is no image name"),
        ({"base": [{"name": "a", "rootfs": {}}]}, "`tinyship.base[0].rootfs`: needs either `tar` or `command`"),
        ({"base": [{"name": "a", "pull": DIGEST, "changes": ["ENV A=1"]}]}, "`changes` go with `rootfs`"),
        ({"base": [{"name": "a", "pull": DIGEST}] * 2}, "`tinyship.base`: two entries are named `a`"),
        ({"version": {"literal": "1", "file": "VERSION"}}, "`literal` and `file` exclude each other"),
        (
            {"version": {"scheme": "calver"}},
            '`tinyship.version.scheme` is `"calver"`, but one of auto, semver, pep440 is',
        ),
        ({"version": {"regex": "(.*)"}}, "`tinyship.version.regex`: it needs `file`"),
        ({"version": {"file": "x", "regex": "("}}, "`tinyship.version.regex`: it is no regular expression"),
        ({"version": {"file": "x", "regex": "x"}}, "`tinyship.version.regex`: it needs a group around the version"),
        ({"size": {"budgets": [{"unpacked": "big"}]}}, "`tinyship.size.budgets[0].unpacked`: `big` is no size"),
        ({"size": {"budgets": [{"growth": "big"}]}}, "`tinyship.size.budgets[0].growth`: `big` is no growth"),
        ({"size": {"budgets": [{"floor": "1MB"}]}}, "it limits nothing"),
        ({"max_age": "a week"}, "`tinyship.max_age`: `a week` is no time (like 36h or 7d)"),
        (
            {"size": {"notes_remote": "https://me:secret@host/x"}},
            "`tinyship.size.notes_remote`: it is no name of a git remote",
        ),
        ({"size": {"notes_remote": "--upload-pack=x"}}, "`tinyship.size.notes_remote`: it is no name of a git remote"),
        ({"size": {"notes_remote": "ext::sh"}}, "`tinyship.size.notes_remote`: it is no name of a git remote"),
        ({"size": {"notes": False, "notes_remote": "origin"}}, "`tinyship.size.notes_remote`: it needs `notes`"),
        ({"clean": {"keep": 0}}, "`tinyship.clean.keep`: it is at least 1"),
        ({"clean": {"ask_above": 1.1}}, "`tinyship.clean.ask_above`: it is a share, from 0 to 1"),
        ({"clean": {"cache_age": "a week"}}, "`tinyship.clean.cache_age`: `a week` is no time (like 36h or 7d)"),
        ({"clean": {"registry": {"keep": 0}}}, "`tinyship.clean.registry.keep`: it is at least 1"),
        ({"clean": {"registry": {"age": "old"}}}, "`tinyship.clean.registry.age`: `old` is no time"),
        (
            {"clean": {"registry": {"age": "40000d"}}},
            "`tinyship.clean.registry.age`: `40000d` is longer than 100 years",
        ),
        (
            {"clean": {"registry": {"versions": "some"}}},
            '`tinyship.clean.registry.versions` is `"some"`, but one of final, tagged, last is',
        ),
        ({"clean": {"cache_size": "a lot"}}, "`tinyship.clean.cache_size`: `a lot` is no size"),
    ],
)
def test_wrong_values(section: Any, words: str) -> None:
    """What has the right type and cannot be right is named, with what would be."""
    text = error(section)
    assert text.startswith("0.yaml: ")
    assert words in text


def test_a_password_is_not_attested() -> None:
    """A proxy's password would stand in the provenance that is published with an image; it is in no error either."""
    proxy = "http://mate:s3cret@proxy.example.com:3128"
    told = error({"proxy": proxy, "attests": ["type=provenance,mode=max"]})
    assert "`type=provenance,mode=max` would publish" in told
    assert "s3cret" not in told
    for attests in ([], ["type=sbom"], ["type=provenance"], ["type=provenance,mode=min"]):
        assert loaded({"proxy": proxy, "attests": attests}).settings.proxy == proxy
    assert "no address of a proxy" in error({"proxy": "proxy.example.com"})
