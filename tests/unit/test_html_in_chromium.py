"""`report.html` in Chromium; axe-core, which we did not write, judges whether everybody can read it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, sync_playwright
from test_html import CHECKS, LAYERS, RESULTS, hostile, told

from pipeline.report.html import html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
#: Of a laptop, and of the narrowest screen for which the page is made. In pixels.
WIDE, NARROW = 1280, 400
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, timeout=120_000)
        yield started
        started.close()


class Opened:
    """A page in the browser, with what went wrong in it and all that it asked for."""

    def __init__(self, browser: Browser, path: Path, width: int, scheme: str) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900})
        self.page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        self.errors: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.address = path.as_uri()
        self.page.goto(self.address)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("html") / "report.html"
    path.write_text(html(told(), RESULTS, CHECKS, LAYERS), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Browser, file: Path) -> Iterator[Opened]:
    made = Opened(browser, file, WIDE, "light")
    yield made
    made.context.close()


@pytest.fixture
def page(opened: Opened) -> Page:
    return opened.page


def rows(page: Page, column: int) -> list[str]:
    """Return the texts of a column of the findings that are shown, from the top."""
    cells = page.locator(f"#findings tbody tr:visible td:nth-child({column})")
    return [text.strip() for text in cells.all_inner_texts()]


def head(page: Page, name: str) -> Locator:
    return page.locator("#findings th", has=page.get_by_role("button", name=name, exact=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, 860, NARROW])
def test_runs_without_an_error_asks_for_nothing_and_fits_the_screen(
    browser: Browser, file: Path, width: int, scheme: str
) -> None:
    opened = Opened(browser, file, width, scheme)
    page = opened.page
    assert page.title() == "Not passed: ghcr.io/example/erlmcp:2.1.0"
    assert page.locator("h1").inner_text() == "Not passed"
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # What is wider than the screen scrolls in its own place, and the graph alone is.
    wider = page.locator("main *:not(svg *)").evaluate_all(
        "all => all.filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1).map(e => e.className)"
    )
    assert set(wider) <= {"scroll pad"}
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    page.locator(".node").first.click()
    result = Axe().run(page)
    assert result.violations_count == 0, result.generate_report()
    assert (opened.errors, opened.asked) == ([], [opened.address])
    opened.context.close()


def test_the_policy_of_the_page_stops_what_is_not_its_own(opened: Opened) -> None:
    page = opened.page
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "hurt = 1";
            document.body.append(script);
            document.body.insertAdjacentHTML("beforeend", "<img src='https://example.org/x.png' onerror='hurt = 2'>");
        }"""
    )
    with pytest.raises(Exception, match="Failed to fetch"):
        page.evaluate("fetch('https://example.org/')")
    page.wait_for_timeout(100)
    assert page.evaluate("typeof hurt") == "undefined"
    assert sum("Content Security Policy" in error for error in opened.errors) >= 3


