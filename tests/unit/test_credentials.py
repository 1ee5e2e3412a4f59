"""Credentials: of the one registry that is asked for, from the Docker config or a helper."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tinyship import credentials
from tinyship.credentials import Credential
from tinyship.errors import RegistryError

HUB = "https://index.docker.io/v1/"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the Docker config, and one below it on PATH for helpers."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def config(docker: Path, **values: Any) -> Path:
    """Write the Docker config."""
    path = docker / "config.json"
    path.write_text(json.dumps(values))
    return path


def helper(docker: Path, name: str, script: str) -> None:
    """Write a credential helper; it notes each registry that it is asked for in `asked`."""
    path = docker / "bin" / f"docker-credential-{name}"
    path.write_text(f'#!/bin/sh\nread -r host\necho "$1 $host" >> "{docker}/asked"\n{script}\n')
    path.chmod(0o755)


def answer(username: str, secret: str) -> str:
    """A script that answers as a helper does."""
    return f"echo '{json.dumps({'ServerURL': 'x', 'Username': username, 'Secret': secret})}'"


def auth(username: str, password: str) -> dict[str, str]:
    """An entry as `docker login` writes it."""
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def test_no_config(docker: Path) -> None:
    """Without a Docker config there are no credentials, and no error."""
    assert credentials.find("a.example") is None
    assert list(docker.glob("asked")) == []


def test_from_the_config(docker: Path) -> None:
    """Name and password of the registry, and the file they are from; those of no other."""
    path = config(docker, auths={"a.example:5000": auth("me", "pa:ss"), "b.example": auth("you", "other")})
    assert credentials.find("a.example:5000") == Credential("me", "pa:ss", False, str(path))
    assert credentials.find("a.example") is None


@pytest.mark.parametrize("key", [HUB, "docker.io", "index.docker.io"])
def test_docker_hub(docker: Path, key: str) -> None:
    """Docker Hub has many names."""
    config(docker, auths={key: auth("me", "secret")})
    found = credentials.find("docker.io")
    assert found is not None
    assert (found.username, found.secret) == ("me", "secret")


def test_address_as_a_key(docker: Path) -> None:
    """Old configs have whole addresses as keys."""
    config(docker, auths={"https://a.example/v1/": auth("me", "secret")})
    found = credentials.find("a.example")
    assert found is not None
    assert found.username == "me"


def test_identity_token(docker: Path) -> None:
    """An identity token is told apart from a password."""
    config(docker, auths={"a.example": {**auth("me", ""), "identitytoken": "t0ken"}})
    found = credentials.find("a.example")
    assert found is not None
    assert (found.username, found.secret, found.identity_token) == ("", "t0ken", True)


@pytest.mark.parametrize("entry", [{}, {"auth": base64.b64encode(b"me:").decode()}])
def test_entry_without_a_secret(docker: Path, entry: dict[str, str]) -> None:
    """An entry that has no secret is none."""
    config(docker, auths={"a.example": entry})
    assert credentials.find("a.example") is None


def test_helper_of_the_registry(docker: Path) -> None:
    """The helper that the config names for the registry is asked for it, once, and no other is."""
    helper(docker, "one", answer("me", "secret"))
    helper(docker, "all", answer("you", "other"))
    config(docker, credHelpers={"a.example": "one"}, credsStore="all")
    assert credentials.find("a.example") == Credential("me", "secret", False, "credential helper one")
    assert (docker / "asked").read_text() == "get a.example\n"


def test_store_of_all_registries(docker: Path) -> None:
    """A registry without a helper of its own is looked for in the store; Docker Hub by its address."""
    helper(docker, "all", answer("me", "secret"))
    config(docker, credsStore="all")
    assert credentials.find("docker.io") == Credential("me", "secret", False, "credential helper all")
    assert (docker / "asked").read_text() == f"get {HUB}\n"


def test_helper_with_a_token(docker: Path) -> None:
    """A helper's user `<token>` means an identity token."""
    helper(docker, "one", answer("<token>", "t0ken"))
    config(docker, credHelpers={"a.example": "one"})
    assert credentials.find("a.example") == Credential("", "t0ken", True, "credential helper one")


NOT_FOUND = "echo 'credentials not found in native keychain'; exit 1"


def test_helper_that_knows_nothing(docker: Path) -> None:
    """A helper without credentials for the registry is no error."""
    helper(docker, "one", NOT_FOUND)
    config(docker, credHelpers={"a.example": "one"})
    assert credentials.find("a.example") is None


def test_helper_that_knows_nothing_beside_an_entry(docker: Path) -> None:
    """Where the helper knows nothing, the file's entry holds, and is named as the source."""
    helper(docker, "one", NOT_FOUND)
    path = config(docker, credHelpers={"a.example": "one"}, auths={"a.example": auth("me", "secret")})
    assert credentials.find("a.example") == Credential("me", "secret", False, str(path))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'the keychain is locked'; exit 1", "the keychain is locked"),
        ("echo s3cret", ""),
        ("""echo '{"Secret": "s3cret"}'""", ""),
        (None, "docker-credential-one"),
    ],
)
def test_helper_that_fails(docker: Path, script: str | None, reason: str) -> None:
    """A broken or missing helper is an error that names it and the registry, and quotes no secret."""
    if script is not None:
        helper(docker, "one", script)
    config(docker, credHelpers={"a.example": "one"})
    with pytest.raises(RegistryError) as caught:
        credentials.find("a.example")
    assert caught.value.host == "a.example"
    assert "docker-credential-one failed for a.example" in str(caught.value)
    assert reason in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "credHelpers" in caught.value.hint


def test_broken_helper_of_another_registry(docker: Path) -> None:
    """A registry that does not need the broken helper does not meet it."""
    config(docker, credHelpers={"b.example": "missing"}, auths={"a.example": auth("me", "secret")})
    assert credentials.find("a.example") is not None


def test_secret_is_not_shown() -> None:
    """A secret is in no traceback and no log."""
    assert "s3cret" not in repr(Credential("me", "s3cret", False, "here"))


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        ("foo", "docker.io"),
        ("lacion/foo", "docker.io"),
        ("docker.io/lacion/foo", "docker.io"),
        ("index.docker.io/lacion/foo", "docker.io"),
        ("registry-1.docker.io/lacion/foo", "docker.io"),
        ("localhost/foo", "localhost"),
        ("localhost:5000/foo:1.0", "localhost:5000"),
        ("ghcr.io/lacion/foo:1.0", "ghcr.io"),
        ("registry:5000/foo", "registry:5000"),
        ("[::1]:5000/foo", "[::1]:5000"),
        ("foo:1.0", "docker.io"),
    ],
)
def test_host_of(reference: str, host: str) -> None:
    """A reference's first part is a host where it looks like one."""
    assert credentials.host_of(reference) == host


@pytest.mark.parametrize(
    ("credential", "content"),
    [
        (None, {}),
        (Credential("me", "sécret", False, "here"), {"username": "me", "password": "sécret"}),
        (Credential("", "t0ken", True, "here"), {"identitytoken": "t0ken"}),
    ],
)
def test_header(credential: Credential | None, content: dict[str, str]) -> None:
    """The header holds what the engine wants to know, and an empty map where there is nothing."""
    assert json.loads(base64.urlsafe_b64decode(credentials.header(credential))) == content
