"""The report, a comparison and a trend in headless Chromium: on a desk and on a phone, light and dark, and printed.

`UNWRITE_SCREENSHOTS=DIR` keeps the pictures, to be looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from audit.trend import trend
from audit.trend_page import render
from tests.audit.fakes import looks, report
from tests.audit.golden_files import golden, rechecked
from tests.e2e.chromium import browser  # noqa: F401 - a fixture

DESK: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}
SCREENS = {"desk": DESK, "phone": PHONE}
PAGES = ("forget", "censor", "pool", "recheck", "comparison", "trend", "daily")
PICTURES = {"forget": 2, "censor": 2, "pool": 4, "recheck": 3, "comparison": 1, "trend": 1, "daily": 1}

# What sticks out of the window, or is cut off inside of it.
TOO_WIDE = """() => [...document.querySelectorAll('main *')]
    .filter(e => !e.closest('svg') && e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => e.tagName + ' ' + e.className)"""
# Text of a picture that leaves it, or lies on other text.
CROWDED = """() => [...document.querySelectorAll('figure svg')].flatMap(svg => {
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
    const out = texts.filter(([, r]) => r.left < frame.left - 1 || r.right > frame.right + 1
        || r.top < frame.top - 1 || r.bottom > frame.bottom + 1).map(([said]) => 'outside: ' + said);
    const over = texts.flatMap(([a, r], i) => texts.slice(i + 1).filter(([, q]) =>
        r.left < q.right - 1 && q.left < r.right - 1 && r.top < q.bottom - 3 && q.top < r.bottom - 3)
        .map(([b]) => 'over each other: ' + a + ' / ' + b));
    return [...out, ...over];
})"""
DRAWN = """() => [...document.querySelectorAll('figure svg')].filter(svg => {
    const box = svg.getBoundingClientRect();
    const drawn = [...svg.querySelectorAll('path, use')].filter(e => e.getClientRects().length
        && (getComputedStyle(e).stroke !== 'none' || getComputedStyle(e).fill !== 'none'));
    return box.width > 200 && box.height > 80 && drawn.length > 5;
}).length"""
# WCAG contrast of every text in the page with what lies behind it.
PALE = """() => {
    const parse = c => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = e => { for (; e; e = e.parentElement) {
        const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0.9) return c; }
        return [255, 255, 255]; };
    const texts = [...document.querySelectorAll('main *:not(title, desc)')].filter(e =>
        [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
    return texts.map(e => { const style = getComputedStyle(e);
        const a = light(parse(e.closest('svg') ? style.fill : style.color)), b = light(behind(e));
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.textContent.trim().slice(0, 40)]; })
        .filter(([ratio]) => ratio < 4.5);
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as files, as somebody has them who was sent them."""
    made = tmp_path_factory.mktemp("pages")
    censor, facts = report("censor", 3, before=0.5, after=0.1)
    pages = {name: golden()[f"{name}.html"] for name in ("forget", "pool", "recheck", "comparison")}
    pages["censor"] = censor.to_html({fact.id: fact for fact in facts})
    pages["trend"] = render(rechecked().groups[0].trend, rechecked().policy)
    daily = [(day % 3 // 2, 20) for day in range(60)]
    pages["daily"] = render(trend(looks(*daily, repaired=(30,)), 0.95), rechecked().policy)
    for name, data in pages.items():
        (made / f"{name}.html").write_bytes(data)
    return made


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=sorted(SCREENS))
def page(browser: Browser, scheme: str, request: pytest.FixtureRequest) -> Iterator[Page]:  # noqa: F811
    """A page without network: any request but for the file itself fails the test."""
    size = SCREENS[request.param]
    context = browser.new_context(viewport=size, color_scheme=scheme, java_script_enabled=True)  # type: ignore[arg-type]
    asked: list[str] = []
    context.route(re.compile(r"^(?!file:)"), lambda route: (asked.append(route.request.url), route.abort()))
    complaints: list[str] = []
    made = context.new_page()
    made.on("console", lambda message: complaints.append(message.text))
    yield made
    context.close()
    assert asked == []
    assert complaints == []


def keep(page: Page, name: str) -> bytes:
    """A screenshot of the whole page, kept where the tester wants it."""
    picture = page.screenshot(full_page=True)
    if wanted := os.environ.get("UNWRITE_SCREENSHOTS"):
        Path(wanted).mkdir(parents=True, exist_ok=True)
        (Path(wanted) / f"{name}.png").write_bytes(picture)
    return picture


@pytest.mark.parametrize("name", PAGES)
def test_nothing_sticks_out_and_every_picture_is_drawn(
    page: Page, folder: Path, name: str, scheme: str
) -> None:
    page.goto(f"file://{folder}/{name}.html")
    width = page.viewport_size["width"]  # type: ignore[index]
    assert len(keep(page, f"{name}-{width}-{scheme}")) > 20_000
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate(CROWDED) == []
    assert page.evaluate(DRAWN) == PICTURES[name]
    assert page.evaluate(PALE) == []


@pytest.mark.parametrize("name", PAGES)
def test_the_result_is_on_the_first_screen(page: Page, folder: Path, name: str) -> None:
    page.goto(f"file://{folder}/{name}.html")
    said = page.locator(".verdict .said").first.bounding_box()
    assert said is not None
    assert said["y"] + said["height"] <= page.viewport_size["height"]  # type: ignore[index]


def test_text_is_dark_on_light_paper_and_light_on_dark(page: Page, folder: Path, scheme: str) -> None:
    page.goto(f"file://{folder}/forget.html")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", paper)))
    assert (brightness > 600) == (scheme == "light")
    before = page.evaluate("getComputedStyle(document.querySelector('figure svg use')).fill")
    assert before == ("rgb(179, 99, 15)" if scheme == "light" else "rgb(229, 154, 76)"), (
        "pictures follow as well"
    )


@pytest.mark.parametrize("name", PAGES)
def test_it_prints(browser: Browser, folder: Path, name: str) -> None:  # noqa: F811
    context = browser.new_context(color_scheme="dark")
    printed = context.new_page()
    printed.goto(f"file://{folder}/{name}.html")
    data = printed.pdf(format="A4")
    printed.emulate_media(media="print")
    assert printed.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert printed.evaluate("getComputedStyle(document.querySelector('.said')).color") == "rgb(0, 0, 0)"
    context.close()
    assert data.startswith(b"%PDF")
    if wanted := os.environ.get("UNWRITE_SCREENSHOTS"):
        (Path(wanted) / f"{name}.pdf").write_bytes(data)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", data)) <= 8
