"""The pipelines of examples/ci are what the services' own schemas say that they are."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

CI = Path(__file__).resolve().parents[2] / "examples" / "ci"


@pytest.mark.skipif(not find_spec("check_jsonschema"), reason="check-jsonschema is not installed")
@pytest.mark.parametrize(
    ("name", "schema"),
    [
        (".github/workflows/release.yml", ("vendor.github-workflows",)),
        (".gitlab-ci.yml", ("vendor.gitlab-ci", "--data-transform", "gitlab-ci")),
    ],
)
def test_pipelines_are_valid(name: str, schema: tuple[str, ...]) -> None:
    """The schemas are those of schemastore.org and of GitLab, as check-jsonschema brings them along."""
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *schema, str(CI / name)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
