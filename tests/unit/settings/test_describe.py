"""Settings as rows: every key once, values as one would write them."""

from __future__ import annotations

from typing import Any

import pytest

from tinyship.settings import describe
from tinyship.settings.load import Layer, load
from tinyship.settings.schema import Settings


def settings(**values: Any) -> Settings:
    """Settings of an image, with these keys set."""
    return load([Layer("invoke.yaml", {"image": "lacion/foo", **values})], environ={})[0].settings


def test_rows_have_dotted_keys() -> None:
    """Sections are spread to dotted keys, each of which stands once; the section itself has no row."""
    keys = [key for key, _ in describe.values(settings())]
    assert len(keys) == len(set(keys))
    assert {"image", "release.dockerfile", "release.run.ports", "push.to", "clean.keep"} <= set(keys)
    assert not {"release", "release.run", "push"} & set(keys)


def test_section_without_values_is_one_row() -> None:
    """An image without a build stage has one row that says so, and one with it a row for each key."""
    assert dict(describe.values(settings()))["build"] is None
    rows = dict(describe.values(settings(build={})))
    assert "build" not in rows
    assert rows["build.dockerfile"] == "Dockerfile.build"


def test_rows_have_what_was_set() -> None:
    """Values are those in force: set ones and defaults."""
    rows = dict(describe.values(settings(push={"to": ["localhost:5000"], "smoke": True})))
    assert list(rows["push.to"]) == ["localhost:5000"]
    assert rows["push.smoke"] is True
    assert rows["clean.keep"] == 3


def shown(key: str, **values: Any) -> str:
    """How a setting is shown."""
    return describe.text(dict(describe.values(settings(**values)))[key])


@pytest.mark.parametrize(
    ("key", "values", "text"),
    [
        ("image", {}, "lacion/foo"),
        ("network", {}, "-"),
        ("build", {}, "-"),
        ("base", {}, "-"),
        ("push.to", {}, "-"),
        ("push.to", {"push": {"to": ["a.example", "b.example"]}}, "a.example, b.example"),
        ("push.smoke", {}, "no"),
        ("push.smoke", {"push": {"smoke": True}}, "yes"),
        ("clean.keep", {"clean": {"keep": 5}}, "5"),
        ("push.timeout", {}, "300.0"),
        ("build.command", {"build": {"command": "make all"}}, "make all"),
        ("build.command", {"build": {"command": ["make", "all"]}}, "make, all"),
    ],
)
def test_text(key: str, values: dict[str, Any], text: str) -> None:
    """Nothing is a dash, lists have commas, booleans are words."""
    assert shown(key, **values) == text


def test_rows_of_maps_in_lists() -> None:
    """A base has a row for each key that is set, with the source of the list."""
    base = [{"name": "lacion/alpine", "rootfs": {"tar": "wurzel-ü.tar"}}]
    loaded = load([Layer("invoke.yaml", {"image": "lacion/foo", "base": base})], environ={})[0]
    assert describe.rows(loaded.settings, loaded.origins, all=False) == (
        ("image", "invoke.yaml", "lacion/foo"),
        ("base[0].name", "invoke.yaml", "lacion/alpine"),
        ("base[0].context", "invoke.yaml", "."),
        ("base[0].rootfs.tar", "invoke.yaml", "wurzel-ü.tar"),
    )
    every = {key: source for key, source, _ in describe.rows(loaded.settings, loaded.origins, all=True)}
    assert every["clean.keep"] == "default"


def test_options_are_shown_as_they_are_written() -> None:
    """Of a secret the place is shown, which is all that the config has of it; a builder without TLS has one row."""
    assert shown("secrets", secrets=["id=npm,env=NPM_TOKEN", "id=x"]) == "id=npm,env=NPM_TOKEN, id=x"
    assert shown("builder_tls") == "-"
    assert shown("builder_tls.ca", builder_tls={"ca": "ca.pem"}) == "ca.pem"
    assert shown("release.outputs", release={"outputs": ["out"]}) == "out"


@pytest.mark.parametrize(
    ("proxy", "text"),
    [
        ("http://proxy.example.com:3128", "http://proxy.example.com:3128"),
        ("http://mate:s3cret@proxy.example.com:3128", "http://***@proxy.example.com:3128"),
        ("https://mate:s3@cret@proxy.example.com", "https://***@proxy.example.com"),
        ("", "-"),
    ],
)
def test_proxy_without_its_password(proxy: str, text: str) -> None:
    """Neither the name nor the password that a proxy wants is shown."""
    assert shown("proxy", proxy=proxy) == text
