"""The pictures of the documentation: taken here, and each shows what its page speaks of.

`make pictures` runs these tests and puts what they took into `docs/pictures` (see `pictures`).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.pictures import MOST_BYTES, PICTURES
from tests.browser.test_signed_in import REPORT, file_level

pytestmark = pytest.mark.xdist_group("browser")
ROOT = Path(__file__).parents[2]


def test_the_hospital_shows_a_critical_card_beside_the_order(look, hospital_address):
    seen = look()
    page = seen.page
    page.goto(f"{hospital_address}/patients/rifampicin-order")
    page.get_by_role("button", name="Begin again").click()
    page.get_by_label("Medicine").select_option("rifampicin")
    page.get_by_label("Amount (mg)").fill("600")
    page.get_by_role("button", name="Select").click()
    card = page.locator("article.card.critical")
    card.wait_for()
    assert page.get_by_label("Medicine").input_value() == "rifampicin"
    assert top_of(card.get_by_role("button", name="Order an imatinib trough level")) < 900
    seen.picture("picture-demo-hospital", 900)


def test_the_report_shows_its_words_and_the_days_around_the_level(look, hospital_address):
    seen = look(900)
    page = seen.page
    page.goto(f"{hospital_address}/patients/cml-low-trough")
    page.get_by_role("button", name="Begin again").click()
    page.goto(page.get_by_role("link", name=REPORT).first.get_attribute("href"))
    assert top_of(page.locator("figcaption").first) < 1250
    seen.picture("picture-level-report", 1280)


@pytest.mark.usefixtures("past")
def test_the_board_shows_what_stands_out_and_the_first_rules(look, service_address):
    seen = look()
    seen.page.goto(f"{service_address}/board")
    silent = seen.page.locator(".signals li", has_text="Low trough in CML with an unsatisfactory")
    assert top_of(silent) < 1000
    assert top_of(seen.page.get_by_role("heading", name="By rule and revision")) < 1200
    seen.picture("picture-safety-board", 1300)


def test_the_worklist_shows_urgent_alerts_first_and_what_was_done(look, registered):
    seen = look(900)
    page = seen.page
    levels = {"cml-low-trough": "470", "gist-inflamed": "650", "rifampicin-order": "3600"}
    for story, ng_ml in levels.items():
        file_level(page, registered.hospital, story, ng_ml)
    registered.work()
    page.goto(f"{registered.hospital}/worklist")
    low = page.locator("article.alert", has_text="470 ng/mL").first
    low.locator("summary").click()
    low.get_by_label("Comment").fill("Called the ward: doses are taken. Level again in two weeks.")
    low.get_by_role("button", name="Add the comment only").click()
    page.get_by_role("status").get_by_text("Comment added.").wait_for()
    high = page.locator("article.alert", has_text="3600 ng/mL").first
    high.locator("summary").click()
    high.get_by_label("Comment").fill("Sample mix-up: the laboratory repeats it")
    high.get_by_role("button", name="Acknowledge").click()
    page.get_by_role("status").get_by_text("Acknowledged.").wait_for()
    page.goto(f"{registered.service}/worklist")
    opened = page.locator("section", has=page.get_by_role("heading", name="Open"))
    urgencies = opened.locator(".urgency").all_inner_texts()
    assert urgencies == sorted(urgencies, key=["CRITICAL", "WARNING", "INFO"].index)
    assert "Sample mix-up" in page.locator("section", has_text="Acknowledged").inner_text()
    assert "Called the ward" in page.locator("main").inner_text()
    seen.picture("picture-worklist", 890)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small_and_a_page_shows_it(name):
    assert (ROOT / "docs" / "pictures" / f"{name}.png").stat().st_size < MOST_BYTES
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    assert any(f"pictures/{name}.png)" in page.read_text(encoding="utf-8") for page in pages)


def top_of(element) -> float:
    """How far below the top of the page an element begins."""
    return element.evaluate("one => one.getBoundingClientRect().top + scrollY")
