"""The memory of dosage texts: it says what reading anew would say, and holds no word of a text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cds.clinical.terminology import Drug
from cds.fhir import dose_text_memory
from cds.fhir.dose_text import TextDosage, read_text
from cds.fhir.dose_text_memory import DoseTextMemory
from cds.fhir.products import without_names
from tests.fhir.factories import DRUG

SHARED = DoseTextMemory(places=5)
"""So few places that they are often taken."""

TEXTS = st.lists(
    st.sampled_from(
        [
            *("400 mg", "2 tablets", "1 x 400 mg + 2 x 100 mg", "once daily", "every 12 hours"),
            *(
                "with a meal",
                "as needed",
                "take",
                "Mrs Meier",
                "imatinib",
                "5 ml",
                "stat",
                "\ud800",
                "1,250 mg",
            ),
        ]
    ),
    max_size=4,
).map(" ".join) | st.text(max_size=30)


@given(TEXTS)
def test_a_remembered_reading_is_what_reading_anew_would_say(text: str) -> None:
    assert SHARED.read(text) == SHARED.read(text) == read_text(text)
    assert len(SHARED) <= 5


@given(TEXTS, st.permutations([None, DRUG, replace(DRUG, names=frozenset({"meier"}))]))
def test_a_reading_belongs_to_the_names_that_were_left_out(
    text: str, drugs: list[Drug | None]
) -> None:
    for drug in (*drugs, *drugs):
        said = without_names(text, drug) if drug is not None else text
        assert SHARED.read(text, drug) == read_text(said)


def test_a_text_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []

    def noted(written: str) -> TextDosage:
        texts.append(written)
        return read_text(written)

    monkeypatch.setattr(dose_text_memory, "read_text", noted)
    memory = DoseTextMemory()
    for text in ("400 mg once daily", "400 mg once daily", "400 mg twice daily"):
        memory.read(text)
    assert texts == ["400 mg once daily", "400 mg twice daily"]


@pytest.mark.parametrize("text", ["Mrs Meier: 400 mg daily", "400 mg, tapermeier, daily"])
def test_no_word_of_a_text_is_held(text: str) -> None:
    memory = DoseTextMemory()
    memory.read(text)
    assert "meier" not in repr(vars(memory)).lower()
