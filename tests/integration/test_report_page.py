"""The page of an image's sizes in a real browser: it draws, fits a phone, loads nothing, and runs nothing of others."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import reports

from conftest import unavailable
from tinyship.sizes.report.page import page
from tinyship.sizes.report.report import Report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_DESK, _PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser of this machine's."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if not program:
        unavailable(f"no {_PROGRAMS[0]} on PATH")
    from playwright.sync_api import sync_playwright

    alone = ["--no-sandbox"] if os.geteuid() == 0 else []  # which root's browser has to do without
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=[*alone, "--disable-dev-shm-usage"])
        yield started
        started.close()


class Visit:
    """A page that was opened, and what the browser said of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def says(self, script: str) -> Any:
        """The value of an expression in the page."""
        return self.page.evaluate(script)


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Any:
    """Opens the page of a report in a fresh window; what the browser complains of fails the test."""

    @contextmanager
    def opened(
        report: Report, size: tuple[int, int] = _DESK, scheme: Any = "light", scripts: bool = True
    ) -> Iterator[Visit]:
        file = tmp_path / "size.html"
        file.write_text(page(report), "utf-8")
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            java_script_enabled=scripts,
            offline=True,
        )
        found = Visit(context.new_page())
        found.page.goto(file.as_uri())
        yield found
        context.close()
        assert found.complaints == []
        assert found.requests == [file.as_uri()]

    return opened


@pytest.mark.parametrize("make", [reports.report, reports.hostile, reports.huge])
@pytest.mark.parametrize("size", [_DESK, _PHONE])
def test_page_fits_its_window_and_loads_nothing(visit: Any, make: Any, size: tuple[int, int]) -> None:
    """Nothing sticks out to the right, on a desk or on a phone, whatever it is called."""
    with visit(make(), size) as seen:
        assert seen.says("document.scrollingElement.scrollWidth") <= size[0]
        assert not seen.says(
            "[...document.querySelectorAll('main *')].filter(one => !one.closest('svg, caption, thead') &&"
            f" one.getBoundingClientRect().right > {size[0]}).map(one => one.outerHTML.slice(0, 200))"
        )


def test_charts_are_drawn(visit: Any) -> None:
    """A box for every part of the image, dead ones with a pattern, and a line for unpacked and for pull."""
    with visit(reports.report()) as seen:
        assert seen.says("document.querySelectorAll('#treemap g.slice').length") > 250
        assert seen.says("document.querySelectorAll('#treemap pattern').length") >= 3
        hatched = "[...document.querySelectorAll('#treemap g.slice')].filter(one => /url/.test(one.innerHTML))"
        texts = seen.says(f"{hatched}.map(one => one.textContent)")
        assert any("cc1plus" in text for text in texts)
        assert not any("busybox" in text for text in texts)
        assert seen.says("document.querySelectorAll('#releases path.js-line').length") == 3
        assert "9,300,000 bytes" in seen.says("document.getElementById('treemap').data[0].customdata.join()")


def test_labels_of_releases_have_room(visit: Any) -> None:
    """Of two hundred releases, a phone names a few, among them the last."""
    with visit(reports.report(older=200), _PHONE) as seen:
        boxes = seen.says(
            "[...document.querySelectorAll('#releases .xtick text')]"
            ".map(one => [one.getBoundingClientRect().left, one.getBoundingClientRect().right, one.textContent])"
        )
        assert 2 <= len(boxes) <= 8
        assert boxes[-1][2] == "1.5.0"
        assert all(left[1] < right[0] for left, right in pairwise(boxes))


def test_pointer_on_a_box_is_answered(visit: Any) -> None:
    """The exact bytes, and what wrote and what hid a file, in a label within the window."""
    with visit(reports.report(), _PHONE) as seen:
        seen.page.locator("#treemap").scroll_into_view_if_needed()
        place = seen.says(
            "(() => { const one = [...document.querySelectorAll('#treemap g.slice')]"
            ".filter(one => one.textContent.startsWith('cc1plus'))[0].getBoundingClientRect();"
            " return [one.x + one.width / 2, one.y + one.height / 2] })()"
        )
        seen.page.mouse.move(*place)
        seen.page.wait_for_selector("#treemap .hovertext")
        told = seen.says("document.querySelector('#treemap .hovertext').textContent")
        assert "9,300,000 bytes" in told
        assert "RUN apk del" in told
        label = seen.says("(b => [b.left, b.right])(document.querySelector('.hovertext').getBoundingClientRect())")
        assert label[0] >= 0
        assert label[1] <= 390


