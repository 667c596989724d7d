"""Free-text dosages: read to the last word, or not at all; and compared with the structure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds.clinical.record import PatientRecord
from cds.fhir.dose_text import read_text
from cds.fhir.frequency import _PARTS, _PHRASES, ONCE, Rate, rate_of_phrase
from tests.fhir.factories import IMATINIB_100, dosage, request

Read = Callable[..., PatientRecord]


@pytest.mark.parametrize(
    ("phrase", "doses", "cycle_h"),
    [
        ("Daily", 1, 24),
        ("once daily", 1, 24),
        ("QD", 1, 24),
        ("every morning", 1, 24),
        ("every 24 hours", 1, 24),
        ("1 x daily", 1, 24),
        ("nightly", 1, 24),
        ("Once daily in the morning", 1, 24),
        ("twice daily", 2, 24),
        ("BID", 2, 24),
        ("b.i.d.", 2, 24),
        ("2 times a day", 2, 24),
        ("every 12 hours", 1, 12),
        ("q12h", 1, 12),
        ("in the morning and in the evening", 2, 24),
        ("2 times daily with meals", 2, 24),
        ("three times daily", 3, 24),
        ("TID", 3, 24),
        ("q8h", 1, 8),
        ("every other day", 1, 48),
        ("once a week", 1, 168),
        ("1 (one) time each day", 1, 24),
        ("2 (two) times a day", 2, 24),
        ("1x täglich", 1, 24),
        ("zweimal tgl.", 2, 24),
        ("morgens und abends", 2, 24),
        ("alle 2 Tage", 1, 48),
        ("alle 12 Stunden", 1, 12),
        ("1 fois par jour", 1, 24),
        ("matin et soir", 2, 24),
        ("un jour sur deux", 1, 48),
        ("2 veces al día", 2, 24),
        ("cada 12 horas", 1, 12),
        ("2x daags", 2, 24),
        ("1 volta al giorno", 1, 24),
    ],
)
def test_a_plain_phrase_is_a_frequency(phrase: str, doses: int, cycle_h: float) -> None:
    found = rate_of_phrase(phrase)
    assert found is not None
    assert found.agrees_with(Rate(doses, cycle_h))


@pytest.mark.parametrize("phrase", ["Once", "one-time", "STAT"])
def test_once_is_a_single_dose(phrase: str) -> None:
    assert rate_of_phrase(phrase) == ONCE


@pytest.mark.parametrize(
    "phrase",
    [
        "",
        "as directed",
        "see instructions",
        "daily or twice daily",
        "once daily then twice daily",
        "every 3-4 days",
        "daily x 5",
        "696543",
        "weekdays",
        "every 5 hours",
    ],
)
def test_another_phrase_is_not_read(phrase: str) -> None:
    assert rate_of_phrase(phrase) is None


def _text_only(text: str) -> dict[str, Any]:
    return request(dosageInstruction=[{"text": text}])


@pytest.mark.parametrize(
    ("text", "daily_mg"),
    [
        ("400 mg once daily", 400),
        ("Take 1 tablet by mouth daily", 400),
        ("Take 2 tablets (800 mg) orally twice daily with food and a large glass of water", 1600),
        ("one and the same tablet daily", None),
        ("400 mg daily, max 800 mg per day", 400),
        ("1 x 400 mg + 2 x 100 mg daily", 600),
        ("400 mg in the morning", 400),
        ("0.4 g daily", 400),
        ("half a tablet daily", 200),
        ("Imatinib (Glivec) 400 mg PO daily", 400),
        ("imatinib mesylate 478 mg daily", None),
        ("400 mg", None),
        ("daily", None),
        ("400 mg daily or as directed", None),
        ("400 mg daily except Sundays", None),
        ("400 mg daily for 14 days then 600 mg", None),
        ("400 mg daily as needed", None),
        ("1-2 tablets daily", None),
        ("1,250 mg daily", None),
        ("340 mg/m2 daily", None),
        ("400 mg morning, 200 mg evening", None),
        ("take 400 mg daily unless vomiting", None),
        ("400 mg daily days 1-21 of a 28-day cycle", None),
        ("do not take 400 mg daily", None),
        ("Take 1 tablet (400 mg total) by mouth 1 (one) time each day.", 400),
        ("Take 1 tablet daily with food. Do not crush or chew.", 400),
        ("400 mg = 1 tab(s), Oral, Daily, # 30 tab(s), 3 Refill(s)", 400),
        ("1-0-0-0", 400),
        ("1-0-1", 800),
        ("400 mg 1 - 0 - 0", 400),
        ("2-0-1", None),
        ("0-0-0", None),
        ("1-0", None),
        ("1-0-1 am 1. Tag", None),
        ("1 Tablette täglich zum Essen mit einem großen Glas Wasser", 400),
        ("1 Tbl. morgens", 400),
        ("nicht mehr als 1 Tablette täglich", None),
        ("Prendre 1 comprimé par jour pendant le repas", 400),
        ("1 cp matin et soir", 800),
        ("1 comprimido al día con la comida", 400),
        ("1 tablet per dag bij de maaltijd", 400),
        ("ne pas prendre 1 comprimé par jour", None),
        ("Take 1/2 tablet by mouth twice daily", 400),
        ("1 1/2 tablets daily with food", 600),
        ("1-1/2 tablets daily", 600),
        ("1½ Tabletten täglich", 600),
        ("one and a half tablets once a day", 600),
        ("1/2-0-1/2", 400),
        ("1-0-0 zum Frühstück", 400),
        ("1 comprimé par jour au cours d'un repas avec un grand verre d'eau", 400),
        ("1 cp/j au milieu du repas", 400),
        ("dagelijks 1 tablet tijdens de maaltijd met een groot glas water", 400),
        ("1 tab mane", 400),
        ("1 tab mane and nocte", 800),
        ("1 tablet daily from 1/2/2026", None),
    ],
)
def test_a_text_is_a_dose_only_if_every_word_of_it_is_understood(
    text: str, daily_mg: float | None, read: Read
) -> None:
    (order,) = read(_text_only(text)).orders
    found = order.regimens[0].daily_mg if order.regimens else None
    assert found == daily_mg


@pytest.mark.parametrize(
    "text",
    [
        "400 mg = 1 tab, Oral, Daily",
        "Take 1 tablet (400 mg total) by mouth daily. Hold for grade 3 toxicity.",
        "Take with food. Swallow whole.",
        "1 tablet every morning with breakfast, refills: 3",
        "1 x 400 mg daily",
        "400 mg once daily. Do not exceed 800 mg.",
        "400 mg = 1 tab(s), Oral, Daily, # 30 tab(s), 3 Refill(s)",
        "1-0-0-0",
    ],
)
def test_a_text_that_says_the_same_as_the_structure_is_fine(text: str, read: Read) -> None:
    record = read(request(dosageInstruction=[dosage() | {"text": text}]))
    assert record.problems == ()
    assert record.orders[0].regimens[0].daily_mg == 400


@pytest.mark.parametrize(
    "text",
    [
        "400 mg twice daily",
        "600 mg daily",
        "2 tablets daily",
        "400 mg every other day",
        "400 mg daily for 4 weeks on, 2 weeks off",
        "400 mg daily, increase to 600 mg",
        "400 mg daily as needed",
        "400 mg Mondays to Fridays",
        "once",
    ],
)
def test_a_text_that_says_something_else_is_a_question(text: str, read: Read) -> None:
    record = read(request(dosageInstruction=[dosage() | {"text": text}]))
    assert [problem.code for problem in record.problems] == ["text-conflict"]
    assert record.orders[0].regimens == ()


def test_the_text_may_count_the_tablets_of_the_product(read: Read) -> None:
    four = dosage(400) | {"text": "4 tablets of 100 mg daily"}
    record = read(request(medicationCodeableConcept=IMATINIB_100, dosageInstruction=[four]))
    assert record.problems == ()


def test_the_text_of_the_patient_is_compared_too(read: Read) -> None:
    both = dosage() | {"text": "400 mg daily", "patientInstruction": "take twice a day"}
    record = read(request(dosageInstruction=[both]))
    assert [problem.code for problem in record.problems] == ["text-conflict"]


@given(st.text(max_size=80))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert read_text(text).understood in {True, False}


_WORDS = st.sampled_from(
    [
        "400",
        "mg",
        "1",
        "2",
        "tablet",
        "tablets",
        "daily",
        "twice",
        "once",
        "every",
        "other",
        "day",
        "as",
        "needed",
        "with",
        "food",
        "then",
        "not",
        "600",
        "x",
        "+",
        "1.5",
        ",",
        ".",
        "(",
        ")",
        "morning",
        "evening",
        "or",
        "max",
        "hold",
        "for",
        "weeks",
        "by",
        "mouth",
    ]
)


@given(st.lists(_WORDS, max_size=10).map(" ".join))
def test_a_dose_read_from_any_words_stands_in_them(text: str) -> None:
    found = read_text(text)
    stated = {float(word) for word in text.split() if word.replace(".", "").isdigit()}
    for mg in found.amounts_mg:
        assert mg in stated or "x" in text or "+" in text
    if found.understood:
        assert not {"not", "needed", "then", "or", "hold", "weeks"} & set(text.split())


@pytest.mark.parametrize(("signs", "pattern"), [row[:2] for row in (*_PHRASES, *_PARTS)])
def test_every_text_with_a_phrase_has_one_of_its_signs(
    signs: tuple[str, ...], pattern: re.Pattern[str]
) -> None:
    @given(st.from_regex(pattern))
    def has_a_sign(written: str) -> None:
        found = pattern.search(written)
        assert found is not None
        assert any(sign in found[0] for sign in signs)

    has_a_sign()


@pytest.mark.parametrize(
    ("text", "with_food"),
    [
        ("Take 1 tablet daily w/ food", True),
        ("1-0-0 zum Essen", True),
        ("1-0-0 zum Frühstück", True),
        ("1 Tablette zur Hauptmahlzeit", True),
        ("1 comprimé au cours d'un repas", True),
        ("1 tablet bij het ontbijt", True),
        ("1 compressa durante il pasto", True),
        ("1 comprimido con el desayuno", True),
        ("1-0-0 nüchtern", False),
        ("1 Tablette vor dem Frühstück", False),
        ("1 comprimé à jeun", False),
        ("1 tablet op een lege maag", False),
        ("1-0-0", None),
    ],
)
def test_what_is_said_of_food_is_read_in_each_language(text: str, with_food: bool | None) -> None:
    assert read_text(text).with_food is with_food
