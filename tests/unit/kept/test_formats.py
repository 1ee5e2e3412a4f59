"""The record for other programs: names, quoting, references, and what is said where there is nothing."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest

from tinyship.errors import ConfigError, NothingPushed, NothingReleased
from tinyship.kept import formats
from tinyship.kept.record import Pushed, Record, Release

DIGEST, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
UNPUSHED = Release(
    image="lacion/foo",
    version="1.4.0",
    commit="c" * 40,
    tree="",
    dirty=False,
    source="https://example.com/lacion/foo",
    created="2017-05-01T12:00:00+00:00",
    platform="linux/amd64",
    id="sha256:" + "0" * 64,
    tags=("local", "1.4.0"),
    sizes=(),
)
FOO = replace(
    UNPUSHED,
    pushed=(
        Pushed("registry.example.com:5000/lacion/foo:" + "c" * 40, DIGEST),
        Pushed("registry.example.com:5000/lacion/foo:1.4.0", DIGEST),
        Pushed("localhost:5000/lacion/foo:1.4.0", OTHER),
    ),
)
BAR = replace(FOO, image="lacion/my.bar", pushed=(Pushed("lacion/my.bar:1.4.0", OTHER),))


def sourced(text: str) -> dict[str, str]:
    """What a shell has after reading the text."""
    script = f"{text}\nset | sed -n 's/^\\(RELEASE_[A-Z_]*\\)=.*/\\1/p'"
    names = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True).stdout.split()
    found = {}
    for name in names:
        done = subprocess.run(
            ["sh", "-euc", f'{text}\nprintf %s "${name}"'], capture_output=True, text=True, check=True
        )
        found[name] = done.stdout
    return found


def test_env_of_one_image() -> None:
    """One image has plain names; the first registry counts."""
    assert sourced(formats.render(Record((FOO,)), "env")) == {
        "RELEASE_IMAGE": "lacion/foo",
        "RELEASE_VERSION": "1.4.0",
        "RELEASE_COMMIT": "c" * 40,
        "RELEASE_CREATED": "2017-05-01T12:00:00+00:00",
        "RELEASE_PLATFORM": "linux/amd64",
        "RELEASE_ID": "sha256:" + "0" * 64,
        "RELEASE_REPOSITORY": "registry.example.com:5000/lacion/foo",
        "RELEASE_DIGEST": DIGEST,
        "RELEASE_REFERENCE": f"registry.example.com:5000/lacion/foo@{DIGEST}",
        "RELEASE_TAGS": " ".join(pushed.reference for pushed in FOO.pushed),
    }


def test_env_of_several_images() -> None:
    """Each has its name in its variables; what is the same for two is told apart by the whole of it."""
    names = formats.variables(Record((FOO, BAR)))
    assert names["RELEASE_FOO_VERSION"] == "1.4.0"
    assert names["RELEASE_MY_BAR_REFERENCE"] == f"lacion/my.bar@{OTHER}"
    clash = formats.variables(Record((replace(FOO, image="a/api"), replace(FOO, image="b/api"))))
    assert {"RELEASE_A_API_IMAGE", "RELEASE_B_API_IMAGE"} <= clash.keys()
    near = formats.variables(Record((replace(FOO, image="a-b/c"), replace(FOO, image="a/b-c"))))
    worse = formats.variables(Record((replace(FOO, image="x/b.c"), replace(FOO, image="x/b-c"))))
    assert len(near) == len(worse) == 20


def test_env_is_quoted() -> None:
    """Nothing in a record runs in the shell that reads it; a shell that exports all of it can still run tinyship."""
    odd = 'it\'s $(touch /tmp/x) `id` "$HOME" \\ ; & | > < * ?'
    text = formats.render(Record((replace(UNPUSHED, version=odd, commit=""),)), "env")
    found = sourced(text)
    assert (found["RELEASE_VERSION"], found["RELEASE_COMMIT"], found["RELEASE_REFERENCE"]) == (odd, "", "")
    assert "TINYSHIP_" not in text


def test_bake() -> None:
    """Contexts to inherit for what stands on the release; args, labels and tags for what is built again."""
    found = json.loads(formats.render(Record((FOO, BAR)), "bake"))
    assert found["variable"]["RELEASE_FOO_DIGEST"] == {"default": DIGEST}
    assert found["target"]["tinyship"]["contexts"] == {
        "lacion/foo": f"docker-image://registry.example.com:5000/lacion/foo:1.4.0@{DIGEST}",
        "lacion/my.bar": f"docker-image://lacion/my.bar:1.4.0@{OTHER}",
    }
    assert found["target"]["tinyship-foo"] == {
        "args": {"VERSION": "1.4.0", "GIT_COMMIT": "c" * 40},
        "labels": {
            "org.opencontainers.image.version": "1.4.0",
            "org.opencontainers.image.revision": "c" * 40,
            "org.opencontainers.image.created": "2017-05-01T12:00:00+00:00",
            "org.opencontainers.image.source": "https://example.com/lacion/foo",
        },
        "tags": [pushed.reference for pushed in FOO.pushed],
    }
    assert set(found["target"]) == {"tinyship", "tinyship-foo", "tinyship-my-bar"}


def test_bake_evaluates_nothing() -> None:
    """What looks like a template of HCL is escaped; what is empty is left out."""
    odd = replace(UNPUSHED, source="https://example.com/${BAKE_LOCAL_PLATFORM}/%{x}", commit="", created="")
    found = json.loads(formats.render(Record((odd,)), "bake"))
    assert found["target"]["tinyship-foo"]["labels"] == {
        "org.opencontainers.image.version": "1.4.0",
        "org.opencontainers.image.source": "https://example.com/$${BAKE_LOCAL_PLATFORM}/%%{x}",
    }
    assert found["target"]["tinyship-foo"]["tags"] == ["lacion/foo:local", "lacion/foo:1.4.0"]


def test_skaffold() -> None:
    """The tag has registry, version and digest; until it is pushed, it is the engine's."""
    assert json.loads(formats.render(Record((FOO,)), "skaffold")) == {
        "builds": [{"imageName": "lacion/foo", "tag": f"registry.example.com:5000/lacion/foo:1.4.0@{DIGEST}"}]
    }
    found = json.loads(formats.render(Record((UNPUSHED, replace(FOO, version="9"))), "skaffold"))
    assert [build["tag"] for build in found["builds"]] == [
        "lacion/foo:1.4.0",
        f"{FOO.pushed[0].reference}@{DIGEST}",
    ]


def test_image_refs() -> None:
    """One line an image, by digest, in the first registry."""
    assert formats.image_refs(Record((FOO, BAR))) == (
        f"registry.example.com:5000/lacion/foo@{DIGEST}",
        f"lacion/my.bar@{OTHER}",
    )


def test_nothing_pushed() -> None:
    """One image that is in no registry is an error about it, whatever the others are."""
    with pytest.raises(NothingPushed, match=r"in no registry yet") as caught:
        formats.image_refs(Record((FOO, replace(UNPUSHED, image="lacion/bar"))))
    assert caught.value.image == "lacion/bar"
    assert "`invoke push`" in caught.value.hint


@pytest.mark.parametrize("format", formats.FORMATS)
def test_nothing_released(format: str) -> None:
    """An empty record is an error of its own."""
    with pytest.raises(NothingReleased):
        formats.render(Record(), format)
    with pytest.raises(NothingReleased):
        formats.image_refs(Record())


def test_unknown_format() -> None:
    """Another word is an error that names those that there are."""
    with pytest.raises(ConfigError, match="env, bake, skaffold"):
        formats.render(Record((FOO,)), "xml")