def test_light_and_dark_differ_and_follow_the_system(visit: Any) -> None:
    """Page and charts, when it is opened and when the system changes its mind; paper is light."""
    ground = "getComputedStyle(document.body).backgroundColor"
    boxes = "[...document.querySelectorAll('#treemap g.slice path.surface')].map(one => one.style.fill).join()"
    axis = "document.querySelector('#releases .ytick text').style.fill"
    seen_as = {}
    for scheme in ("light", "dark"):
        with visit(reports.report(), scheme=scheme) as seen:
            seen_as[scheme] = [seen.says(one) for one in (ground, boxes, axis)]
            seen.page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
            seen_as[f"not {scheme}"] = [seen.says(one) for one in (ground, boxes, axis)]
    assert all(light != dark for light, dark in zip(seen_as["light"], seen_as["dark"], strict=True))
    assert seen_as["light"][0::2] == seen_as["not dark"][0::2]
    assert seen_as["dark"][0::2] == seen_as["not light"][0::2]


def test_names_of_others_are_text_and_run_nothing(visit: Any) -> None:
    """Every name stands on the page as it is, in tables and in boxes; none of them is an element or runs."""
    with visit(reports.hostile()) as seen:
        assert "owned" in seen.page.title()  # it is the image's name
        assert seen.page.title() != "owned"
        assert seen.says("document.querySelectorAll('img, a, iframe, b a').length") == 0
        assert seen.says("document.scripts.length") == 4
        page_text = seen.page.text_content("main")
        for name in (
            "/<script>document.title='owned'</script>",
            "/<b>bold</b><a href='javascript:document.title=1'>link</a>",
            "/]]>&lt;&amp;&#60;",
            "/no-utf8-\\xff\\x80",
            "/turned-\\u202egnp.exe",
            "/line\\nbreak\\ttab\\r\\u001b[31m",
        ):
            assert name in page_text
        told = "(Plotly.Fx.hover, document.getElementById('treemap').querySelectorAll('text.slicetext'))"
        labels = seen.says(f"[...{told}].map(one => one.textContent)")
        assert any(label.startswith("%{value}%{customdata}") for label in labels)
        assert any(label.startswith("&lt;&amp;&#60;") or "]]>&lt;&amp;&#60;" in label for label in labels)
        assert any(label.startswith("<b>bold") for label in labels)


def test_tables_stay_without_scripts(visit: Any) -> None:
    """Where scripts are off, there is no empty frame of a chart, and every number is in a table."""
    with visit(reports.report(), scripts=False) as seen:
        assert not seen.page.is_visible("#treemap")
        assert not seen.page.is_visible("#releases")
        for name in ("bytes", "stages", "trend", "difference", "advice", "layers", "files", "dead", "packages"):
            assert seen.page.is_visible(f"#{name} table")
        assert "/usr/libexec/cc1plus" in seen.page.inner_text("#dead")


def test_cards_of_a_phone_are_still_tables(visit: Any) -> None:
    """Rows that are drawn as cards keep the roles that a screen reader asks for."""
    with visit(reports.report(), _PHONE) as seen:
        tree = seen.page.locator("#layers").aria_snapshot()
        assert "- table" in tree
        assert "columnheader" in tree
        assert 'cell "64.3 MB' not in tree
        assert "RUN chmod +x /opt/foo/bin/foo" in tree


def test_many_boxes_are_drawn(visit: Any) -> None:
    """The largest page there can be is drawn, and a click on a box goes into it."""
    with visit(reports.huge()) as seen:
        before = seen.says("document.querySelectorAll('#treemap g.slice').length")
        assert 600 < before <= 2000
        seen.page.evaluate("document.querySelectorAll('#treemap g.slice')[2].dispatchEvent(new MouseEvent('click'))")
        end = time.monotonic() + 60  # the page lets nobody wait inside of it, who would have to evaluate text there
        while seen.says("document.querySelectorAll('#treemap g.slice').length") >= before:
            assert time.monotonic() < end
            time.sleep(0.1)


def test_paper_is_light_and_narrow(visit: Any) -> None:
    """Printed from a dark screen, page and charts are in the colours of the day, and no chart is cut off."""
    with visit(replace(reports.report(), packages=()), scheme="dark") as seen:
        night = seen.says("document.querySelector('#releases .ytick text').style.fill")
        seen.says("dispatchEvent(new Event('beforeprint'))")
        day = seen.says("document.querySelector('#releases .ytick text').style.fill")
        seen.page.emulate_media(media="print", color_scheme="dark")
        assert seen.says("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert seen.says("getComputedStyle(document.body).color") == "rgb(22, 25, 29)"
        assert day != night
        widths = "[...document.querySelectorAll('svg.main-svg')].map(one => one.getBoundingClientRect().width)"
        assert all(width <= 680 for width in seen.says(widths))
        assert seen.page.pdf().startswith(b"%PDF")
