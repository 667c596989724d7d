"""What a prescriber does in the demo hospital, from the chart to the report, in a real browser."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.xdist_group("browser")


def test_an_inducer_is_ordered_the_critical_card_comes_and_its_alternative_is_accepted(
    look, hospital_address
):
    seen = look()
    page = seen.page
    page.goto(hospital_address)
    page.get_by_role("link", name="CML in remission: rifampicin is ordered").click()
    page.get_by_label("Medicine").select_option("rifampicin")
    page.get_by_label("Amount (mg)").fill("600")
    page.get_by_role("button", name="Select").click()
    card = page.locator("article.card.critical")
    assert "26 %" in card.get_by_role("heading").inner_text()
    seen.picture("hospital-critical-card")
    assert seen.barriers() == []
    card.get_by_role("button", name="Cancel the order of rifampicin").click()
    assert page.locator("table.drafts").count() == 0
    assert "accepted: Cancel the order of rifampicin" in page.locator("main").inner_text()


def test_a_low_level_is_filed_the_report_is_opened_and_a_higher_dose_is_tried(
    look, hospital_address
):
    seen = look()
    page = seen.page
    page.goto(f"{hospital_address}/patients/cml-low-trough")
    page.get_by_label("New level (ng/mL)").fill("540")
    page.get_by_role("button", name="File the level").click()
    card = page.locator("article.card", has_text="540 ng/mL")
    card.get_by_role("link", name="All inputs and the basis of this advice").first.click()
    assert page.locator("h1").inner_text() == "Imatinib trough 540 ng/mL"
    current = page.locator("table.doses tr.current td").last.evaluate(
        "cell => cell.previousElementSibling.innerText"
    )
    page.get_by_label("Amount (mg)").fill("600")
    page.get_by_role("button", name="Show what-if").click()
    said = page.locator("section.what-if").inner_text()
    assert "not stored" in said
    tried = re.search(r"in the target with a chance of <?(\d+) %", said)
    assert tried is not None
    assert int(tried[1]) > int(re.sub(r"\D", "", current))
    seen.picture("report-what-if")
    assert seen.barriers() == []


def test_a_card_is_overridden_with_a_reason(look, hospital_address):
    seen = look()
    page = seen.page
    page.goto(f"{hospital_address}/patients/cml-low-trough")
    page.get_by_role("button", name="Begin again").click()
    cards = page.locator("article.card")
    before = cards.count()
    card = cards.first
    card.get_by_text("Do not follow").click()
    card.get_by_label("Reason", exact=True).select_option(index=0)
    card.get_by_label("Comment").fill("level again in four weeks")
    card.get_by_role("button", name="Override").click()
    page.get_by_text("overridden:").first.wait_for()
    assert cards.count() == before - 1


def order_with(page, medicine: str, sent: str, server: str) -> str:
    """Write an order with its data travelling so; what the page says of the answer."""
    page.get_by_label("Medicine").select_option(medicine)
    how = page.locator("details.supply")
    if how.get_attribute("open") is None:
        how.locator("summary").click()
    page.get_by_label("Sent with the call").select_option(sent)
    page.get_by_label("To be asked for the rest").select_option(server)
    page.get_by_role("button", name="Select").click()
    return page.get_by_role("status").inner_text()


def test_the_page_shows_what_the_service_answers_when_data_do_not_come(look, hospital_address):
    seen = look()
    page = seen.page
    page.goto(f"{hospital_address}/patients/rifampicin-order")

    said = order_with(page, "rifampicin", "nothing", "none")
    assert "the service answered 412" in said
    assert "no FHIR server was named" in said
    assert "prefetch.medications" in page.locator(".refused").inner_text()

    said = order_with(page, "rifampicin", "nothing", "failing")
    assert "the service answered 412" in said
    refused = page.locator(".refused").inner_text()
    assert "prefetch.patient: the server answered with status 503" in refused
    assert "The order can be written all the same." in refused
    assert seen.barriers() == []
    seen.picture("hospital-failing-server")

    assert "1 card" in order_with(page, "rifampicin", "nothing", "answers")
    card = page.locator("article.card.critical").inner_text()
    assert "1240 ng/mL" in card  # read from the server


def test_a_slow_server_is_not_waited_for_and_the_card_says_what_is_not_known(
    look, hospital_address
):
    seen = look()
    page = seen.page
    page.goto(f"{hospital_address}/patients/rifampicin-order")
    said = order_with(page, "rifampicin", "without-laboratory", "slow")
    assert "held back each answer for 20 s" in said
    assert re.search(r"1 card after \d+\.\d s", said)
    card = page.locator("article.card.critical").inner_text()
    assert "The levels could not be obtained: the server did not answer in time." in card
    seen.picture("hospital-slow-server")


@pytest.mark.parametrize("width", [1280, 375])
def test_the_hospital_fits_its_screen_and_has_no_barriers(look, hospital_address, width):
    seen = look(width)
    for name, path in (("patients", "/"), ("chart", "/patients/neutropenia")):
        seen.page.goto(hospital_address + path)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert seen.barriers() == []
        seen.picture(f"hospital-{name}-{width}")


def test_the_journey_works_without_javascript(look, hospital_address):
    seen = look(scripts=False)
    page = seen.page
    page.goto(f"{hospital_address}/patients/azole-vincristine")
    page.get_by_label("Medicine").select_option("voriconazole")
    page.get_by_role("button", name="Select").click()
    assert page.locator("article.card").count() >= 1
