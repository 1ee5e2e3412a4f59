"""A page for each folder of `examples/`: what it is, and its files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = "examples"
_LANGUAGES = {
    ".c": "c",
    ".go": "go",
    ".html": "html",
    ".py": "python",
    ".yaml": "yaml",
    ".yml": "yaml",
    "Dockerfile": "docker",
    "Dockerfile.build": "docker",
}
_LEAST = 3
"""Bytes of a file that is worth a look."""
_FENCE = "`````"


def write(folder: Path) -> None:
    """Write the pages into a folder of the site's sources, and remove those of examples that are gone."""
    folder.mkdir(exist_ok=True)
    pages = {f"{example.name}.md": _page(example) for example in _examples()}
    for old in folder.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        file = folder / name
        if not file.exists() or file.read_text() != text:  # Sphinx reads again what is newer
            file.write_text(text)


def target(path: Path) -> str:
    """The page, and the place on it, of an example or of one of its files."""
    _, *inside = path.parts
    if not inside:
        return "/examples/foo.md"
    name, *file = inside
    return f"/{FOLDER}/{name}.md" if not file or file == ["README.md"] else f"#{_label(name, '/'.join(file))}"


def _examples() -> list[Path]:
    return sorted(path for path in (ROOT / FOLDER).iterdir() if path.is_dir() and _files(path))


def _files(example: Path) -> list[Path]:
    """What git knows of an example, or would take; what people look at first stands first."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "."]
    done = subprocess.run(words, cwd=example, capture_output=True, text=True, check=True)
    first = ("tasks.py", "invoke.yaml", "deploy.py", "Dockerfile", "Dockerfile.build")
    known = sorted(set(done.stdout.splitlines()))
    known.sort(key=lambda name: first.index(name) if name in first else len(first))
    return [example / name for name in known if (example / name).is_file() and (example / name).stat().st_size > _LEAST]


def _page(example: Path) -> str:
    readme = example / "README.md"
    said = readme.read_text().strip() if readme.exists() else f"# {example.name}"
    said = re.sub(r"\]\((?!\w+:|#|/)([^)#\s]+)\)", lambda link: _linked(example, link), said)
    parts = [said, "## Files"]
    for file in _files(example):
        if file == readme:
            continue
        name = str(file.relative_to(example))
        language = _LANGUAGES.get(file.name) or _LANGUAGES.get(file.suffix, "text")
        parts.append(f"({_label(example.name, name)})=\n### {name}")
        parts.append(f"{_FENCE}{language}\n{file.read_text().rstrip()}\n{_FENCE}")
    return "\n\n".join(parts) + "\n"


def _linked(example: Path, link: re.Match[str]) -> str:
    path = (example / link[1]).resolve()
    inside = path.relative_to(ROOT)
    if inside.parts[0] == FOLDER:
        return f"]({target(inside)})"
    return f"](/{inside.relative_to('docs')})" if inside.parts[0] == "docs" else f"](../../{inside})"


def _label(example: str, file: str) -> str:
    return f"example-{example}-{re.sub(r'[^a-z0-9]+', '-', file.lower()).strip('-')}"
