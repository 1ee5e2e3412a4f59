"""What the entries of settings say that are written as `docker build` takes its options: secrets, caches, outputs.

Source: docker buildx, ``util/buildflags``. Errors do not tell the text of an entry that a secret may stand in.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

from tinyship.settings import fields
from tinyship.settings.grammar import check_artifact, check_reference, check_registry

BUILDERS = ("auto", "buildkit", "classic")
TARGET = "target:"
"""What a named context begins with that is another entry of ``images``."""
IMAGE = "docker-image://"
PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9.]+)?")
"""Of an image: ``os/architecture[/variant]``."""
_ULIMIT = re.compile(r"(?P<name>[a-z]+)=(?P<soft>-1|[0-9]+)(?::(?P<hard>-1|[0-9]+))?")
LIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio"),
    *("rttime", "sigpending", "stack"),
)
_ID = re.compile(r"[^\s,=]+")
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_WITH_DEST = ("local", "tar", "oci", "docker")


class SecretOption(Struct, frozen=True):
    """A secret: its id, and the variable or the file that holds it; neither where only the id is given."""

    id: str
    env: str = ""
    file: str = ""


class CacheOption(Struct, frozen=True):
    """Somewhere for a cache: ``registry``, ``local`` or ``inline``, and its attributes without the type."""

    kind: str
    attributes: Mapping[str, str]


class OutputOption(Struct, frozen=True):
    """An output: its type, where it goes below the project's root (empty for ``image``), its other attributes."""

    kind: Literal["local", "tar", "oci", "docker", "image"]
    dest: str
    attributes: Mapping[str, str]


def secret(entry: str) -> SecretOption:
    """Read ``id=npm,env=NPM_TOKEN``, ``id=npm,src=path`` or ``id=npm``.

    Raises:
        ValueError: it is none of them.
    """
    values = fields.pairs(entry)
    known = ("id", "env", "src", "source", "type")
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)  # what is like none may be a secret
            said = f"`{key}` is no field of a secret; the nearest is `{near[0]}`" if near else "a field is not known"
            raise ValueError(said if near else f"{said}; there are {', '.join(known)}")
    name, kind = values.get("id", ""), values.get("type", "")
    if not _ID.fullmatch(name):
        raise ValueError("it needs an `id`")
    if kind not in {"", "env", "file"}:
        raise ValueError("its `type` is neither `env` nor `file`")
    if len(given := [key for key in ("env", "src", "source") if values.get(key)]) > 1:
        raise ValueError(f"`{given[0]}` and `{given[1]}` exclude each other")
    env, file = values.get("env", ""), values.get("src", "") or values.get("source", "")
    if kind == "env":
        return SecretOption(name, env=env or file or name)
    if kind == "file" and env:
        raise ValueError("`type=file` and `env` exclude each other")
    return SecretOption(name, env=env, file=file or (name if kind == "file" else ""))


def ssh(entry: str) -> tuple[str, str]:
    """Read ``default`` or ``ID=path`` into the id and the path of the agent's socket; without one it is SSH_AUTH_SOCK.

    Raises:
        ValueError: it is neither.
    """
    name, equals, path = entry.partition("=")
    if not _ID.fullmatch(name) or (equals and not path):
        raise ValueError(f"`{entry}` is neither `default` nor `ID=path of an agent's socket`")
    if "," in path:
        raise ValueError(f"`{entry}` has several paths: give the socket of one agent")
    return name, path


def cache_from(entry: str) -> CacheOption:
    """Read ``type=registry,ref=...``, ``type=local,src=...`` or a bare reference.

    Raises:
        ValueError: it is none of them.
    """
    return _cache(entry, {"registry": "ref", "local": "src"})


def cache_to(entry: str) -> CacheOption:
    """Read ``type=registry,ref=...``, ``type=local,dest=...``, ``type=inline`` or a bare reference.

    Raises:
        ValueError: it is none of them.
    """
    return _cache(entry, {"registry": "ref", "local": "dest", "inline": ""})


