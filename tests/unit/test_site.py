"""The documentation site: built without a warning, reachable to its last page, in need of nothing from elsewhere."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

import tinyship
from tinyship import errors

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LOADED = {"link": "href", "script": "src", "img": "src", "source": "src", "iframe": "src", "object": "data"}
BY_THEMSELVES = {"search.html", "genindex.html", "py-modindex.html"}


@dataclass
class Page(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    file: Path
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.text = self.file.read_text()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what matters here of a tag."""
        said = {name: value or "" for name, value in attrs}
        self.ids.add(said.get("id", ""))
        if tag == "a" and "href" in said:
            self.links.append(said["href"])
        elif tag in LOADED and LOADED[tag] in said:
            self.loads.append(said[LOADED[tag]])

    def __hash__(self) -> int:
        return hash(self.file)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """The pages of the site by their files."""
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(folder / ".trees")]
    done = subprocess.run([*words, str(DOCS), str(folder / "html")], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return {file: Page(file) for file in sorted((folder / "html").rglob("*.html"))}


def local(page: Page, link: str) -> tuple[Path, str] | None:
    """The file and the place that a link leads to; None where it leads to another host."""
    address, place = urldefrag(link)
    if urlsplit(address).scheme:
        return None
    return ((page.file.parent / unquote(urlsplit(address).path)).resolve() if address else page.file), unquote(place)


def test_links_lead_somewhere(site: dict[Path, Page]) -> None:
    """Each page, file and anchor that a link names is there."""
    checked = 0
    for page in site.values():
        for link in [*page.links, *page.loads]:
            if not (target := local(page, link)):
                continue
            file, place = target
            assert file.is_file(), f"{page.file.name}: {link}"
            if place and file in site:
                assert place in site[file].ids, f"{page.file.name}: {link}"
            checked += 1
    assert checked > 1000


def test_every_page_is_reachable(site: dict[Path, Page]) -> None:
    """Each page of `docs/`, and each example, can be reached from the front page."""
    root = next(file for file in site if file.name == "index.html" and file.parent.name == "html")
    seen, new = {root}, [root]
    while new:
        page = site[new.pop()]
        found = {target[0] for link in page.links if (target := local(page, link)) and target[0] in site}
        new += found - seen
        seen |= found
    names = {str(file.relative_to(root.parent)) for file in seen}
    sources = {str(page.relative_to(DOCS).with_suffix(".html")) for page in DOCS.rglob("*.md")}
    examples = {f"examples/{folder.name}.html" for folder in (ROOT / "examples").iterdir() if folder.is_dir()}
    assert sources | examples <= names | BY_THEMSELVES
    assert names <= sources | examples | BY_THEMSELVES


def test_nothing_is_loaded_from_elsewhere(site: dict[Path, Page]) -> None:
    """Scripts, styles, fonts and pictures are the site's own, and so is whatever these name."""
    for page in site.values():
        assert [load for load in page.loads if urlsplit(load).netloc] == []
    folder = next(iter(site)).parents[0]
    for file in [*folder.rglob("*.css"), *folder.rglob("*.svg")]:
        assert "url(http" not in file.read_text().replace('url("', "url(").replace("url(//", "url(http"), file
        assert "@import" not in file.read_text(), file


def test_has_every_task_and_flag(site: dict[Path, Page]) -> None:
    """The page of the tasks is made of them."""
    text = next(page for file, page in site.items() if file.match("reference/tasks.html")).text
    ours = tinyship.collection()
    for name in ours.task_names:
        typed = name.rpartition(".")[0] if ours[name].is_default and "." in name else name
        assert f'id="task-{typed.replace(".", "-")}"' in text, name
        for argument in ours[name].get_arguments():
            flag = max(argument.names, key=len).replace("_", "-")
            assert flag in text.replace("</span> <span", "</span><span"), f"{name} --{flag}"


def test_tasks_are_those_of_invoke(site: dict[Path, Page]) -> None:
    """The page of the tasks says `invoke release`, and says `tinyship` of nothing but what that program alone has."""
    text = re.sub(r"<[^>]+>", "", next(page for file, page in site.items() if file.match("reference/tasks.html")).text)
    typed = re.findall(r"^\$ (?:tinyship|invoke) .*", text, re.M)
    assert "$ invoke push.promote &lt;source&gt; &lt;target&gt; [flags]" in typed
    assert "$ invoke release --push" in typed
    assert {line for line in typed if line.startswith("$ tinyship") and " init" not in line} == set()


def test_prompts_are_prompts(site: dict[Path, Page]) -> None:
    """What a program says is no prompt, whatever signs are in it."""
    prompts = {prompt for page in site.values() for prompt in re.findall(r'<span class="gp">(.*?)</span>', page.text)}
    assert {html.unescape(prompt).strip() for prompt in prompts} <= {"$", ">>>", "..."}


def test_has_every_method_of_a_project(site: dict[Path, Page]) -> None:
    """The page of the Python API has what a project can do, and what it has from its selection of images."""
    text = next(page for file, page in site.items() if file.match("reference/python.html")).text
    for name in dir(tinyship.Project):
        if callable(getattr(tinyship.Project, name)) and not name.startswith("_") and name != "events":
            assert f'id="tinyship.project.Project.{name}"' in text, name


def test_has_every_public_name(site: dict[Path, Page]) -> None:
    """What `import tinyship` offers is on the page of the Python API, and so is every error."""
    text = "".join(page.text for file, page in site.items() if file.parent.name == "reference")
    for name in tinyship.__all__:
        assert f'.{name}"' in text, name
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, tinyship.TinyshipError):
            assert f'id="tinyship.errors.{name}"' in text, name
