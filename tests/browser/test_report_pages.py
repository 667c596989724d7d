"""The level report and the rule pages as they look: widths, paper, keyboard, screen readers."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def report_address(look, hospital_address):
    """Open a story's chart and return the address its first card leads to."""

    def find(story: str) -> str:
        page = look().page
        page.goto(f"{hospital_address}/patients/{story}")
        page.get_by_role("button", name="Begin again").click()
        link = page.get_by_role("link", name="All inputs and the basis of this advice").first
        return str(link.get_attribute("href"))

    return find


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("story", ["cml-low-trough", "gist-inflamed"])
def test_a_report_fits_its_screen_and_has_no_barriers(look, report_address, story, width):
    seen = look(width)
    seen.page.goto(report_address(story))
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    for picture in seen.page.locator("figure img").all():
        assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    for more in seen.page.locator("details > summary").all():
        more.click()
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.barriers() == []
    seen.picture(f"report-{story}-{width}")


def test_a_telephone_gets_the_narrow_picture(look, report_address):
    seen = look(375)
    seen.page.goto(report_address("cml-low-trough"))
    shown = seen.page.locator("figure img").first.evaluate("image => image.currentSrc")
    assert "shape=narrow" in shown


def test_a_report_is_printed_on_a4_without_the_form(look, report_address):
    seen = look()
    seen.page.goto(report_address("cml-low-trough"))
    seen.page.emulate_media(media="print")
    assert not seen.page.get_by_role("button", name="Show what-if").is_visible()
    assert not seen.page.get_by_text("silent rules and what each would have needed").is_visible()
    assert seen.page.get_by_text("trough.cml-below-target").first.is_visible()
    seen.page.set_viewport_size({"width": 680, "height": 960})  # A4 less its margins
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 680
    printed = seen.page.pdf(format="A4", prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    assert 2 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type/Page/") <= 8


def test_everything_can_be_reached_by_keyboard(look, report_address):
    seen = look()
    page = seen.page
    page.goto(report_address("cml-low-trough"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.id || document.activeElement.innerText || ''")
        reached.add(name.strip())
        if name == "reason":
            break
    assert {"dose", "every", "sample", "leave-1", "reason"} <= reached


@pytest.mark.parametrize("width", [1280, 375])
def test_rule_pages_fit_their_screen_and_have_no_barriers(look, service_address, width):
    seen = look(width)
    for name, path in (
        ("rules", "/rules?q=trough"),
        ("rule", "/rules/trough.cml-below-target"),
    ):
        seen.page.goto(service_address + path)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert seen.barriers() == []
        seen.picture(f"{name}-{width}")


def test_a_rule_is_found_by_searching(look, service_address):
    seen = look()
    page = seen.page
    page.goto(f"{service_address}/rules")
    page.get_by_label("Words").fill("gastrectomy")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Major gastrectomy and no level").click()
    assert page.locator("h1").inner_text() == "Major gastrectomy and no level"