def context(entry: str) -> tuple[str, str]:
    """Read ``NAME=folder``, ``NAME=docker-image://reference`` or ``NAME=target:IMAGE`` into the name and the rest.

    Raises:
        ValueError: it is none of them.
    """
    name, equals, value = entry.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise ValueError(f"`{entry}` is not of the form `NAME=folder`")
    name, value = name.strip(), value.strip()
    if value.startswith(IMAGE):
        check_reference(_DIGEST.sub("", value.removeprefix(IMAGE)))
    elif re.match(r"[a-z0-9+.-]+://", value) or value.startswith("git@"):
        raise ValueError(f"`{entry}`: a context is a folder, `{IMAGE}reference` or `{TARGET}IMAGE`")
    elif value == TARGET:
        raise ValueError(f"`{entry}` names no entry of `images`")
    return name, value


def attest(entry: str) -> tuple[str, str]:
    """Read ``type=provenance,mode=max`` or ``type=sbom`` into the type and its parameters.

    Raises:
        ValueError: it is neither.
    """
    values = _pairs(entry)
    kind = values.pop("type", "")
    _choose(entry, "type", kind, ("provenance", "sbom"))
    if kind == "provenance" and "mode" in values:
        _choose(entry, "mode", values["mode"], ("min", "max"))
    return kind, fields.join(values)


def output(entry: str) -> OutputOption:
    """Read ``type=local,dest=out`` (a bare path means that), or another type: tar, oci, docker, image, registry.

    Raises:
        ValueError: it is none of them, or writes to somewhere outside of the project.
    """
    if entry == "-" or ("=" not in entry and "," not in entry):
        values = {"type": "local", "dest": entry}
    else:
        values = _pairs(entry)
    kind = values.pop("type", "")
    _choose(entry, "type", kind, (*_WITH_DEST, "image", "registry"))
    dest = values.pop("dest", "")
    if kind in _WITH_DEST:
        _check_dest(entry, dest)
        return OutputOption(kind, dest, values)  # type: ignore[arg-type]  # it is one of the four
    if dest:
        raise ValueError(f"`{entry}`: `type={kind}` has no `dest`; it has a `name`")
    if not values.get("name"):
        raise ValueError(f"`{entry}` needs a `name`, the reference to keep or push the image as")
    for name in values["name"].split(","):
        check_reference(name)
    return OutputOption("image", "", {**values, "push": "true"} if kind == "registry" else values)


def ulimit(entry: str) -> str:
    """Read ``nofile=1024:2048`` or ``nofile=1024``, and return it.

    Raises:
        ValueError: it is neither.
    """
    match = _ULIMIT.fullmatch(entry)
    if not match:
        raise ValueError(f"`{entry}` is no limit (like `nofile=1024:2048`)")
    if match["name"] not in LIMITS:
        raise ValueError(f"`{match['name']}` is no limit; the nearest is `{_nearest(match['name'], LIMITS)}`")
    soft, hard = int(match["soft"]), int(match["hard"] or match["soft"])
    if hard != -1 and (soft > hard or soft == -1):
        raise ValueError(f"`{entry}`: the soft limit, which comes first, is above the hard one")
    return entry


def platform(entry: str) -> str:
    """Read ``linux/arm64`` or ``linux/arm/v7``, and return it.

    Raises:
        ValueError: it is none.
    """
    if not PLATFORM.fullmatch(entry):
        meant = f", like `linux/{entry}`" if re.fullmatch(r"[a-z0-9_]+", entry) else " (like `linux/arm64`)"
        raise ValueError(f"`{entry}` is no platform{meant}")
    return entry


def check_builder(builder: str) -> None:
    """Raise ValueError unless ``builder`` is ``auto``, ``buildkit``, ``classic``, or the address of a buildkitd."""
    if builder in BUILDERS:
        return
    if "@" in builder:
        raise ValueError("an address has no user in it")
    if is_address(builder):
        _check_address(builder)
        return
    wanted = ", ".join((*BUILDERS, "tcp://host:port", "unix:///path"))
    near = difflib.get_close_matches(builder, BUILDERS, n=1, cutoff=0.4)
    raise ValueError(f"`{builder}` is none of {wanted}" + (f"; the nearest is `{near[0]}`" if near else ""))


def is_address(builder: str) -> bool:
    """Whether a builder is a buildkitd of its own, not what the engine has inside."""
    return builder.startswith(("tcp://", "unix://"))


