"""Results of one moment that contradict each other are said."""

from __future__ import annotations

import pytest

from cds.assess.contradictions import contradicting_results
from cds.assess.tables import tables_for
from cds.clinical.labs import Lab
from cds.clinical.level import ResultStatus
from cds.clinical.setting import Jurisdiction
from cds.rulebook import Rulebook
from tests.assess.build import NOW, ago, record


def anc(value: float, *, days: float = 1.0, status: ResultStatus = ResultStatus.FINAL) -> Lab:
    return Lab("anc", "10*9/L", value, ago(days=days), f"Observation/{value:g}", status)


@pytest.mark.parametrize(
    ("series", "said"),
    [
        ((anc(1.9), anc(0.8)), True),
        ((anc(1.3), anc(1.0)), False),
        ((anc(1.9), anc(1.8)), False),
        ((anc(1.9, days=3), anc(0.8)), False),
        ((anc(1.9, days=12), anc(0.8, days=12)), False),
        ((anc(0.8, status=ResultStatus.PRELIMINARY), anc(1.9)), False),
        ((anc(0.8),), False),
    ],
)
def test_values_of_one_moment_that_lie_too_far_apart_are_said(
    series: tuple[Lab, ...], said: bool, rulebook: Rulebook
) -> None:
    tables = tables_for(rulebook, Jurisdiction.US)
    found = contradicting_results(record(labs=series), rulebook.terminology, tables, NOW)
    assert [problem.message for problem in found] == (
        [
            "Neutrophils: 0.8 and 1.9 10*9/L at one time; the graver counts until it is known "
            "which is true."
        ]
        if said
        else []
    )
