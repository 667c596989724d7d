"""Evaluation: three values, both evaluators, and nothing said when they disagree."""

from __future__ import annotations

import pickle

import pytest
from msgspec.structs import replace

from cds.clinical.finding import Matter, Severity
from cds.clinical.setting import Jurisdiction, Occasion, Setting
from cds.rulebook import FactError, Outcome
from cds.rulebook.evaluate import Deck
from cds.rulebook.program import EngineError, Program
from tests.rulebook.build import (
    CML,
    INDUCER,
    LOW,
    LOW_LEVEL,
    RIFAMPICIN,
    SETTING,
    TEXTS,
    rulebook,
    scene,
)

EU = replace(SETTING, jurisdiction=Jurisdiction.EU)


def outcome(*given: dict[str, object], rule: str = "trough.low") -> Outcome:
    verdict = rulebook().evaluate(scene(*given), SETTING)  # type: ignore[arg-type]
    assert verdict.agreed, verdict.disagreement
    return verdict.of(rule).outcome


def test_a_rule_fires_with_its_words_severity_sources_and_references() -> None:
    verdict = rulebook().evaluate(scene(CML, LOW_LEVEL), SETTING)
    (finding,) = verdict.findings
    assert finding.rule_id == "trough.low"
    assert finding.revision == 2
    assert finding.matter is Matter.EXPOSURE
    assert finding.severity is Severity.WARNING
    assert finding.summary == "Trough 720 ng/mL is below 1000 ng/mL"
    assert finding.detail == "Ask whether doses are taken.\n\nReported as 720 ng/mL."
    assert finding.show == ("level",)
    assert finding.suggest == ("raise-dose",)
    assert finding.override_reasons == ("will-monitor",)
    assert finding.references == ("Observation/1",)
    (source,) = finding.citations
    assert (source.citation, source.url, source.verified) == (
        "A trial", "https://doi.org/10.1/x", True,
    )  # fmt: skip


def test_a_fact_that_fails_one_comparison_leaves_the_rule_silent() -> None:
    assert outcome(CML, {**LOW_LEVEL, "age_days": 91}) is Outcome.SILENT


def test_a_missing_attribute_leaves_the_rule_undecided_and_is_named() -> None:
    level = {key: value for key, value in LOW_LEVEL.items() if key != "trough_ng_ml"}
    trace = rulebook().evaluate(scene(CML, level), SETTING).of("trough.low")
    assert trace.outcome is Outcome.UNDECIDED
    assert trace.missing == ("level.trough_ng_ml",)


def test_a_fact_that_fails_anyway_is_not_asked_for_what_it_lacks() -> None:
    level = {"is": "level", "gate": "too-early", "age_days": 2}
    assert outcome(CML, level) is Outcome.SILENT


def test_a_rule_that_fires_on_one_fact_is_not_undecided_for_another() -> None:
    other = {"is": "level", "gate": "trough", "age_days": 2}
    assert outcome(CML, LOW_LEVEL, other) is Outcome.FIRED


def test_the_nearest_of_several_undecided_facts_names_what_is_missing() -> None:
    levels = [{"is": "level", "gate": "trough"}, {"is": "level", "gate": "trough", "age_days": 1}]
    trace = rulebook().evaluate(scene(CML, *levels), SETTING).of("trough.low")
    assert trace.missing == ("level.trough_ng_ml",)


def test_a_negation_holds_until_the_fact_appears() -> None:
    assert outcome(CML, LOW_LEVEL) is Outcome.FIRED
    assert outcome(CML, LOW_LEVEL, RIFAMPICIN) is Outcome.SILENT
    assert outcome(RIFAMPICIN, LOW_LEVEL, CML) is Outcome.SILENT


def test_a_silent_rule_says_what_stood_in_its_way() -> None:
    trace = rulebook().evaluate(scene(CML, LOW_LEVEL, RIFAMPICIN), SETTING).of("trough.low")
    assert trace.because == ("there is medicine with ingredient rifampicin, current",)


def test_a_join_pairs_each_medicine_with_its_own_row() -> None:
    ketoconazole = {**RIFAMPICIN, "ingredient": "ketoconazole", "name": "Ketoconazole"}
    both = scene(RIFAMPICIN, ketoconazole, INDUCER, {**INDUCER, "ingredient": "ketoconazole"})
    findings = rulebook().evaluate(both, SETTING).findings
    assert {finding.subject for finding in findings} == {"rifampicin", "ketoconazole"}


def test_two_bindings_never_share_one_fact() -> None:
    twice = TEXTS["interactions/inducer.yaml"].replace(
        "row: {is: interaction, effect: inducer, ingredient", "row: {is: medicine, ingredient"
    )
    pair = rulebook({"interactions/inducer.yaml": twice})
    one = pair.evaluate(scene(RIFAMPICIN), SETTING).of("interactions.inducer")
    two = pair.evaluate(scene(RIFAMPICIN, RIFAMPICIN), SETTING).of("interactions.inducer")
    assert (one.outcome, two.outcome) == (Outcome.SILENT, Outcome.FIRED)


def test_matches_that_read_the_same_are_one_finding() -> None:
    verdict = rulebook().evaluate(scene(CML, LOW_LEVEL, LOW_LEVEL), SETTING)
    assert len(verdict.of("trough.low").matches) == 2
    assert len(verdict.findings) == 1


def test_findings_come_most_urgent_first() -> None:
    other = {**RIFAMPICIN, "ingredient": "ketoconazole"}
    row = {**INDUCER, "ingredient": "ketoconazole"}
    findings = rulebook().evaluate(scene(CML, LOW_LEVEL, other, row), SETTING).findings
    assert [finding.severity.indicator for finding in findings] == ["critical", "warning"]


