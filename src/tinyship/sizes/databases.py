"""What package managers wrote down about the files of an image: dpkg, apk, and Python's installers.

Sources: deb-control(5) and dpkg's admindir; distroless' ``status.d``; the apk database, "Apk spec" of the Alpine wiki;
the Python packaging user guide, "Recording installed projects"; setuptools' ``installed-files.txt``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tinyship.sizes.layer import normal
from tinyship.sizes.tar import Damaged

_DPKG = "var/lib/dpkg/"
_APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_ABSENT = ("not-installed", "config-files")


class Claim(NamedTuple):
    """A package, and the files that are its own as its manager says.

    Args:
        name: of the package.
        version: as its manager writes it.
        manager: ``dpkg``, ``apk``, ``python``, or what kind of package it is.
        paths: relative to the root; they need not be there.
        source: the path of what says so.
    """

    name: str
    version: str
    manager: str
    paths: list[str]
    source: str


def paragraphs(status: bytes) -> list[dict[str, str]]:
    """The fields of each paragraph of a file of dpkg's, those that take one line."""
    return [_fields(one) for one in _text(status).split("\n\n") if one.strip()]


def dpkg(texts: Mapping[str, bytes], damaged: list[str]) -> Iterator[Claim]:
    """The packages of Debian's kin.

    Args:
        texts: the databases, by path.
        damaged: takes the paths of those that make no sense.
    """
    for path, text in sorted(texts.items()):
        if path != f"{_DPKG}status" and not (path.startswith(f"{_DPKG}status.d/") and not path.endswith(".md5sums")):
            continue
        every = paragraphs(text)
        if not all("Package" in fields for fields in every):
            damaged.append(path)
        for fields in every:
            name = fields.get("Package")
            if not name or fields.get("Status", "").endswith(_ABSENT):
                continue
            yield Claim(name, fields.get("Version", ""), "dpkg", _dpkg_files(texts, path, name, fields), path)


def _dpkg_files(texts: Mapping[str, bytes], path: str, name: str, fields: Mapping[str, str]) -> list[str]:
    if path != f"{_DPKG}status":  # md5sums(5): "checksum  path"
        sums = _text(texts.get(f"{path}.md5sums", b"")).splitlines()
        return [path, *(line.partition(" ")[2].strip().removeprefix("./").lstrip("/") for line in sums)]
    wanted = f"{_DPKG}info/{name}"
    text = texts.get(f"{wanted}:{fields.get('Architecture', '')}.list") or texts.get(f"{wanted}.list") or b""
    return [line[1:] for line in _text(text).split("\n")]


def apk(texts: Mapping[str, bytes], damaged: list[str]) -> Iterator[Claim]:
    """The packages of Alpine and its kin.

    Args:
        texts: the databases, by path.
        damaged: takes the paths of those that make no sense.
    """
    for path in _APK:
        for paragraph in _text(texts.get(path, b"")).split("\n\n"):
            name = version = folder = ""
            paths = []
            for line in paragraph.split("\n"):
                key, value = line[:2], line[2:]
                if key == "R:":
                    paths.append(f"{folder}/{value}" if folder else value)
                elif key == "F:":
                    folder = value
                elif key == "P:":
                    name = value
                elif key == "V:":
                    version = value
            if name:
                yield Claim(name, version, "apk", paths, path)
            elif paragraph.strip():
                damaged.append(path)


def python(texts: Mapping[str, bytes], damaged: list[str]) -> Iterator[Claim]:
    """The distributions that Python's installers put somewhere, where they wrote down what they installed.

    Args:
        texts: the databases, by path.
        damaged: takes the paths of those that make no sense.
    """
    for path, text in sorted(texts.items()):
        folder, _, file = path.rpartition("/")
        try:
            if file == "RECORD":
                base = folder.rpartition("/")[0]
                names = [row[0] for row in csv.reader(_text(text).splitlines()) if row]
            elif file == "installed-files.txt":
                base = folder
                names = _text(text).splitlines()
            else:
                continue
            paths = [_below(base, name) for name in names if name]
        except (csv.Error, Damaged):
            damaged.append(path)
            continue
        head = texts.get(f"{folder}/METADATA") or texts.get(f"{folder}/PKG-INFO") or b""
        fields = _fields(_text(head).partition("\n\n")[0])
        stem = folder.rpartition("/")[2].rpartition(".")[0]
        name, _, version = stem.partition("-")
        yield Claim(fields.get("Name") or name, fields.get("Version") or version, "python", paths, path)


def _below(base: str, name: str) -> str:
    """A path that may climb out of the folder it is relative to."""
    if name.startswith("/"):
        return normal(name)
    return normal(f"{base}/{name}") if "./" in name or "//" in name else f"{base}/{name}" if base else name


def _fields(paragraph: str) -> dict[str, str]:
    """The fields of a paragraph that take one line."""
    found: dict[str, str] = {}
    for line in paragraph.split("\n"):
        if line[:1] not in {" ", "\t"}:
            key, colon, value = line.partition(":")
            if colon:
                found.setdefault(key, value.strip())
    return found


def _text(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
