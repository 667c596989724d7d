"""What a comment on a level says about doses that were missed."""

from __future__ import annotations

import pytest

from cds.fhir.missed import says_doses_missed


@pytest.mark.parametrize(
    "comment",
    [
        "Patient missed last two doses",
        "Pt reports he forgot the evening tablets on Monday and Tuesday. Sample 24 h after dose.",
        "Vomited her dose twice this week",
        "ran out of imatinib last week",
        "Patient missed the two doses before the sample",
        "Skipped the weekend doses",
        "Dosis am Wochenende vergessen",
        "Zwei Tabletten erbrochen",
        "A oublié deux prises",
        "Olvidó la dosis del lunes",
        "Twee doses vergeten",
    ],
)
def test_doses_that_were_missed_are_heard(comment: str) -> None:
    assert says_doses_missed([comment])


@pytest.mark.parametrize(
    "comment",
    [
        "No missed doses",
        "Missed doses: none",
        "Missed doses: 0",
        "Denies having missed doses",
        "Keine Einnahme vergessen",
        "Aucune prise oubliée",
        "Low concentrations may reflect missed doses or an interaction",
        "Ask whether doses were missed",
        "If a dose was missed, repeat the level",
        "Dose skipped this morning until the sample was drawn",
        "Morning dose omitted before the draw",
        "Missed today's dose",
        "Vomited once",
        "Last dose 24 h before the sample",
        "",
    ],
)
def test_what_is_denied_supposed_or_held_back_for_the_sample_is_not(comment: str) -> None:
    assert not says_doses_missed([comment])
