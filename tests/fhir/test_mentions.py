"""The cheap question whether a request has to do with the drug at all."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cds.fhir.mentions import mentions
from tests.fhir.factories import DRUG, RXNORM, coded, lab, level, request

_OTHER = coded(RXNORM, "9384", "rifampin")


@pytest.mark.parametrize(
    "resource",
    [
        request(),
        request(medicationCodeableConcept={"text": "GLIVEC 100 mg"}),
        request(medicationCodeableConcept=_OTHER, note=[{"text": "stop Imatinib"}]),
        {"resourceType": "Bundle", "entry": [{"resource": level()}]},
        level(code={"coding": [{"code": "57844-3"}]}),
        {"deep": [[[{"x": "imatinib"}]]]},
    ],
)
def test_every_mention_is_noticed(resource: dict[str, Any]) -> None:
    assert mentions([resource], DRUG)


@pytest.mark.parametrize(
    "resource",
    [request(medicationCodeableConcept=_OTHER), lab("777-3", 5, "10*9/L"), {}, None, 5, "x"],
)
def test_silence_is_noticed(resource: Any) -> None:
    assert not mentions([resource], DRUG)


_LETTERS = st.sampled_from(
    [*"imatinbIMATINBgleevcGLIVEC ıİſKß\n-", "imatinib", "GLIVEC", "グリベック"]
)
_NAMES = st.frozensets(
    st.lists(_LETTERS.filter(lambda letter: letter != "\n"), min_size=1, max_size=4).map("".join),
    max_size=4,
)
"""Of one line, as every name in `rules/drug.yaml`: several texts are searched line by line."""


@given(
    st.lists(st.lists(_LETTERS, max_size=6).map("".join), max_size=4),
    _NAMES | st.just(DRUG.names),
)
@settings(max_examples=500)
def test_a_name_is_found_in_any_text_whatever_its_case(
    texts: list[str], names: frozenset[str]
) -> None:
    name = re.compile("|".join(map(re.escape, names)) or "(?!)", re.IGNORECASE)
    drug = replace(DRUG, names=names)
    assert mentions([{"x": [text]} for text in texts], drug) == any(map(name.search, texts))
    assert mentions([texts], drug) == any(map(name.search, texts))
