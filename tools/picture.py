"""Makes the pictures of the README from a real run: `docs/release.svg` of a terminal, `docs/size.png` of the report.

python -m tools.picture     `./dev picture` calls it
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tools import demo, terminal

COLUMNS, LINES = 118, 200
DOCS = Path(__file__).resolve().parent.parent / "docs"
_WIDTH = 1000
_ARRANGED = """stages => {
    document.querySelector('#stages').outerHTML = stages;
    for (const one of document.querySelectorAll('section:not(#bytes, #stages), footer, #bytes > :not(h2, .chart)'))
        one.remove();
}"""
"""Leaves the boxes of one report and the stages of another."""


def lines(screen: pyte.Screen) -> list[Text]:
    """What a screen shows, with its colours, down to the last line that is not empty."""
    shown = []
    for number in range(screen.lines):
        text = Text()
        cells = [screen.buffer[number][column] for column in range(screen.columns)]
        for (name, bold), run in groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
            color = None if name == "default" else Color.parse("yellow" if name == "brown" else name)
            text.append("".join(cell.data for cell in run), Style(color=color, bold=bold))
        text.rstrip()
        shown.append(text)
    while shown and not shown[-1].plain:
        shown.pop()
    return shown


def draw(folder: Path, environment: dict[str, str]) -> None:
    """Take a picture of two reports: the bytes of the build image, and the stages of the release."""
    from playwright.sync_api import sync_playwright

    for image in ("build", "release"):
        words = ["size.report", "--image", image, "--out", f"{image}.html", "--no-ask"]
        subprocess.run([sys.executable, "-m", "invoke", *words], cwd=folder, env=environment, check=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": _WIDTH, "height": 900}, color_scheme="light")
        page.goto((folder / "release.html").as_uri())
        stages = page.locator("#stages").evaluate("section => section.outerHTML")
        page.goto((folder / "build.html").as_uri())
        page.wait_for_selector("#treemap .slice")
        page.evaluate(_ARRANGED, stages)
        page.screenshot(path=DOCS / "size.png", full_page=True)
        browser.close()


def main() -> None:
    """Make the picture."""
    environment = {**demo.environment(), "TERM": "xterm-256color"}
    for name in ("CI", "NO_COLOR"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "invoke", *demo.WORDS]
    with demo.repository() as root:
        code, screen = terminal.run(command, root / "foo", environment, columns=COLUMNS, lines=LINES)
        draw(root / "foo", environment)
    picture = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115, PTH123
    picture.print(Text(f"$ invoke {' '.join(demo.WORDS)}", style="bold"))
    for line in lines(screen):
        picture.print(line, no_wrap=True, overflow="crop", crop=True)
    if code:
        raise SystemExit(f"the demonstration failed with exit code {code}")
    plain = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.S)  # fonts from elsewhere
    picture.save_svg(str(DOCS / "release.svg"), title="examples/foo", code_format=plain)
    print("docs/release.svg", "docs/size.png", sep="\n")


if __name__ == "__main__":
    main()
