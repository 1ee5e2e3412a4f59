"""From `tinyship init` to a pushed image: what it writes for a Go program makes a release."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tinyship.engine import images
from tinyship.engine.connect import Engine
from tinyship.events import ignore

pytestmark = pytest.mark.engine
GO = """\
#!/bin/sh
# Stands in for Go: what it "compiles" is this image's own program.
set -e
echo "go $*"
[ "$1 $2" = "mod download" ] && [ -f go.mod ] && exit 0
while [ $# -gt 0 ]; do
  [ "$1" = -o ] && out=$2
  [ "$1" = "-ldflags=-s -w -X main.version=1.0.0" ] && linked=yes
  shift
done
[ "$linked" = yes ]
mkdir -p "$(dirname "$out")"
cp /bin/busybox "$out"
"""
MAKEFILE = """\
IMAGE := {registry}/{namespace}/echo
VERSION := $(shell git describe --tags --always)
package:
\tdocker build --build-arg VERSION=$(VERSION) -t $(IMAGE):$(VERSION) .
push: package
\tdocker push $(IMAGE):$(VERSION)
"""


@pytest.fixture
def go_image(engine: Engine, namespace: str) -> str:
    """An image that stands in for Go's own: nothing can be pulled."""
    program = shutil.which("busybox")
    if not program:
        pytest.skip("no busybox on PATH")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:

        def add(name: str, data: bytes, mode: int) -> None:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))

        add("bin/busybox", Path(program).read_bytes(), stat.S_IMODE(Path(program).stat().st_mode))
        for applet in ("sh", "cp", "mkdir", "dirname"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        add("bin/go", GO.encode(), 0o755)
        add("etc/ssl/certs/ca-certificates.crt", b"certificates\n", 0o644)
    name = f"{namespace}/go:1"
    images.import_rootfs(engine, iter([packed.getvalue()]), name=name, changes=["ENV PATH=/bin"], events=ignore)
    return name


def test_from_init_to_push(tmp_path: Path, namespace: str, registry: str, go_image: str) -> None:
    """Six commands, as the page about it has them; what ships runs, and the tree is clean after it."""
    root = tmp_path / "echo"
    root.mkdir()
    (root / "go.mod").write_text("module example.com/echo\n\ngo 1.23\n")
    (root / "main.go").write_text('package main\n\nvar version = "dev"\n\nfunc main() {}\n')
    (root / "Makefile").write_text(MAKEFILE.format(registry=registry, namespace=namespace))
    ours = {"TINYSHIP_ARGS": f"GO_IMAGE={go_image}", "TINYSHIP_RELEASE_RUN_COMMAND": '["it", "works"]'}
    environment = {**os.environ, **ours}

    def run(*words: str) -> tuple[str, str]:
        done = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout, done.stderr

    ship = (sys.executable, "-m", "tinyship")
    assert "wrote Dockerfile" in run(*ship, "init")[0]
    run("git", "init", "-q")
    run("git", "add", "-A")
    run("git", "commit", "-q", "-m", "ship it")
    run("git", "tag", "v1.0.0")
    run(*ship, "release", "--push")
    (record,) = json.loads((root / ".tinyship" / "release.json").read_text())["images"]
    assert (record["version"], record["dirty"]) == ("1.0.0", False)
    assert record["pushed"][0]["reference"].startswith(f"{registry}/{namespace}/echo:1.0.0")
    assert "it works" in "".join(run(*ship, "release.run"))
    assert run("git", "status", "--porcelain") == ("", "")
