"""The generated messages are those of the `.proto` files beside them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tinyship.engine.buildkit import proto

FOLDER = Path(proto.__file__).parent


def test_generating_changes_nothing(tmp_path: Path) -> None:
    """What is checked in is what the compiler makes of the sources."""
    sources = sorted(path.name for path in FOLDER.glob("*.proto"))
    command = ["-m", "grpc_tools.protoc", f"-I{FOLDER}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", *sources]
    subprocess.run([sys.executable, *command], check=True)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(path.name for path in FOLDER.glob("*_pb2.py*"))
    for name in made:
        assert (tmp_path / name).read_text() == (FOLDER / name).read_text()
