"""The page in a real headless Chromium: quiet, offline, readable in light, dark, narrow, wide and on paper.

`make test-page` runs these; without a Chromium they are skipped.
"""

import itertools
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.report import samples
from tests.report.browser import Browser, browsing, chromium

pytestmark = [
    pytest.mark.page,
    pytest.mark.skipif(
        not chromium(), reason="no Chromium on PATH; as root on Debian: apt-get install chromium"
    ),
]
WIDTHS = (320, 360, 580, 740, 900, 1000, 1200, 1600)
NAMES = (
    "promoted", "rolled-back", "refused-at-parity", "aborted", "first-release", "roll-back-failed",
    "hostile-and-long", "nobody-answered", "died", "died-not-returned", "nothing-to-undo",
)  # fmt: skip

CONTRASTS = r"""
(() => {
  const rgb = text => {
    const found = text.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    return text.startsWith('color(srgb') ? [...found.slice(0, 3).map(v => v * 255), found[3] ?? 1]
                                         : [found[0], found[1], found[2], found[3] ?? 1];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = c => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const v = c[i] / 255;
    return sum + weight * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  }, 0);
  const behind = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(rgb(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const worst = {};
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility()) continue;
    const style = getComputedStyle(element), isPlot = element.ownerSVGElement;
    const below = behind(element);
    const ink = over(rgb(isPlot ? style.fill : style.color), below);
    const [high, low] = [light(ink), light(below)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05) * (style.opacity === '1' ? 1 : 0);
    const key = `${element.tagName}.${element.getAttribute('class') ?? ''}`;
    worst[key] = Math.min(worst[key] ?? 99, ratio);
  }
  return worst;
})()
"""
OUTSIDE = r"""
[...document.querySelectorAll('body *')]
  .filter(e => e.checkVisibility() && !e.closest('svg') && getComputedStyle(e).position !== 'absolute'
               && !e.closest('caption, thead') && e.getBoundingClientRect().right > innerWidth + 0.5)
  .map(e => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 40)}`).slice(0, 5)
"""
SMALLEST_TEXT = r"""
Math.min(...[...document.querySelectorAll('figure svg text')].filter(e => e.checkVisibility())
  .map(e => parseFloat(getComputedStyle(e).fontSize) * Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b)))
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    written = {name: folder / f"{name}.html" for name in NAMES}
    made = samples.pages()
    assert set(made) == set(NAMES)
    for name, path in written.items():
        path.write_text(made[name], encoding="utf-8")
    return written


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as opened:
        yield opened


@pytest.mark.parametrize("name", NAMES)
def test_a_page_asks_nobody_for_anything_and_complains_of_nothing(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    browser.open(pages[name])
    assert browser.requests == [pages[name].as_uri()]
    assert browser.complaints == []
    policy = browser.value(
        "document.querySelector('meta[http-equiv=Content-Security-Policy]').content"
    )
    assert policy.startswith("default-src 'none'")


def test_the_policy_of_the_page_forbids_what_a_slip_would_let_in(
    browser: Browser, pages: dict[str, Path], tmp_path: Path
) -> None:
    """The check above can fail: an image and a script that got into the page are refused, and it is said."""
    text = pages["promoted"].read_text(encoding="utf-8")
    slipped = "<img src='http://127.0.0.1:9/x.png'><script>document.title = 'owned'</script></main>"
    path = tmp_path / "slipped.html"
    path.write_text(text.replace("</main>", slipped), encoding="utf-8")
    browser.open(path)
    assert browser.value("document.title") != "owned"
    assert len(browser.complaints) >= 2
    assert browser.value("document.images[0].naturalWidth") == 0


@pytest.mark.parametrize("name", NAMES)
def test_no_page_is_wider_than_its_window(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    browser.open(pages[name])
    for width in WIDTHS:
        browser.resize(width)
        wide = browser.value("document.documentElement.scrollWidth")
        assert wide <= width, (width, browser.value(OUTSIDE))
        assert browser.value(OUTSIDE) == [], width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "name", ["promoted", "rolled-back", "refused-at-parity", "died", "hostile-and-long"]
)
def test_all_text_stands_out_from_its_ground(
    browser: Browser, pages: dict[str, Path], name: str, scheme: str
) -> None:
    browser.open(pages[name], dark=scheme == "dark")
    dark = browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(17, 21, 28)"
    assert dark == (scheme == "dark")
    for width in (360, 1200):
        browser.resize(width)
        worst: dict[str, float] = browser.value(CONTRASTS)
        assert len(worst) > 10
        assert {key: ratio for key, ratio in worst.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("width", [360, 1200])
def test_the_text_in_the_plots_can_be_read(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    browser.open(pages["promoted"], width=width)
    assert browser.value(SMALLEST_TEXT) >= 8.5
    shown = "[...document.querySelectorAll('figure svg')].filter(e => e.checkVisibility()).length"
    assert browser.value(shown) == 4  # of each plot one drawing


@pytest.mark.parametrize("name", NAMES)
def test_who_cannot_see_the_page_finds_the_way_through_it(
    browser: Browser, pages: dict[str, Path], name: str
) -> None:
    browser.open(pages[name])
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    spoken = [(_said(node, "role"), _said(node, "name")) for node in tree if not node["ignored"]]
    roles = [role for role, _ in spoken]
    assert roles.count("main") == 1
    levels = browser.value("[...document.querySelectorAll('h1,h2,h3')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(text for role, text in spoken if role in ("image", "table", "heading", "region"))
    assert browser.value("document.documentElement.lang") == "en"
    assert browser.value("document.title")


def _said(node: dict[str, Any], key: str) -> str:
    return str(node.get(key, {}).get("value", ""))


@pytest.mark.parametrize("width", [360, 1200])
def test_a_table_is_a_table_to_a_reader_also_where_it_is_drawn_as_cards(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    browser.open(pages["promoted"], width=width)
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = [_said(node, "role") for node in tree if not node["ignored"]]
    assert roles.count("table") == browser.value("document.querySelectorAll('table').length") >= 5
    assert roles.count("columnheader") >= 30
    assert roles.count("cell") == browser.value("document.querySelectorAll('td').length")


@pytest.mark.parametrize("name", NAMES)
def test_on_paper_a_page_is_light_and_whole(
    browser: Browser, pages: dict[str, Path], tmp_path: Path, name: str
) -> None:
    """Printed by somebody whose screen is dark; A4 between its margins is 703 CSS pixels wide."""
    browser.open(pages[name], dark=True)
    browser.prefer("dark", media="print")
    browser.resize(703)
    assert browser.value("getComputedStyle(document.body).color") == "rgb(26, 33, 48)"
    assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    assert browser.value(OUTSIDE) == []
    worst: dict[str, float] = browser.value(CONTRASTS)
    assert {key: ratio for key, ratio in worst.items() if ratio < 4.5} == {}
    browser.prefer("dark", media="")
    text, count = _read_pdf(browser.paper(), tmp_path / "page.pdf")
    assert count >= 1
    heading = browser.value(
        "(document.querySelector('.subject') ?? document.querySelector('h1')).textContent"
    )
    assert _flat(heading)[:60] in _flat(text)
    result = browser.value("document.querySelector('.result')?.childNodes[1].textContent ?? ''")
    assert _flat(result) in _flat(text)
    last = browser.value(
        "document.querySelector('section:last-of-type dd:last-of-type')?.textContent ?? ''"
    )
    assert _flat(last)[:60] in _flat(text)  # nothing was cut off before the end


def _read_pdf(made: bytes, path: Path) -> tuple[str, int]:
    """Its text, and its number of pages."""
    path.write_bytes(made)
    if not shutil.which("pdftotext"):
        pytest.skip("no pdftotext on PATH; as root on Debian: apt-get install poppler-utils")
    done = subprocess.run(["pdftotext", path, "-"], capture_output=True, check=True, timeout=60)
    text = done.stdout.decode()
    return text, text.count("\f")


def _flat(text: str) -> str:
    """Without blanks: a PDF breaks lines where it likes."""
    return re.sub(r"\s+", "", text)
