"""Labels and build arguments: git's facts, and the project's own over them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from tinyship import labels
from tinyship.git.revision import Revision
from tinyship.settings.schema import Settings

SETTINGS = Settings(image="ghcr.io/lacion/foo")
REVISION = Revision(
    commit="c" * 40,
    branch="main",
    version="1.2.3",
    tag="v1.2.3",
    date=datetime(2017, 5, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))),
    source="https://example.com/lacion/foo",
)
OCI = "org.opencontainers.image."


def test_own_labels() -> None:
    """What tinyship made is known by project and stage."""
    assert labels.own(SETTINGS, "base") == {"tinyship.project": "ghcr.io/lacion/foo", "tinyship.stage": "base"}


def test_labels_of_a_release() -> None:
    """All of OCI's annotations that git has an answer to, and the article's two; times are UTC."""
    assert labels.oci(SETTINGS, REVISION) == {
        f"{OCI}title": "foo",
        f"{OCI}version": "1.2.3",
        f"{OCI}revision": "c" * 40,
        f"{OCI}created": "2017-04-30T23:30:00Z",
        f"{OCI}source": "https://example.com/lacion/foo",
        f"{OCI}url": "https://example.com/lacion/foo",
        f"{OCI}ref.name": "v1.2.3",
        "GIT_COMMIT": "c" * 40,
        "VERSION": "1.2.3",
    }


def test_labels_of_a_dirty_tree() -> None:
    """The labels say that the tree was dirty, and the branch where there is no tag."""
    result = labels.oci(SETTINGS, replace(REVISION, tag="", dirty=True))
    assert result["VERSION"] == result[f"{OCI}version"] == "1.2.3-dirty"
    assert result[f"{OCI}ref.name"] == "main"


def test_nothing_is_labelled_empty() -> None:
    """What is not known has no label."""
    assert labels.oci(SETTINGS, Revision(version="1.0", is_given=True)) == {
        f"{OCI}title": "foo",
        f"{OCI}version": "1.0",
        "VERSION": "1.0",
    }


def test_own_labels_of_the_project_win() -> None:
    """The settings' labels are added, and replace those that come by themselves; values keep their `=`."""
    settings = Settings(image="foo", labels=("VERSION=mine", "a.b=c=d", "empty="))
    result = labels.oci(settings, REVISION)
    assert (result["VERSION"], result["a.b"], result["empty"]) == ("mine", "c=d", "")
    assert result["GIT_COMMIT"] == "c" * 40


def test_arguments_are_those_declared() -> None:
    """A Dockerfile gets the arguments that it declares, and no others."""
    settings = Settings(image="foo", args=("TOKEN=a=b", "OTHER=x"))
    assert labels.arguments(settings, REVISION, {"TOKEN", "VERSION", "UNKNOWN"}) == {
        "TOKEN": "a=b",
        "VERSION": "1.2.3",
    }
    assert labels.arguments(settings, REVISION, set()) == {}


def test_automatic_arguments() -> None:
    """All that come by themselves have a value where git has one."""
    result = labels.arguments(SETTINGS, REVISION, labels.AUTOMATIC)
    assert result == {
        "GIT_COMMIT": "c" * 40,
        "VERSION": "1.2.3",
        "BUILD_DATE": "2017-04-30T23:30:00Z",
        "SOURCE_DATE_EPOCH": "1493595000",
    }


def test_arguments_without_a_value_are_left_to_the_dockerfile() -> None:
    """Without git, the Dockerfile's defaults hold."""
    revision = Revision(version="1.0", is_given=True)
    assert labels.arguments(SETTINGS, revision, labels.AUTOMATIC) == {"VERSION": "1.0"}


@pytest.mark.parametrize("name", sorted(labels.AUTOMATIC))
def test_own_arguments_of_the_project_win(name: str) -> None:
    """An argument of the settings replaces the one that comes by itself."""
    settings = Settings(image="foo", args=(f"{name}=mine",))
    assert labels.arguments(settings, REVISION, {name}) == {name: "mine"}


def test_labels_from_elsewhere() -> None:
    """What is given beside is kept even where it is empty, which hides what a base image says; the project's wins."""
    given = {labels.BASE_NAME: "docker.io/library/alpine:3.22", labels.BASE_DIGEST: ""}
    result = labels.oci(SETTINGS, REVISION, more=given)
    assert result.items() >= given.items()
    own = Settings(image="foo", labels=(f"{labels.BASE_NAME}=mine",))
    assert labels.oci(own, REVISION, more=given)[labels.BASE_NAME] == "mine"
