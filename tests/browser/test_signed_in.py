"""From the EHR to the report and the worklist: sign-in, alerts, without scripts, on a telephone."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.xdist_group("browser")
REPORT = "All inputs and the basis of this advice"


def file_level(page, hospital: str, story: str, ng_ml: str) -> None:
    """The one level of its kind: the story begins anew, because in these tests no time passes."""
    page.goto(f"{hospital}/patients/{story}")
    page.get_by_role("button", name="Begin again").click()
    page.get_by_label("New level (ng/mL)").fill(ng_ml)
    page.get_by_role("button", name="File the level").click()


def test_a_card_opens_its_report_by_a_launch_and_signing_out_closes_it(look, registered):
    seen = look()
    page = seen.page
    page.goto(f"{registered.hospital}/patients/cml-low-trough")
    page.get_by_role("button", name="Begin again").click()
    page.get_by_role("link", name=REPORT).first.click()

    assert page.url.startswith(f"{registered.service}/evaluations/")
    assert page.locator("h1").inner_text() == "Imatinib trough 720 ng/mL"
    page.wait_for_load_state("load")
    for picture in page.locator("figure img").all():
        assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    assert "Practitioner/dr-demo" in page.locator("header").inner_text()
    cookies = [c for c in page.context.cookies() if c["name"].endswith("tdm-session")]
    assert [(c["httpOnly"], c["sameSite"]) for c in cookies] == [(True, "Lax")]
    assert seen.barriers() == []
    seen.picture("signed-in-report")
    report = page.url
    page.get_by_role("button", name="Sign out").click()
    assert page.locator("h1").inner_text() == "Signed out"
    with page.expect_response(report) as answer:
        page.goto(report)
    assert answer.value.status == 403
    assert "from the patient's chart in your EHR" in page.locator("main").inner_text()
    seen.picture("not-signed-in")
    seen.complaints.clear()  # the browser reports the 403 that was meant


def test_an_alert_is_acknowledged_snoozed_and_speaks_again_without_scripts(look, registered):
    seen = look(scripts=False)
    page = seen.page
    file_level(page, registered.hospital, "cml-low-trough", "430")
    file_level(page, registered.hospital, "gist-inflamed", "650")
    registered.work()
    page.goto(f"{registered.hospital}/worklist")
    low = page.locator("article.alert", has_text="430 ng/mL").first
    summary = low.locator("h3").inner_text()
    low.locator("summary").click()
    low.get_by_label("Comment").fill("Called the ward; dose to be raised tomorrow")
    low.get_by_role("button", name="Acknowledge").click()

    assert page.get_by_role("status").inner_text() == "Acknowledged."
    done = page.locator("section", has=page.get_by_role("heading", name="Acknowledged"))
    assert "Called the ward" in done.inner_text()
    assert "Practitioner/dr-demo" in done.inner_text()
    other = page.locator("article.alert.warning", has_text="Dose-adjusted trough").first
    other.locator("summary").click()
    other.get_by_role("button", name="Snooze").click()
    assert "Snoozed" in page.get_by_role("status").inner_text()
    seen.picture("worklist-without-scripts")

    file_level(page, registered.hospital, "cml-low-trough", "390")
    registered.work()
    page.goto(f"{registered.hospital}/worklist")
    again = page.locator("section", has=page.get_by_role("heading", name="Open"))
    assert "390 ng/mL" in again.inner_text()
    assert summary not in again.inner_text()


def test_a_date_of_birth_stays_whole_at_any_width(look, registered):
    page = look(360).page
    file_level(page, registered.hospital, "cml-low-trough", "420")
    registered.work()
    page.goto(f"{registered.hospital}/worklist")
    born = page.locator(".about .whole").first
    lines = set()
    for width in range(320, 480, 8):
        page.set_viewport_size({"width": width, "height": 900})
        lines.add(born.evaluate("one => one.getClientRects().length"))
    assert born.inner_text().startswith("born ")
    assert lines == {1}


def test_a_level_goes_by_the_subscription_to_chart_and_worklist_until_it_is_withdrawn(
    look, registered
):
    seen = look()
    page = seen.page
    file_level(page, registered.hospital, "cml-low-trough", "440")
    alerts = page.locator("section", has=page.get_by_role("heading", name="Alerts on new levels"))
    assert "No Task yet" in alerts.inner_text()
    registered.work()
    page.get_by_role("link", name="Look again").click()
    assert "440 ng/mL" in alerts.locator("li.requested").inner_text()
    assert "the service keeps the notification" in page.locator("main").inner_text()

    page.get_by_label("Corrected value of 440 ng/mL").fill("525")
    page.get_by_role("button", name="Correct").click()
    registered.work()
    page.get_by_role("link", name="Look again").click()
    assert "525 ng/mL" in alerts.locator("li.requested").inner_text()
    assert "superseded" in alerts.locator("li.cancelled").inner_text()
    assert seen.barriers() == []
    seen.picture("hospital-alerts")
    page.goto(f"{registered.hospital}/worklist")
    assert "525 ng/mL" in page.locator("main").inner_text()

    page.goto(f"{registered.hospital}/patients/cml-low-trough")
    page.get_by_role("button", name="Withdraw").click()
    registered.work()
    page.get_by_role("link", name="Look again").click()
    assert "525 ng/mL" not in alerts.locator("li.requested").inner_text()
    page.goto(f"{registered.hospital}/worklist")
    assert "525 ng/mL" not in page.locator("main").inner_text()


@pytest.mark.parametrize("width", [1280, 375])
def test_the_worklist_fits_its_screen_and_has_no_barriers(look, registered, width):
    seen = look(width)
    page = seen.page
    file_level(page, registered.hospital, "cml-low-trough", "455")
    registered.work()
    page.goto(f"{registered.hospital}/worklist")
    assert page.locator("article.alert").count() > 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    seen.picture(f"worklist-{width}")
    for more in page.locator("details > summary").all():
        more.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.barriers() == []
    seen.picture(f"worklist-open-{width}")


def test_an_alert_is_worked_off_by_keyboard_alone(look, registered):
    seen = look()
    page = seen.page
    file_level(page, registered.hospital, "cml-low-trough", "465")
    registered.work()
    page.goto(f"{registered.hospital}/worklist")
    article = page.locator("article.alert", has_text="465 ng/mL").first
    article.locator("summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert page.get_by_role("status").inner_text() == "Acknowledged."
    assert "by keyboard" in page.locator("main").inner_text()


def test_a_foreign_issuer_gets_a_page_that_says_what_to_do(look, registered):
    seen = look(375)
    page = seen.page
    page.goto(f"{registered.service}/launch?iss=https://evil.example.org&launch=x")
    assert "not registered here" in page.locator("main").inner_text()
    assert seen.barriers() == []
    seen.picture("launch-refused-375")
    seen.complaints.clear()  # the browser reports the 403 that was meant
