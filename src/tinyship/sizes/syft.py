"""Packages that `syft` knows of beside those with a database of their own: npm's, programs in Go, jars, gems, and more.

Source: the JSON schema of syft, versions 16 and later (``artifacts``, ``source``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinyship.sizes import programs
from tinyship.sizes.account import Account
from tinyship.sizes.databases import Claim
from tinyship.sizes.packages import Packages, join
from tinyship.sizes.tar import FOLDER

_READ_HERE = {"deb", "apk", "python"}
_ALONE = {"java-archive", "jenkins-plugin", "go-module", "rust-crate", "binary", "graalvm-native-image", "dart-pub"}
"""Kinds of packages that are one file."""

_OFFLINE = {"SYFT_CHECK_FOR_APP_UPDATE": "false", "SYFT_FILE_METADATA_SELECTION": "none"}


def add(account: Account, packages: Packages, image: Path, *, seconds: float = 300) -> Packages:
    """Add what `syft` finds in an image to what its databases say; where it is not installed, nothing.

    A file has one owner: the deepest folder of a package, or the main module of a program.

    Args:
        packages: that the databases name.
        image: its archive, or its folder in the OCI layout.
        seconds: how long it may take; it reads the whole image.
    """
    if not programs.installed("syft"):
        return packages
    sources = ("oci-dir",) if image.is_dir() else ("docker-archive", "oci-archive")
    words = ["scan", *(word for source in sources for word in ("--from", source)), "-o", "syft-json"]
    try:
        found = programs.answer("syft", [*words, str(image.absolute())], seconds=seconds, environment=_OFFLINE)
        if not _is_of(found, account):
            raise programs.Failed("`syft` read another image of the same archive")
        claims = list(_claims(found["artifacts"], account))
    except programs.Failed as error:
        return join(account, packages, (), [f"{error}: packages without a database of their own are not known"])
    except (KeyError, TypeError, AttributeError, IndexError):
        return join(account, packages, (), ["`syft` answers in a way that is not known here: upgrade tinyship or syft"])
    return join(account, packages, claims)


def _is_of(found: Mapping[str, Any], account: Account) -> bool:
    """Whether this is the image that was accounted for: by its config, or by its layers."""
    source = found["source"]["metadata"]
    if str(source.get("imageID")) == account.image.id:
        return True
    digests = [str(layer["digest"]) for layer in source["layers"]]
    return digests == [layer.diff_id for layer in account.image.layers]


def _claims(artifacts: Sequence[Mapping[str, Any]], account: Account) -> Iterator[Claim]:
    """What each package has, the ones with lists of files first, then folders, then single files."""
    every = [one for one in artifacts if one["type"] not in _READ_HERE and one.get("locations")]
    listed = [(one, _listed(one)) for one in every]
    yield from (_claim(one, paths) for one, paths in listed if paths)
    folders = {_folder(one): one for one, paths in listed if not paths and _folder(one)}
    for folder, paths in _below(set(folders), account).items():
        yield _claim(folders[folder], paths)
    alone = [one for one, paths in listed if not paths and one["type"] in _ALONE and _is_main(one)]
    yield from (_claim(one, [_path(one)]) for one in alone)


def _claim(one: Mapping[str, Any], paths: list[str]) -> Claim:
    return Claim(one["name"], one.get("version") or "", one["type"], paths, _path(one))


def _path(one: Mapping[str, Any]) -> str:
    """Where a package was found, relative to the root."""
    return str(one["locations"][0]["path"]).lstrip("/")


def _listed(one: Mapping[str, Any]) -> list[str]:
    """The files that a package's manager wrote down, as rpm does, where they are paths of the image."""
    files = (one.get("metadata") or {}).get("files") or ()
    paths = [file.get("path") if isinstance(file, dict) else file for file in files]
    return [path.lstrip("/") for path in paths if isinstance(path, str) and path.startswith("/")]


def _folder(one: Mapping[str, Any]) -> str:
    """The folder that is a package's own; empty where it has none."""
    folder, _, name = _path(one).rpartition("/")
    if one["type"] == "npm" and name == "package.json":
        return folder
    if one["type"] == "gem" and name.endswith(".gemspec") and folder.endswith("specifications"):
        return f"{folder.removesuffix('specifications')}gems/{name.removesuffix('.gemspec')}"
    return ""


def _is_main(one: Mapping[str, Any]) -> bool:
    """Whether a package is the program or archive that it was found in, and not only linked or packed into it."""
    metadata = one.get("metadata") or {}
    if one["type"] == "go-module":
        return str(metadata.get("mainModule", "")) == str(one["name"])
    if one["type"] == "rust-crate":
        return _path(one).rpartition("/")[2].replace("-", "_") == str(one["name"]).replace("-", "_")
    return ":" not in (metadata.get("virtualPath") or "")


def _below(folders: set[str], account: Account) -> Mapping[str, list[str]]:
    """The files below each folder, but not those below another one in it."""
    found: dict[str, list[str]] = {folder: [] for folder in folders}
    own: dict[str, str] = {"": ""}
    for file in account.files:
        folder = file.path.rpartition("/")[0]
        unknown = []
        while folder not in own:
            unknown.append(folder)
            folder = folder.rpartition("/")[0]
        above = own[folder]
        for path in reversed(unknown):
            above = own[path] = path if path in folders else above
        if above and file.kind != FOLDER:
            found[above].append(file.path)
    return found