def test_what_others_wrote_stays_text(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(html(*hostile()), encoding="utf-8")
    opened = Opened(browser, path, WIDE, "light")
    page = opened.page
    for node in page.locator(".node").all():
        node.press("Enter")
    while page.locator("#size table button").count():
        page.locator("#size table button").last.click()
    assert page.evaluate("typeof hurt") == "undefined"
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    links = page.locator("main a").evaluate_all("links => links.map(link => link.href)")
    assert links == []
    assert any("<img src=x onerror=hurt=1>" in text for text in rows(page, 2))
    assert (opened.errors, opened.asked) == ([], [opened.address])
    opened.context.close()


def test_an_advisory_is_linked_without_telling_who_asks(page: Page) -> None:
    link = page.get_by_role("link", name="CVE-0000-0002").first
    assert link.get_attribute("href") == "https://avd.aquasec.com/nvd/cve-0000-0002"
    assert link.get_attribute("rel") == "noopener noreferrer"


def test_what_breaks_the_policy_is_first(page: Page) -> None:
    assert rows(page, 7)[:4] == [*["Breaks the policy"] * 3, "Accepted"]
    assert head(page, "Status").get_attribute("aria-sort") == "ascending"


def test_sorts_by_a_column_and_turns_the_order_from_the_keyboard_too(page: Page) -> None:
    page.get_by_role("button", name="Severity", exact=True).click()
    assert rows(page, 1) == sorted(rows(page, 1), key=SEVERITIES.index)
    assert rows(page, 1)[0] == "CRITICAL"
    assert head(page, "Severity").get_attribute("aria-sort") == "ascending"
    assert head(page, "Status").get_attribute("aria-sort") is None
    page.keyboard.press("Enter")
    assert rows(page, 1)[0] == "LOW"
    assert head(page, "Severity").get_attribute("aria-sort") == "descending"
    # What has no date is last in either order.
    page.get_by_role("button", name="Accepted until").first.click()
    assert rows(page, 8)[0] == "2026-12-31"
    page.get_by_role("button", name="Accepted until").first.click()
    assert rows(page, 8)[0] == "2026-12-31"
    page.get_by_role("button", name="Package", exact=True).click()
    packages = rows(page, 3)
    assert packages == sorted(packages)


@pytest.mark.parametrize(
    ("label", "option", "shown"),
    [
        ("Fix", "none known", {"CVE-2019-1010022"}),
        ("Seen by", "trivy", {"CVE-0000-0001", "CVE-0000-0002", "CVE-2023-50966", "CVE-2019-1010022"}),
        ("Known to be exploited", "in KEV", {"CVE-2025-32433"}),
        ("Accepted", "yes", {"CVE-0000-0002"}),
        ("Accepted", "ends within 30 days", set()),
    ],
)
def test_filters_by_a_choice(page: Page, label: str, option: str, shown: set[str]) -> None:
    page.get_by_role("combobox", name=label, exact=True).select_option(option)
    assert {text.split("\n")[0] for text in rows(page, 2)} == shown
    assert page.get_by_role("status").inner_text() == f"{len(rows(page, 2))} of 7 findings shown"
    page.get_by_role("button", name="Show all").click()
    assert page.get_by_role("status").inner_text() == "7 of 7 findings shown"
    assert len(rows(page, 2)) == 7


def test_filters_by_severity_status_and_words_together(page: Page) -> None:
    page.get_by_role("checkbox", name="HIGH").check()
    assert set(rows(page, 1)) == {"HIGH"}
    page.get_by_role("checkbox", name="CRITICAL").check()
    assert set(rows(page, 1)) == {"HIGH", "CRITICAL"}
    page.get_by_role("checkbox", name="Breaks the policy").check()
    assert set(rows(page, 7)) == {"Breaks the policy"}
    page.get_by_label("Search").fill("INETS http")
    assert [text.split("\n")[0] for text in rows(page, 2)] == ["CVE-2026-23941"]


def test_each_finding_has_its_next_step(page: Page) -> None:
    steps = dict(zip((text.split("\n")[0] for text in rows(page, 2)), rows(page, 9), strict=True))
    assert steps["CVE-2026-23941"] == "ci/images.toml: Erlang/OTP 27.3.4.1 → 27.3.4.9"
    assert steps["CVE-0000-0002"].startswith("none until 2026-12-31; to fix it before: rebar.lock: tiny_text")
    assert all(steps.values())


def test_the_size_opens_from_layer_to_file_and_back(page: Page) -> None:
    size = page.locator("#size")
    size.get_by_role("button", name="ERTS and OTP").click()
    size.get_by_role("button", name="erts-15.2").click()
    assert "bin/beam.smp" in size.locator("table").inner_text()
    assert size.locator("td").all_inner_texts() == ["bin/beam.smp", "4 kB", "100.0%"]
    size.get_by_role("button", name="image").click()
    # With the pointer on the map itself.
    size.locator("svg.into", has=page.locator("text", has_text="dependencies")).click(position={"x": 5, "y": 5})
    assert size.locator("[aria-current]").inner_text() == "dependencies"


def test_the_graph_says_what_brings_a_component_in(page: Page) -> None:
    page.locator(".node[aria-label^='erts ']").focus()
    page.keyboard.press("Enter")
    told = page.locator(".told").inner_text()
    assert "erlmcp_core 2.1.0 → " in told
    assert "→ kernel 10.2.7.1 → erts 15.2.7" in told
    assert page.locator(".node[aria-pressed=true]").count() == 1
    lit = page.locator(".node.lit").evaluate_all("nodes => nodes.map(node => node.getAttribute('aria-label'))")
    assert {"erlmcp_core 2.1.0", "kernel 10.2.7.1", "stdlib 6.2.2.1"} <= set(lit)
    page.keyboard.press("Space")
    assert page.locator(".node[aria-pressed=true]").count() == 0


def test_a_print_has_what_a_filter_hides_and_what_is_closed(page: Page) -> None:
    page.get_by_role("checkbox", name="CRITICAL").check()
    assert len(rows(page, 1)) == 1
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(rows(page, 1)) == 7
    assert page.locator("details table:visible").count() == 2
    assert not page.locator(".filters").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert len(rows(page, 1)) == 1
    assert page.locator("details table:visible").count() == 0
