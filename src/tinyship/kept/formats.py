"""The record as other programs take it: shell assignments, a file for Bake, one for Skaffold, plain references.

Where an image was pushed to several registries, the first of ``push.to`` counts: its tags come first in the record.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from tinyship.errors import ConfigError, NothingPushed, NothingReleased
from tinyship.kept.record import Record, Release

FORMATS = ("env", "bake", "skaffold")
PREFIX = "RELEASE_"
"""Of the variables: not ``TINYSHIP_``, which is that of settings, so that a shell may export them."""
_OCI = "org.opencontainers.image."


def render(record: Record, format: str) -> str:
    """The record as one of ``FORMATS``, without the last line's end.

    ``env``: assignments that a POSIX shell, and whoever reads ``.env`` files by its rules, takes: see ``variables``.

    ``bake``: a JSON file for ``docker buildx bake``, given after one's own, ``-f docker-bake.hcl -f release.json``. Its
    ``variable`` are those of ``env``; a Bake file that declares ``variable "RELEASE_VERSION" {}`` can use them. A
    target that has ``inherits = ["tinyship"]`` finds each released image as a named context, so that its ``FROM
    lacion/foo`` is that very digest. One that has ``inherits = ["tinyship-foo"]`` gets the build arguments, labels and
    tags of the release of ``lacion/foo``, and so builds the same release again, for another output or platform.

    ``skaffold``: ``build.json`` for ``skaffold deploy --build-artifacts``: each image by the reference that has both
    tag and digest; by its tag in the engine until it is pushed.

    Args:
        record: of at least one image.
        format: one of ``FORMATS``.

    Raises:
        NothingReleased: the record is empty.
        ConfigError: there is no such format.

    Source: docs/bake-reference.md and docs/guides of docker/buildx ("contexts", "JSON"); the type ``BuildOutput`` of
    Skaffold (cmd/skaffold/app/flags/build_output.go).
    """
    check(format)
    return {"env": _env, "bake": _bake, "skaffold": _skaffold}[format](_some(record))


def check(format: str) -> None:
    """Raise ConfigError unless it is one of ``FORMATS``."""
    if format not in FORMATS:
        raise ConfigError(f"`--format={format}`: there are {', '.join(FORMATS)}")


def check_one(flags: Mapping[str, object]) -> None:
    """Raise ConfigError where more than one of several flags is given, of which each says what is printed alone."""
    if len(asked := [flag for flag, given in flags.items() if given]) > 1:
        raise ConfigError(f"`{asked[0]}` and `{asked[1]}` exclude each other")


def select(record: Record, images: Iterable[str]) -> Record:
    """The entries of these images, in their order.

    Raises:
        NothingReleased: one of them has none.
    """
    wanted = tuple(images)
    found = record.only(wanted)
    if missing := [image for image in wanted if not found.find(image)]:
        raise NothingReleased(
            f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not released yet",
            hint="`invoke release` comes first.",
        )
    return found


def image_refs(record: Record) -> tuple[str, ...]:
    """``repository@sha256:...`` of each image, in the first registry that it was pushed to.

    Raises:
        NothingReleased: the record is empty.
        NothingPushed: an image of it is in no registry.
    """
    for release in _some(record):
        if not release.pushed:
            raise NothingPushed(
                f"version {release.version} is in no registry yet",
                hint="`invoke push` comes first.",
                image=release.image,
            )
    return tuple(_by_digest(release) for release in record.images)


def variables(record: Record) -> dict[str, str]:
    """What a shell should know of a release, by the variable's name.

    ``RELEASE_IMAGE``: the repository's name, without a registry; ``_VERSION``; ``_COMMIT``; ``_CREATED``: the commit's
    date; ``_PLATFORM``; ``_ID``: the engine's id; ``_REPOSITORY``: with its registry; ``_DIGEST``; ``_REFERENCE``:
    ``repository@digest``; ``_TAGS``: each pushed reference, with a space between them. The last four are empty until
    there was a push. Of several images each has its name in them: ``RELEASE_API_VERSION`` of ``lacion/api``.
    """
    names = _names(release.image for release in record.images)
    alone = len(record.images) == 1
    found: dict[str, str] = {}
    for release in record.images:
        begin = PREFIX if alone else f"{PREFIX}{_upper(names[release.image])}_"
        found |= {f"{begin}{name}": value for name, value in _facts(release).items()}
    return found


def _facts(release: Release) -> dict[str, str]:
    first = release.pushed[0] if release.pushed else None
    return {
        "IMAGE": release.image,
        "VERSION": release.version,
        "COMMIT": release.commit,
        "CREATED": release.created,
        "PLATFORM": release.platform,
        "ID": release.id,
        "REPOSITORY": _repository(first.reference) if first else "",
        "DIGEST": first.digest if first else "",
        "REFERENCE": _by_digest(release) if first else "",
        "TAGS": " ".join(pushed.reference for pushed in release.pushed),
    }


def _env(releases: tuple[Release, ...]) -> str:
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in variables(Record(releases)).items())


def _bake(releases: tuple[Release, ...]) -> str:
    names = _names(release.image for release in releases)
    targets: dict[str, Any] = {
        "tinyship": {"contexts": {release.image: f"docker-image://{_by_tag(release)}" for release in releases}}
    }
    for release in releases:
        facts = {
            f"{_OCI}version": release.version,
            f"{_OCI}revision": release.commit,
            f"{_OCI}created": release.created,
            f"{_OCI}source": release.source,
        }
        targets[f"tinyship-{names[release.image]}"] = {
            "args": _known({"VERSION": release.version, "GIT_COMMIT": release.commit}),
            "labels": _known(facts),
            "tags": [pushed.reference for pushed in release.pushed]
            or [f"{release.image}:{tag}" for tag in release.tags],
        }
    variable = {name: {"default": value} for name, value in variables(Record(releases)).items()}
    return json.dumps(_literal({"variable": variable, "target": targets}), indent=2)


def _skaffold(releases: tuple[Release, ...]) -> str:
    builds = [{"imageName": release.image, "tag": _by_tag(release)} for release in releases]
    return json.dumps({"builds": builds}, indent=2)


def _some(record: Record) -> tuple[Release, ...]:
    if not record.images:
        raise NothingReleased("nothing is released yet", hint="`invoke release` comes first.")
    return record.images


def _by_digest(release: Release) -> str:
    return f"{_repository(release.pushed[0].reference)}@{release.pushed[0].digest}"


def _by_tag(release: Release) -> str:
    """The reference with tag and digest, of the version where it was pushed as that; the engine's own until a push."""
    if not release.pushed:
        return release.reference
    repository = _repository(release.pushed[0].reference)
    named = f"{repository}:{release.version}"
    found = next((pushed for pushed in release.pushed if pushed.reference == named), release.pushed[0])
    return f"{found.reference}@{found.digest}"


def _repository(reference: str) -> str:
    """A pushed reference without its tag, which it always has."""
    return reference.rpartition(":")[0]


def _names(images: Iterable[str]) -> dict[str, str]:
    """A short name for each image: the last part of its repository's, or all of it where two share that."""
    every = list(images)
    last = {image: _plain(image.rpartition("/")[2]) for image in every}
    short = {image: name if list(last.values()).count(name) == 1 else _plain(image) for image, name in last.items()}
    taken: dict[str, str] = {}
    for image, name in short.items():
        free = name
        while free in taken.values():  # `a-b/c` and `a/b-c` are the same where only letters and digits count
            free += "_"
        taken[image] = free
    return taken


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _upper(name: str) -> str:
    return name.replace("-", "_").upper()


def _known(facts: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in facts.items() if value}


def _literal(value: Any) -> Any:
    """The same, with every text escaped: HCL takes ``${`` and ``%{`` in JSON for the start of a template.

    Source: the JSON syntax of HCL (hcl/json/spec.md, "Strings"); hclsyntax/spec.md, "Template Literals".
    """
    if isinstance(value, dict):
        return {key: _literal(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_literal(inner) for inner in value]
    return value.replace("${", "$${").replace("%{", "%%{") if isinstance(value, str) else value