def test_a_number_of_another_jurisdiction_decides_there() -> None:
    facts = scene(CML, {**LOW_LEVEL, "trough_ng_ml": 950})
    assert rulebook().evaluate(facts, SETTING).of("trough.low").outcome is Outcome.FIRED
    assert rulebook().evaluate(facts, EU).of("trough.low").outcome is Outcome.SILENT


def test_a_rule_without_a_number_in_a_jurisdiction_does_not_exist_there() -> None:
    trace = rulebook().evaluate(scene({"is": "order", "daily_mg": 800}), EU).of("dosing.limit")
    assert trace.outcome is Outcome.NOT_APPLICABLE
    assert trace.because == ("does not exist in eu",)


def test_a_rule_is_not_asked_on_an_occasion_it_does_not_name() -> None:
    setting = Setting(Occasion.PATIENT_VIEW)
    trace = rulebook().evaluate(scene(RIFAMPICIN, INDUCER), setting).of("interactions.inducer")
    assert trace.outcome is Outcome.NOT_APPLICABLE
    assert trace.because == ("does not speak on patient-view",)


def test_a_shadow_rule_is_counted_and_not_said() -> None:
    verdict = rulebook().evaluate(scene({"is": "order", "daily_mg": 800}), SETTING)
    assert verdict.findings == ()
    assert [finding.summary for finding in verdict.shadow] == ["800 mg is above 600 mg"]


def test_a_draft_is_counted_too_and_a_retired_rule_is_not() -> None:
    for status, said, fired in (
        ("draft", 1, Outcome.FIRED),
        ("retired", 0, Outcome.NOT_APPLICABLE),
    ):
        book = rulebook({"trough/low.yaml": LOW.replace("status: active", f"status: {status}")})
        verdict = book.evaluate(scene(CML, LOW_LEVEL), SETTING)
        assert verdict.findings == ()
        assert len(verdict.shadow) == said
        assert verdict.of("trough.low").outcome is fired


def test_a_considered_silence_fires_in_the_trace_only() -> None:
    given = {**RIFAMPICIN, "ingredient": "ketoconazole"}
    verdict = rulebook().evaluate(scene(given), SETTING)
    trace = verdict.of("interactions.quiet")
    assert (trace.outcome, trace.silent) == (Outcome.FIRED, True)
    assert verdict.findings == verdict.shadow == ()


def test_the_trace_names_every_rule_once() -> None:
    book = rulebook()
    verdict = book.evaluate(scene(), SETTING)
    assert [trace.rule_id for trace in verdict.trace] == [rule.id for rule in book.rules]


def test_a_verdict_can_travel_to_another_process() -> None:
    verdict = rulebook().evaluate(scene(CML, LOW_LEVEL), SETTING)
    assert pickle.loads(pickle.dumps(verdict)) == verdict


def test_facts_that_are_not_whole_are_refused() -> None:
    facts = scene(CML)
    with pytest.raises(FactError, match="0 facts of kind course instead of one"):
        rulebook().evaluate([fact for fact in facts if fact.kind != "course"], SETTING)
    with pytest.raises(FactError, match="2 facts of kind course"):
        rulebook().evaluate([*facts, facts[0]], SETTING)


def test_a_difference_between_the_evaluators_says_nothing_and_names_the_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Program, "hits", lambda program, scene: frozenset())
    verdict = rulebook().evaluate(scene(CML, LOW_LEVEL), SETTING)
    assert not verdict.agreed
    assert verdict.disagreement == "reference alone: trough.low; durable-rules alone: none"
    assert verdict.findings == verdict.shadow == ()
    assert verdict.of("trough.low").outcome is Outcome.FIRED


def test_a_failure_of_durable_rules_says_nothing_and_the_next_call_starts_afresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    book, facts = rulebook(), scene(CML, LOW_LEVEL)
    assert book.evaluate(facts, SETTING).agreed

    def fail(program: Program, scene: object) -> None:
        raise EngineError("memory")

    with monkeypatch.context() as broken:
        broken.setattr(Program, "hits", fail)
        verdict = book.evaluate(facts, SETTING)
    assert (verdict.agreed, verdict.findings) == (False, ())
    assert verdict.disagreement == "durable-rules failed: memory"
    assert book.evaluate(facts, SETTING).agreed


def test_a_rulebook_that_was_closed_compiles_again() -> None:
    book, facts = rulebook(), scene(CML, LOW_LEVEL)
    first = book.evaluate(facts, SETTING)
    book.close()
    assert book.evaluate(facts, SETTING) == first


def test_a_closed_program_refuses_instead_of_reading_freed_memory() -> None:
    book = rulebook()
    prepared = book.prepared(book.rule("trough.low"), "us")
    assert prepared is not None
    deck = Deck([prepared], [], book.renderer, book.revision)
    deck.close()
    deck.close()
    verdict = deck.evaluate(scene(CML, LOW_LEVEL))
    assert verdict.disagreement == "durable-rules failed: the program is closed"


def test_more_matches_than_can_be_delivered_fail_closed() -> None:
    crowd = TEXTS["interactions/quiet.yaml"].replace(
        "- med: {is: medicine, ingredient: ketoconazole, current: true}",
        "- a: {is: medicine}\n  - b: {is: medicine}\n  - c: {is: medicine}",
    )
    book = rulebook({"interactions/quiet.yaml": crowd})
    medicines = [{"is": "medicine", "ingredient": "ketoconazole"}] * 20
    verdict = book.evaluate(scene(*medicines), SETTING)
    assert verdict.disagreement == "durable-rules failed: not every match was delivered"
