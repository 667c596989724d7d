"""SMART launch: the EHR's user reaches the report of the open patient - and nothing else."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from flask import Response
from werkzeug.test import TestResponse

from cds.settings import ClientSettings
from cds.telemetry import configure_logging
from cds.web import create_app
from tests.web.smart import ELSEWHERE, NaughtyServer, query_of, registered
from tests.web.tokens import BASE, ec_key, rsa_key

CANARY = "canary-p-4711"


def refused(answer: TestResponse, status: int = 403) -> bool:
    """Whether the answer is a page that refuses, and leaves no session behind."""
    assert answer.mimetype == "text/html"
    assert "tdm-session" not in " ".join(answer.headers.getlist("Set-Cookie"))
    return answer.status_code == status


# The way in


def test_the_card_launches_the_report_of_its_own_evaluation(hospital):
    site = hospital()
    link = site.cards()[0]["links"][0]
    site.clock.pass_time(1)
    site.cards()  # a newer one
    journey = site.journey()

    arrived = journey.sign_in(app_context=link["appContext"])
    page = journey.get(arrived.headers["Location"])

    assert (link["type"], link["url"]) == ("smart", f"{BASE}/launch")
    assert arrived.headers["Location"] == f"/evaluations/{link['appContext']}"
    assert page.status_code == 200
    assert "Practitioner/dr-demo" in page.text
    assert "Recomputed differently" not in page.text
    assert journey.get(f"{arrived.headers['Location']}/report.csv").status_code == 200


def test_without_a_card_the_newest_evaluation_of_the_patient_is_shown(hospital):
    site = hospital()
    site.evaluation()
    site.clock.pass_time(60)
    newest = site.evaluation()
    site.evaluation("p-2")

    assert site.journey().sign_in().headers["Location"] == f"/evaluations/{newest}"


def test_a_public_client_proves_itself_by_pkce_alone(hospital):
    site = hospital()
    site.evaluation()
    journey = site.journey()
    asked = query_of(journey.launch().headers["Location"])

    assert asked["code_challenge_method"] == "S256"
    assert asked["aud"] == site.ehr.base
    assert asked["redirect_uri"] == f"{BASE}/launch/callback"
    assert journey.sign_in().status_code == 303
    form = site.ehr.forms[-1]
    assert len(form["code_verifier"]) >= 43
    assert (form["client_id"], form["Authorization"]) == ("imatinib-tdm", "")


def test_a_confidential_client_proves_itself_by_its_secret_from_a_file(hospital, tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")
    site = hospital(client_secret_file=str(tmp_path / "secret"))
    site.evaluation()
    site.ehr.secret = "s3cret"

    assert site.journey().sign_in().status_code == 303
    assert "client_id" not in site.ehr.forms[-1]
    site.ehr.secret = "other"
    assert refused(site.journey().sign_in())


def test_a_confidential_client_may_prove_itself_by_a_key(hospital, tmp_path):
    key = ec_key()
    pem = key.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (tmp_path / "key.pem").write_bytes(pem)
    site = hospital(key_file=str(tmp_path / "key.pem"), key_id=key.kid)
    site.evaluation()
    site.journey().sign_in()

    proof = site.ehr.forms[-1]["client_assertion"]
    proven = jwt.decode(
        proof, key.public_pem, algorithms=["ES384"], audience=f"{site.ehr.base}/token",
        options={"verify_exp": False, "verify_iat": False},
    )  # fmt: skip
    assert (proven["iss"], proven["sub"]) == ("imatinib-tdm", "imatinib-tdm")
    assert jwt.get_unverified_header(proof)["kid"] == key.kid


def test_an_id_token_with_the_usual_algorithm_of_openid_connect_is_accepted(hospital, monkeypatch):
    site = hospital()
    site.evaluation()
    key = rsa_key()
    jwk = {**key.public_jwk, "alg": "RS256"}
    monkeypatch.setattr(site.ehr, "keys", lambda: {"keys": [jwk]})
    site.ehr.mischief.id_token = lambda claims: jwt.encode(
        claims, key.private, algorithm="RS256", headers={"kid": key.kid}
    )

    assert site.journey().sign_in().status_code == 303


def test_the_cookies_are_for_this_host_and_out_of_reach_of_scripts(hospital):
    site = hospital()
    site.evaluation()
    journey = site.journey()
    sent = journey.launch()
    arrived = journey.get(journey.authorize(sent))

    for answer in (sent, arrived):
        for cookie in answer.headers.getlist("Set-Cookie"):
            assert cookie.startswith("__Host-tdm-")
            for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
                assert flag in cookie
            assert "Domain" not in cookie


# Who does not get in


@pytest.mark.parametrize(
    "issuer",
    ["https://evil.example.org/fhir", "", "{base}/other", "{base}@evil.example.org", "{base}?x=1",
     "{base}%2f..", "https://169.254.169.254/latest", "file:///etc/passwd", ELSEWHERE],
)  # fmt: skip
def test_an_issuer_that_is_not_registered_is_refused_without_a_request(hospital, issuer):
    site = hospital()
    named = quote(issuer.format(base=site.ehr.base), safe="")

    answer = site.journey().get(f"{BASE}/launch?iss={named}&launch=x")

    assert refused(answer)
    assert "not registered" in answer.text
    assert site.ehr.asked == []


def test_a_launch_that_names_nothing_opened_is_refused(hospital):
    site = hospital()
    assert refused(site.journey().get(f"{BASE}/launch?iss={site.ehr.base}"), 400)


def test_a_state_works_once(hospital):
    site = hospital()
    site.evaluation()
    journey = site.journey()
    back = journey.authorize(journey.launch())

    assert journey.get(back).status_code == 303
    assert refused(journey.get(back))


def test_a_state_works_only_in_the_browser_that_began(hospital):
    site = hospital()
    site.evaluation()
    attacker, victim = site.journey(), site.journey()
    back = attacker.authorize(attacker.launch())

    assert refused(victim.get(back))
    assert refused(attacker.get(back))  # and is used up by the attempt


@pytest.mark.parametrize("state", ["", "made-up", "x" * 5000])
def test_a_state_nobody_began_with_is_refused(hospital, state):
    assert refused(hospital().journey().get(f"{BASE}/launch/callback?code=c&state={state}"))


def test_a_code_of_another_sign_in_is_refused(hospital):
    site = hospital()
    site.evaluation()
    attacker, victim = site.journey(), site.journey()
    stolen = query_of(attacker.authorize(attacker.launch()))
    own = query_of(victim.authorize(victim.launch()))

    answer = victim.get(f"{BASE}/launch/callback?code={stolen['code']}&state={own['state']}")

    assert refused(answer)


def test_a_sign_in_that_takes_too_long_is_refused(hospital):
    site = hospital()
    site.evaluation()
    journey = site.journey()
    back = journey.authorize(journey.launch())
    site.clock.pass_time(601)

    assert refused(journey.get(back))


def test_what_the_ehr_says_of_a_refusal_is_not_repeated(hospital):
    site = hospital()
    journey = site.journey()
    state = query_of(journey.launch().headers["Location"])["state"]

    answer = journey.get(
        f"{BASE}/launch/callback?state={state}&error=access_denied&error_description=%3Cb%3Ehi"
    )

    assert refused(answer)
    assert "did not allow" in answer.text
    assert "hi" not in answer.text.replace("this", "").replace("which", "")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example.org"},
        {"aud": "another-app"},
        {"aud": ["imatinib-tdm", "another-app"]},
        {"aud": ["imatinib-tdm", "another-app"], "azp": "another-app"},
        {"aud": ...},
        {"nonce": "of another sign-in"},
        {"nonce": ...},
        {"exp": 1700000000},
        {"exp": ...},
        {"iat": 4000000000, "exp": 4000000300},
    ],
    ids=["issuer", "audience", "party-not-named", "party", "no-audience", "nonce", "no-nonce",
         "expired", "no-expiry", "from-the-future"],
)  # fmt: skip
def test_an_id_token_that_is_not_for_this_sign_in_is_refused(hospital, changes):
    site = hospital()
    site.evaluation()
    site.ehr.mischief.claims = changes

    assert refused(site.journey().sign_in())


@pytest.mark.parametrize("forged", ["none", "symmetric", "another-key", "garbage", "missing"])
def test_an_id_token_that_the_ehr_did_not_sign_is_refused(hospital, forged):
    site = hospital()
    site.evaluation()
    head = {"kid": "demo-hospital"}
    public = json.dumps(site.ehr.keys())
    makers: dict[str, Callable[[Any], Any]] = {
        "none": lambda c: jwt.encode(c, None, algorithm="none", headers=head),
        "symmetric": lambda c: jwt.encode(c, public, algorithm="HS256", headers=head),
        "another-key": lambda c: jwt.encode(c, ec_key().private, algorithm="ES384", headers=head),
        "garbage": lambda c: "a.b.c",
        "missing": lambda c: None,
    }
    site.ehr.mischief.id_token = makers[forged]

    assert refused(site.journey().sign_in())


@pytest.mark.parametrize(
    "person",
    [..., "", "Practitioner", "https://evil.example.org/Practitioner/1", "Practitioner/../1", 7,
     "Patient/p-1", "RelatedPerson/r-1"],
)  # fmt: skip
def test_only_a_professional_of_this_ehr_is_let_in(hospital, person):
    site = hospital()
    site.evaluation()
    site.ehr.mischief.claims = {"fhirUser": person}

    assert refused(site.journey().sign_in())


@pytest.mark.parametrize(
    "changes",
    [
        {"token_endpoint": "https://evil.example.org/token"},
        {"authorization_endpoint": "https://evil.example.org/authorize"},
        {"jwks_uri": "http://127.0.0.1:1/jwks"},
        {"jwks_uri": ...},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"code_challenge_methods_supported": ["plain"]},
    ],
)
def test_endpoints_elsewhere_or_without_pkce_are_not_used(hospital, changes):
    site = hospital()
    site.ehr.mischief.configuration = changes

    assert refused(site.journey().launch(), 502)
    assert set(site.ehr.asked) == {".well-known/smart-configuration"}


def test_an_ehr_that_is_down_is_asked_seldom_and_said_to_be_down(hospital, monkeypatch):
    site = hospital()
    monkeypatch.setattr(site.ehr, "configuration", lambda: ["not", "an", "object"])
    answers = [site.journey().launch() for _ in range(5)]

    assert all(refused(answer, 502) for answer in answers)
    assert "cannot be reached" in answers[0].text
    assert len(site.ehr.asked) == 1


@pytest.mark.parametrize(
    ("response", "status"),
    [
        (Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), 403),
        (Response("no", 401), 403),
        (Response("<html>", 200), 502),
        (Response("[]", 200), 502),
        (Response(" " * 300_000, 200), 502),
        (Response("{}", 200, headers={"Content-Encoding": "gzip"}), 502),
    ],
    ids=["redirect", "refusal", "html", "array", "too-large", "compressed"],
)
def test_an_answer_that_is_none_is_refused_in_words(hospital, response, status):
    site = hospital()
    site.evaluation()
    site.ehr.mischief.token_response = response

    assert refused(site.journey().sign_in(), status)


@pytest.mark.parametrize("patient", ["p-1/../p-2", "x" * 300, 7, ["p-1"]])
def test_a_patient_that_is_no_id_is_refused(hospital, patient):
    site = hospital()
    site.evaluation()
    site.ehr.mischief.answer = {"patient": patient}

    assert refused(site.journey().sign_in(), 502)


@pytest.mark.parametrize(
    "context", ["//evil.example.org", "https://evil.example.org", "../rules", "{}", "1"]
)
def test_a_context_that_is_no_evaluation_leads_nowhere(hospital, context):
    site = hospital()
    site.evaluation()

    assert refused(site.journey().sign_in(app_context=context), 404)


def test_a_launch_without_a_patient_or_without_an_evaluation_says_so(hospital):
    site = hospital()

    nobody, nothing = site.journey().sign_in(None), site.journey().sign_in("p-9")

    assert refused(nobody)
    assert refused(nothing, 404)
    assert "Nothing has been evaluated" in nothing.text


# What somebody who is in may not see


def parts_of(evaluation: str) -> list[str]:
    return [
        f"/evaluations/{evaluation}{part}"
        for part in ("", "/level.svg", "/report.json", "/report.csv", "/diagnostic-report.json")
    ]


def test_the_report_of_another_patient_is_not_there(hospital):
    site = hospital()
    site.evaluation()
    other = site.evaluation("p-2")
    journey = site.journey()

    arrived = journey.sign_in(app_context=other)

    assert arrived.status_code == 303
    answers = [journey.get(part) for part in parts_of(other)]
    assert [answer.status_code for answer in answers] == [404] * 5
    as_data = journey.get(parts_of(other)[0], headers={"Accept": "application/json"})
    unknown = journey.get("/evaluations/00000000-0000-4000-8000-000000000000")
    assert as_data.status_code == 404
    assert answers[0].text == unknown.text  # nothing tells that it exists


def test_the_report_of_another_client_is_not_there_even_for_the_same_patient_id(hospital):
    site = hospital(worklist_users=["*"])
    site.evaluation()
    foreign = [site.evaluation("p-1", "south"), site.evaluation("p-2", "south")]
    journey = site.journey()
    journey.sign_in()

    for one in foreign:
        assert [journey.get(part).status_code for part in parts_of(one)] == [404] * 5


def test_whoever_may_see_the_worklist_sees_the_reports_it_leads_to(hospital):
    site = hospital(worklist_users=["Practitioner/dr-demo"])
    site.evaluation()
    other = site.evaluation("p-2")
    trusted, colleague = site.journey(), site.journey()
    trusted.sign_in()
    colleague.sign_in(user="Practitioner/2")

    assert trusted.get(f"/evaluations/{other}").status_code == 200
    assert colleague.get(f"/evaluations/{other}").status_code == 404


def test_without_a_sign_in_the_page_says_what_to_do(hospital):
    site = hospital()
    answer = site.journey().get(parts_of(site.evaluation())[0])

    assert refused(answer)
    assert "from the patient&#39;s chart in your EHR" in answer.text


def test_a_session_ends_at_its_time(hospital):
    site = hospital(session_minutes=10)
    journey = site.journey()
    site.evaluation()
    page = journey.sign_in().headers["Location"]

    site.clock.pass_time(599)
    assert journey.get(page).status_code == 200
    site.clock.pass_time(2)
    assert refused(journey.get(page))


def test_a_session_that_somebody_planted_is_worth_nothing(hospital):
    site = hospital()
    site.evaluation()
    attacker, victim = site.journey(), site.journey()
    attacker.sign_in()
    cookie = next(c for c in attacker.browser._cookies.values() if "session" in c.key)
    victim.browser.set_cookie(cookie.key, cookie.value, domain="tdm.example.org")

    page = victim.sign_in().headers["Location"]

    assert victim.get(page).status_code == 200
    issued = next(c for c in victim.browser._cookies.values() if "session" in c.key)
    assert issued.value != cookie.value
    assert refused(attacker.get(page))  # what was planted has ended


def test_two_windows_can_sign_in_side_by_side(hospital):
    site = hospital()
    site.evaluation()
    site.evaluation("p-2")
    journey = site.journey()
    first = journey.authorize(journey.launch("p-1"))
    second = journey.authorize(journey.launch("p-2"))

    assert journey.get(second).status_code == 303
    assert journey.get(first).status_code == 303


def sign_out_form(page: TestResponse) -> str:
    return page.text.split('name="form_code" value="')[1].split('"')[0]


def test_signing_out_ends_the_session_everywhere(hospital):
    site = hospital()
    site.evaluation()
    journey = site.journey()
    where = journey.sign_in().headers["Location"]
    kept = copy.copy(next(c for c in journey.browser._cookies.values() if "session" in c.key))

    out = journey.post("/sign-out", form_code=sign_out_form(journey.get(where)))

    assert "Signed out" in out.text
    assert refused(journey.get(where))
    journey.browser.set_cookie(kept.key, kept.value, domain="tdm.example.org")
    assert refused(journey.get(where))


@pytest.mark.parametrize("code", ["", "0" * 64, "é"])
def test_a_form_that_another_site_sends_is_refused(hospital, code):
    site = hospital()
    site.evaluation()
    journey = site.journey()
    where = journey.sign_in().headers["Location"]

    assert refused(journey.post("/sign-out", form_code=code))
    right = sign_out_form(journey.get(where))
    for origin in ("https://evil.example.org", "null"):
        answer = journey.browser.post(
            "/sign-out", base_url=BASE, data={"form_code": right}, headers={"Origin": origin}
        )
        assert answer.status_code == 403
    assert journey.get(where).status_code == 200


def test_a_session_does_not_outlive_the_setting_that_allowed_it(
    hospital, make_services, ehr: NaughtyServer
):
    site = hospital()
    site.evaluation()
    journey = site.journey()
    where = journey.sign_in().headers["Location"]
    without = registered(ehr) | {"smart": None}
    services = make_services(
        clients=(ClientSettings.model_validate(without),), public_base_url=BASE
    )
    cookie = next(c for c in journey.browser._cookies.values() if "session" in c.key)
    later = create_app(services).test_client()
    later.set_cookie(cookie.key, cookie.value, domain="tdm.example.org")

    answer = later.get(where, base_url=BASE, headers={"Accept": "text/html"})

    assert refused(answer)
    assert "Nobody can sign in" in answer.text


def test_whoever_tries_the_door_too_often_waits(hospital):
    site = hospital()
    statuses = [
        site.journey().get(f"{BASE}/launch?iss=https://evil.example.org&launch=x").status_code
        for _ in range(25)
    ]
    assert statuses == [403] * 20 + [429] * 5
    site.clock.pass_time(1)
    assert site.journey().launch().status_code == 302


@pytest.mark.parametrize(("proxied", "status"), [(True, 403), (False, 429)])
def test_behind_the_sites_proxy_one_address_does_not_hold_up_the_others(
    make_services, ehr: NaughtyServer, proxied: bool, status: int
):
    services = make_services(
        clients=(ClientSettings.model_validate(registered(ehr)),),
        public_base_url=BASE,
        server={"behind_tls_proxy": proxied},
    )
    browser = create_app(services).test_client()

    def tries(address: str) -> int:
        # What a stranger writes there stands before what the proxy adds.
        sent = {"X-Forwarded-For": f"198.51.100.1, {address}"}
        return browser.get("/launch?iss=x&launch=x", headers=sent).status_code

    assert [tries("192.0.2.7") for _ in range(21)] == [403] * 20 + [429]
    assert tries("192.0.2.8") == status


# What is left behind


def test_nothing_of_patient_token_or_cookie_stands_in_logs_metrics_or_errors(hospital, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    configure_logging(json_lines=True)
    site = hospital()
    evaluation = site.evaluation(CANARY)
    journey = site.journey()
    sent = journey.launch(CANARY, app_context=evaluation)
    back = journey.authorize(sent)
    secrets = [query_of(sent.headers["Location"])["state"], query_of(back)["code"]]
    journey.get(back)
    secrets += [cookie.value for cookie in journey.browser._cookies.values()]
    journey.get(f"/evaluations/{evaluation}")
    journey.get(back)
    site.ehr.mischief.claims = {"nonce": CANARY, "fhirUser": f"Practitioner/{CANARY}"}
    refusals = [journey.sign_in(CANARY), journey.get(f"{BASE}/launch?iss={CANARY}&launch={CANARY}")]
    secrets += [form["code_verifier"] for form in site.ehr.forms]
    metrics = site.app.test_client().get("/metrics").text

    written = stream.getvalue() + metrics + "".join(answer.text for answer in refusals)
    assert '"event": "signed-in"' in written
    assert 'tdm_rejected_total{reason="smart-state"} 1.0' in written
    for secret in (*secrets, CANARY, "dr-demo", "eyJ"):
        assert secret not in written
    with site.services.store.database.reading() as connection:
        dump = "\n".join(connection.connection.iterdump())  # SQLite's own way to write all out
    for secret in (*secrets, CANARY):
        assert secret not in dump