def check_each(entries: tuple[str, ...], read: Callable[[str], object]) -> None:
    """Raise ValueError unless each entry can be read, and no two are for the same name."""
    seen: list[object] = []
    for number, entry in enumerate(entries, 1):
        try:
            found = read(entry)
        except ValueError as error:
            raise ValueError(f"entry {number}: {error}") from None
        name = found[0] if isinstance(found, tuple) else found.id if isinstance(found, SecretOption) else found
        if isinstance(name, str):
            if name in seen:
                raise ValueError(f"two entries are for `{name}`")
            seen.append(name)


def _cache(entry: str, places: Mapping[str, str]) -> CacheOption:
    """An entry whose type says which attribute tells the place; its text is never told, it may hold credentials."""
    if "=" not in entry and "," not in entry:
        values = {"type": "registry", "ref": entry}
    else:
        values = fields.pairs(entry)
    kind = values.pop("type", "")
    if kind not in places:
        near = difflib.get_close_matches(kind, places, n=1, cutoff=0.6) if kind else []
        said = f"`type={kind}` is none of {', '.join(places)}" if kind else f"it needs a `type`: {', '.join(places)}"
        raise ValueError(said + (f"; the nearest is `{near[0]}`" if near else ""))
    place = places[kind]
    if place and not values.get(place):
        raise ValueError(f"`type={kind}` needs `{place}`")
    if place == "ref":
        check_reference(_DIGEST.sub("", values["ref"]))
    return CacheOption(kind, values)


def _pairs(entry: str) -> dict[str, str]:
    try:
        return fields.pairs(entry)
    except ValueError as error:
        raise ValueError(f"`{entry}`: {error}") from None


def _choose(entry: str, key: str, value: str, choices: Collection[str]) -> None:
    if not value:
        raise ValueError(f"`{entry}` needs a `{key}`: {', '.join(choices)}")
    if value not in choices:
        near = _nearest(value, choices)
        raise ValueError(f"`{entry}`: its `{key}` is none of {', '.join(choices)}; the nearest is `{near}`")


def _check_dest(entry: str, dest: str) -> None:
    if not dest:
        raise ValueError(f"`{entry}` needs a `dest`, a path below the project's root")
    if dest == "-":
        raise ValueError(f"`{entry}`: standard output is no place for it: give a path below the project's root")
    try:
        check_artifact(dest)
    except ValueError:
        dest = "~"
    if dest.startswith("~"):
        raise ValueError(f"`{entry}` leaves the project: give a path below its root")


def _check_address(builder: str) -> None:
    parts = urlsplit(builder)
    if parts.scheme == "unix":
        if parts.netloc or len(parts.path) < 2:
            raise ValueError(f"`{builder}` is no path of a socket (like `unix:///run/buildkit/buildkitd.sock`)")
        return
    try:
        port = parts.port
    except ValueError:
        port = 0
    if not parts.hostname or not port or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"`{builder}` is no address (like `tcp://host:1234`)")


def _nearest(value: str, choices: Collection[str]) -> str:
    return difflib.get_close_matches(value, choices, n=1, cutoff=0)[0]


def registry_host(entry: str) -> str:
    """Read ``host[:port]`` of a registry.

    Raises:
        ValueError: it is none.
    """
    if "/" in entry:
        raise ValueError(f"`{entry}` is no host: write `host[:port]`")
    check_registry(entry)
    return entry


def mirror(entry: str) -> tuple[str, str]:
    """Read ``registry=mirror[/path]``.

    Raises:
        ValueError: it is none.
    """
    host, equals, other = entry.partition("=")
    if not equals:
        raise ValueError(f"`{entry}` is not of the form `registry=mirror[/path]`")
    check_registry(other)
    return registry_host(host), other


def check_proxy(address: str, attests: Collection[str]) -> None:
    """Raise ValueError unless it is the address of an HTTP proxy; says nothing of it, which may hold a password.

    Args:
        attests: the attestations of the image: provenance with ``mode=max`` would publish the password.
    """
    try:
        parts = urlsplit(address)
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("it is no address of a proxy, like `http://proxy.example.com:3128`")
    told = (_pairs(entry) for entry in attests)
    if "@" in parts.netloc and any(one.get("type") == "provenance" and one.get("mode") == "max" for one in told):
        raise ValueError("it has a password, which the attestation `type=provenance,mode=max` would publish")
