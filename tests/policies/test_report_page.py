"""The page works by itself, and nothing in a stack can make it do anything else."""

import base64
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from policies.browser import Page, chromium, installed
from policies.report_samples import RESOURCES, SECRET, UNMAPPED, sample, sound

from falaj.policies.report import render

FLOW = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="1400" height="90"><script>stolen=1</script><text>flow</text></svg>'
)
needs_browser = pytest.mark.skipif(installed() is None, reason="this machine has no Chromium to look at the page with")


class Outline(HTMLParser):
    """The tags, the headings and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def text() -> str:
    return render(sample(), "html", FLOW)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, text: str) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_in_the_page_comes_from_elsewhere(text: str) -> None:
    tags = Outline(text).tags
    sources = [attrs[name] or "" for _, attrs in tags for name in ("src", "href", "action", "data") if name in attrs]
    assert sources
    assert all(source.startswith(("#", "data:image/svg+xml;base64,")) for source in sources)
    assert "@import" not in text
    assert "url(" not in text


def test_names_of_a_stack_are_text_and_nothing_else(text: str) -> None:
    outline = Outline(text)
    assert [tag for tag, _ in outline.tags].count("script") == 1
    assert [attrs.get("src", "")[:5] for tag, attrs in outline.tags if tag == "img"] == ["data:"]  # pyright: ignore[reportOptionalSubscript]
    assert not [name for _, attrs in outline.tags for name in attrs if name.startswith("on")]
    assert any("<script>stolen=1</script>" in each for each in outline.texts)


def test_the_flow_picture_is_a_picture(text: str) -> None:
    [picture] = [attrs for tag, attrs in Outline(text).tags if tag == "img"]
    assert base64.b64decode((picture["src"] or "").partition(",")[2]).decode() == FLOW
    assert picture["alt"]
    assert "Where data goes" not in render(sample(), "html")


def test_the_page_tells_everything(text: str) -> None:
    shown = " ".join(Outline(text).texts)
    assert SECRET not in text
    for said in (
        "Policy report: prod",
        "Set multiRegion to false.",
        "waived until 2027-01-31 by Keys & Co: It is <b>replaced</b> in January",
        "Expired",
        "Unused",
        UNMAPPED,
        "ab" * 32,
        "enableKeyRotation is not known",
        "controls that code cannot assess: never claimed as passed",
    ):
        assert said in shown, said
    assert all(resource.urn in shown for resource in RESOURCES[:4])


def test_headings_go_down_one_level_at_a_time(text: str) -> None:
    levels = [int(tag[1]) for tag, _ in Outline(text).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_control_has_a_sign_and_a_word_for_its_state() -> None:
    text = render(sound(), "html")
    assert 'class="cell passed heat-0" data-control="A.8.24"' in text
    assert 'class="cell passed-in-part heat-0" data-control="GDPR-5"' in text
    assert re.search(r'data-control="A\.8\.15".*?</span> no rule</span>', text)


@needs_browser
def test_the_page_opens_without_an_error_or_a_request(page: Page, file: Path) -> None:
    page.events.clear()
    page.open(file)
    assert page.run("document.querySelectorAll('.finding').length") == 10
    assert page.run("typeof stolen") == "undefined"
    assert page.told("Runtime.exceptionThrown") == []
    assert page.told("Log.entryAdded") == []
    assert page.told("Runtime.consoleAPICalled") == []
    asked = [each["request"]["url"] for each in page.told("Network.requestWillBeSent")]
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}
    assert [url for url in asked if url.startswith("file:")] == [file.as_uri()]


SHOWN = "[...document.querySelectorAll('.finding')].filter(each => !each.closest('.out')).length"


@needs_browser
@pytest.mark.parametrize(
    ("change", "count"),
    [
        ("document.getElementById('search').value = 'BROKEN region'", 1),
        ("document.getElementById('search').value = 'no such thing'", 0),
        ("document.getElementById('severity').value = 'medium'", 1),
        ("document.getElementById('control').value = 'RES-1'", 4),
        ("document.querySelector('[name=verdict][value=pass]').checked = false", 6),
        ("document.querySelectorAll('[name=verdict]:not([value=waived])').forEach(box => box.checked = false)", 1),
    ],
)
def test_the_filter_shows_what_fits(page: Page, file: Path, change: str, count: int) -> None:
    page.open(file)
    page.run(f"{change}; document.querySelector('.filter').dispatchEvent(new Event('input'))")
    assert page.run(SHOWN) == count
    assert page.run("document.getElementById('shown').textContent") == f"{count} of 10 findings shown"
    page.run("document.querySelector('.filter').reset()")
    page.run("new Promise(done => setTimeout(done, 50))")
    assert page.run(SHOWN) == 10


@needs_browser
def test_a_control_in_the_map_is_chosen_by_keyboard_and_let_go_again(page: Page, file: Path) -> None:
    cell = "document.querySelector('.cell[data-control=\"ZT-2\"]')"
    page.open(file)
    page.run(f"{cell}.focus()")
    page.press("Tab", 9)
    assert page.run("document.activeElement.className").startswith("cell")
    page.run(f"{cell}.focus()")
    page.press(" ", 32)
    assert page.run(SHOWN) == 4
    assert page.run(f"{cell}.getAttribute('aria-pressed')") == "true"
    assert page.run("document.activeElement.id") == "findings"
    page.run(f"{cell}.click()")
    assert page.run(SHOWN) == 10


@needs_browser
@pytest.mark.parametrize("width", [390, 320, 1200])
def test_nothing_is_wider_than_the_screen(page: Page, file: Path, width: int) -> None:
    page.open(file, width=width)
    page.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.run("document.documentElement.scrollWidth") <= width


@needs_browser
def test_print_shows_all_whatever_the_filter_hides(page: Page, file: Path) -> None:
    page.open(file)
    page.run("document.getElementById('search').value = 'no such thing'")
    page.run("document.querySelector('.filter').dispatchEvent(new Event('input'))")
    assert page.run(SHOWN) == 0
    page.call("Emulation.setEmulatedMedia", media="print")
    page.run("dispatchEvent(new Event('beforeprint'))")
    seen = "[...document.querySelectorAll('.finding')].filter(each => each.checkVisibility()).length"
    assert page.run(seen) == 10
    assert page.run("getComputedStyle(document.querySelector('.filter')).display") == "none"
    page.call("Emulation.setEmulatedMedia", media="")
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run("document.querySelectorAll('details.group[open]').length") == 0
    assert page.printed().startswith(b"%PDF")


CONTRAST = """
(() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => parse(colour).slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return getComputedStyle(each).backgroundColor;
    }
    return getComputedStyle(document.documentElement).colorScheme;
  };
  const worst = [...document.querySelectorAll('.cell, .cell .state, p, h1, h2, h3, h4, code, .severity, summary, dt')]
    .map((each) => {
      const [a, b] = [light(getComputedStyle(each).color), light(behind(each))].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05);
    });
  return Math.min(...worst);
})()
"""


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(page: Page, file: Path, scheme: str) -> None:
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    page.open(file)
    dark = page.run("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    assert dark == (scheme == "dark")
    assert page.run(CONTRAST) >= 4.5
    page.call("Emulation.setEmulatedMedia", features=[])
