"""The safety board and the pages about changes of rules, in a real browser."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.xdist_group("browser"), pytest.mark.usefixtures("past")]

RULE = "trough.cml-below-target"


@pytest.mark.parametrize("width", [1280, 375])
def test_the_board_fits_its_screen_and_has_no_barriers(look, service_address, width):
    seen = look(width)
    for name, path in (("board", "/board"), ("board-rule", f"/board/rules/{RULE}")):
        seen.page.goto(service_address + path)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        for picture in seen.page.locator("figure img").all():
            assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
        for more in seen.page.locator("details > summary").all():
            more.click()
        assert seen.barriers() == []
        seen.picture(f"{name}-{width}")


def test_a_rule_that_fell_silent_is_seen_and_looked_into(look, service_address):
    seen = look()
    page = seen.page
    page.goto(f"{service_address}/board")
    assert "Invented past." in page.locator("main").inner_text()
    signal = page.locator(".signals li", has_text="Low trough in CML with an unsatisfactory")
    assert "where about" in signal.inner_text()
    signal.get_by_role("link").click()
    assert page.locator("figure img").first.is_visible()
    page.get_by_text("The weeks as numbers").click()
    assert page.get_by_role("region", name="Weeks").get_by_role("row").count() > 20
    page.get_by_role("link", name="13 weeks").click()
    assert "weeks=13" in page.url


def test_comments_are_read_by_a_form_that_leaves_no_words_in_the_address(look, service_address):
    seen = look()
    page = seen.page
    page.goto(f"{service_address}/board")
    page.get_by_label("Words in comments").fill("inducer stopped")
    page.get_by_role("button", name="Read comments").click()
    page.get_by_text("comments hold these words").wait_for()
    assert page.locator("article.comment").count() > 0
    assert "inducer" not in page.url
    assert seen.barriers() == []
    seen.picture("board-comments")


@pytest.mark.parametrize("width", [1280, 375])
def test_an_edit_is_compared_before_it_serves(look, service_address, width):
    seen = look(width)
    page = seen.page
    page.set_default_timeout(120_000)
    page.goto(f"{service_address}/rules")
    page.get_by_role("link", name="What would an edit change?").click()
    page.get_by_label("To", exact=True).select_option("draft")
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="Story patients").wait_for()
    main = page.locator("main").inner_text()
    assert "warning → critical" in main
    assert "situations would read differently" in main
    assert page.locator("article.patient-change").count() > 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.barriers() == []
    seen.picture(f"rule-changes-{width}")


@pytest.mark.parametrize("width", [1280, 375])
def test_the_history_of_the_rules_fits_its_screen(look, service_address, width):
    seen = look(width)
    seen.page.goto(f"{service_address}/rules/history")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.barriers() == []
    seen.picture(f"rule-history-{width}")
